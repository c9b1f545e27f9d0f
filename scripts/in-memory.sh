#!/usr/bin/env bash
# Runs a command with its temporary files in memory, where there is room for them: tests make and drop hundreds of databases, and making the
# files takes most of the time. They are gone afterwards. What Go builds stays on the disk.
set -euo pipefail
least=$((8 << 20)) # kB
room() { df -k --output=avail /dev/shm 2>/dev/null | tail -1; }
available() { awk '/^MemAvailable/ {print $2}' /proc/meminfo 2>/dev/null; }
if [ ! -w /dev/shm ] || [ "$(room)" -lt $least ] || [ "$(available)" -lt $least ]; then exec "$@"; fi
dir=$(mktemp -d /dev/shm/scratchpaper-XXXXXX)
chmod 755 "$dir" # run by root, PostgreSQL is another user
# Servers that end with the tests may still be writing.
trap 'for _ in $(seq 20); do rm -rf "$dir" 2>/dev/null && break; sleep 0.5; done' EXIT
# Some machines run no programs from there, and tests build some.
printf '#!/bin/sh\n' >"$dir/runs" && chmod 755 "$dir/runs"
if ! "$dir/runs" 2>/dev/null; then "$@"; exit; fi
GOTMPDIR="${GOTMPDIR:-${TMPDIR:-/tmp}}" TMPDIR="$dir" "$@"

#!/usr/bin/env bash
# Lists the generated files with their sums, so that two states can be compared. The names count: a new file is a change.
set -euo pipefail
cd "$(dirname "$0")/.."
{
	find views -name '*_templ.go'
	ls static/css/app.css static/vendor/* 2>/dev/null || true
} | sort | xargs cksum

#!/usr/bin/env bash
# Builds and serves, and does so again whenever a source changes. A build that fails leaves the last good one running.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
mark=bin/.dev-mark
child=

sources() {
	find . \( -path ./node_modules -o -path ./.git -o -path ./bin -o -path ./static/vendor \) -prune -o -type f \
		\( -name '*.go' -o -name '*.templ' -o -name '*.js' -o -name '*.css' -o -name '*.sql' -o -name go.mod -o -name .env \) \
		! -name '*_templ.go' ! -name app.css "$@" -print
}
changed() { [ -n "$(sources -newer "$mark" | head -n 1)" ] || [ "$(sources | sort | cksum)" != "$names" ]; }
stop() {
	[ -n "$child" ] || return 0
	kill "$child" 2>/dev/null
	wait "$child" 2>/dev/null
	child=
}
trap 'stop; exit 0' INT TERM
trap stop EXIT

build() {
	touch "$mark"
	names=$(sources | sort | cksum)
	make --no-print-directory generate && CGO_ENABLED=0 go build -o bin/scratchpaper .
}
names=
while true; do
	if build; then
		stop
		DEV=true bin/scratchpaper serve &
		child=$!
	fi
	until changed; do sleep 0.5; done
done

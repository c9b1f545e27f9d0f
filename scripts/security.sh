#!/usr/bin/env bash
# Looks for holes with staticcheck, gosec, govulncheck and probes of every address, and says of each whether it was used. Ends with 1 when one of
# them found something. GOVULNDB names a copy of the database of known holes (https://… or file://…), where the usual one is out of reach.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=() unused=()

# A tool of the folder tools, whose module has its own versions.
tool() { (cd tools && go build -o "../bin/$1" "$2"); }

step() {
	echo "== $1"
	"${@:2}" || failed+=("$1")
}

known_holes() {
	local said code
	said=$(bin/govulncheck ${GOVULNDB:+-db "$GOVULNDB"} ./... 2>&1)
	code=$?
	echo "$said"
	if grep -q 'fetching vulnerabilities' <<<"$said"; then
		unused+=("govulncheck: its database cannot be reached from here, so nothing was asked about known holes in the modules")
		return 0
	fi
	return $code
}

step "gosec and govulncheck are built" eval 'tool gosec github.com/securego/gosec/v2/cmd/gosec && tool govulncheck golang.org/x/vuln/cmd/govulncheck'
step staticcheck go tool staticcheck ./...
# Left out: what the tests alone use (imports_test.go holds the program to that), and the packer, which runs when the app is built.
step gosec bin/gosec -quiet -exclude-generated -exclude-dir=node_modules -exclude-dir=tools -exclude-dir='(^|/)e2e(/|$)' -exclude-dir=connectors/misbehave \
	-exclude-dir=connectors/wordpress/wordpresstest -exclude-dir=internal/auth/clerktest -exclude-dir=internal/mail/mailtest -exclude-dir='internal/localdb/programs/pack(/|$)' ./...
step govulncheck known_holes
command -v sqlmap >/dev/null || unused+=("sqlmap: it is not installed (apt-get install sqlmap)")
step "the app is built" eval 'CGO_ENABLED=0 go build -o bin/scratchpaper .'
step "probes of every address" node scripts/probe.mjs bin/scratchpaper

for why in "${unused[@]}"; do echo "NOT USED: $why"; done
if ((${#failed[@]})); then
	printf 'FOUND SOMETHING: %s\n' "${failed[@]}" >&2
	exit 1
fi
echo "Nothing was found."

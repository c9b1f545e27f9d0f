#!/usr/bin/env bash
# Proves the two commands, and the one file, on a fresh Debian 12: a debootstrap chroot that has git, make, Go and Node and
# nothing else of ours, with empty caches. Run it as root.
#
#   scripts/fresh-machine.sh [what ...]
#
#   run-root    make run as root, with the clone below a closed home folder
#   run-user    make run as an ordinary user
#   test-root   make test as root
#   test-user   make test as an ordinary user; what it asks the administrator to install is installed
#   file        make build, and the binary alone on a Debian that lacks even git and make
#   clean       remove what earlier runs left
#
# Without an argument: run-root run-user file. PACKAGES="./e2e/grid ./store" tests only those. KEEP=1 keeps the machines. FRESH_DIR says where they are made.
#
# Go and Node are copies of this machine's. What the package clients need to know (mirror, proxies, certificates, settings of
# npm and Go) is taken from this machine when the script runs. What is tested is the last commit.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
work=${FRESH_DIR:-/var/tmp/scratchpaper-fresh}
limit=${LIMIT:-900} # seconds that a start may take, with empty caches
app= machine=

say() { echo "== $*"; }
fail() { echo "fresh-machine: $*" >&2; exit 1; }
seconds() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(seconds)" 'BEGIN { printf "%.1f s", b - a }'; }

# --- machines ---------------------------------------------------------------------------------------------------------

mirror() { apt-get indextargets --format '$(SITE) $(CODENAME)' 'Created-By: Packages' | awk '$2 == "bookworm" { print $1; exit }'; }

# bare is a Debian with nothing added; fresh has git, make, Go and Node too. Both are made once.
make_bare() {
	[ -e "$work/bare/.ready" ] && return
	command -v debootstrap >/dev/null || fail "debootstrap is needed: apt-get install debootstrap"
	local from=${MIRROR:-$(mirror)}
	[ -n "$from" ] || fail "this machine's apt knows no mirror of bookworm. Set MIRROR."
	say "debootstrap"
	rm -rf "$work/bare"
	mkdir -p "$work"
	debootstrap --variant=minbase bookworm "$work/bare" "$from" >"$work/debootstrap.log" 2>&1 || fail "debootstrap failed, see $work/debootstrap.log"
	client_settings "$work/bare"
	touch "$work/bare/.ready"
}

make_fresh() {
	[ -e "$work/fresh/.ready" ] && return
	make_bare
	rm -rf "$work/fresh"
	cp -a "$work/bare" "$work/fresh"
	rm "$work/fresh/.ready"
	inside "$work/fresh" root 'apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends git make' >"$work/fresh.log" 2>&1 ||
		fail "git and make could not be installed, see $work/fresh.log"
	cp -a "$(go env GOROOT)" "$work/fresh/usr/local/go"
	install -D "$(readlink -f "$(command -v node)")" "$work/fresh/usr/local/bin/node"
	mkdir -p "$work/fresh/usr/local/lib/node_modules"
	local npm
	npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
	cp -a "$npm" "$work/fresh/usr/local/lib/node_modules/npm"
	ln -s ../lib/node_modules/npm/bin/npm-cli.js "$work/fresh/usr/local/bin/npm"
	ln -s ../lib/node_modules/npm/bin/npx-cli.js "$work/fresh/usr/local/bin/npx"
	touch "$work/fresh/.ready"
}

# client_settings copies what this machine's package clients use.
client_settings() {
	local to=$1 f
	cp -L /etc/resolv.conf /etc/hosts "$to/etc/"
	mkdir -p "$to/etc/ssl/certs" "$to/usr/local/share/ca-certificates" "$to/usr/share/keyrings" "$to/usr/etc" "$to/usr/local/etc"
	cp -L /etc/ssl/certs/ca-certificates.crt "$to/etc/ssl/certs/"
	# The package ca-certificates, which others bring along, makes the file anew from these.
	find /usr/local/share/ca-certificates -name '*.crt' -exec cp -L {} "$to/usr/local/share/ca-certificates/" \;
	rm -f "$to/etc/apt/sources.list"
	cp -a /etc/apt/sources.list "$to/etc/apt/" 2>/dev/null || true
	cp -a /etc/apt/sources.list.d/. "$to/etc/apt/sources.list.d/"
	cp -a /usr/share/keyrings/. "$to/usr/share/keyrings/"
	grep -lE '^Acquire::' /etc/apt/apt.conf.d/* | while read -r f; do cp "$f" "$to/etc/apt/apt.conf.d/"; done
	f=$(npm config get globalconfig)
	[ ! -e "$f" ] || install -D -m 644 "$f" "$to/usr/local/etc/npmrc"
}

# home_settings gives a user of the machine this machine's settings of npm and Go.
home_settings() {
	local home=$1 f
	f=$(npm config get userconfig)
	[ ! -e "$f" ] || install -D -m 644 "$f" "$home/.npmrc"
	f=$(go env GOENV)
	[ ! -e "$f" ] || install -D -m 644 "$f" "$home/.config/go/env"
}

# new_machine copies a machine and puts the clone into the home of a user: root's is closed to everybody else.
new_machine() {
	local user=$1 home=/root
	make_fresh
	machine=$work/$user-$$
	say "a fresh machine for $user"
	cp -a --reflink=auto "$work/fresh" "$machine"
	if [ "$user" != root ]; then
		home=/home/$user
		chroot "$machine" useradd -m -s /bin/bash "$user"
	fi
	home_settings "$machine$home"
	git clone -q --no-hardlinks "$here" "$machine$home/scratchpaper"
	chroot "$machine" chown -R "$user:" "$home"
	chmod 700 "$machine/root"
}

drop_machine() {
	[ -n "$machine" ] || return 0
	[ -n "${KEEP:-}" ] && say "kept: $machine" || rm -rf --one-file-system "$machine"
	machine=
}

# inside runs a command in a machine, as a user, in name spaces of its own: what it mounts and starts ends with it. /dev/shm is
# as small as containers have it, and LANG names a locale that is not there.
inside() {
	local root=$1 user=$2 command=$3 home=/root
	[ "$user" = root ] || home=/home/$user
	local clients
	mapfile -t clients < <(env | grep -E '^([A-Z_]*CERT[A-Z_]*|GIT_SSL_[A-Z]+|[A-Z_]*CA_BUNDLE|(https?|no|HTTPS?|NO)_(proxy|PROXY))=' || true)
	exec_in=(env -i "${clients[@]}" HOME="$home" USER="$user" LANG=de_DE.UTF-8 PATH=/usr/local/go/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
		${PORT:+PORT=$PORT} bash -c "cd && $command")
	unshare --mount --pid --fork --kill-child bash -c '
		set -e
		root=$1 user=$2; shift 2
		mount -t proc proc "$root/proc"
		mkdir -p "$root/dev/shm"
		mount -t tmpfs -o size=64m,mode=1777 tmpfs "$root/dev/shm"
		exec chroot --userspec="$user:$user" "$root" "$@"' inside "$root" "$user" "${exec_in[@]}"
}

# --- what is proven ---------------------------------------------------------------------------------------------------

free_port() {
	local p
	for p in $(shuf -i 20000-30000 -n 50); do
		(exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || { echo "$p"; return; }
	done
	fail "no free port"
}

ask() { curl -sf -m 10 -H 'Content-Type: application/json' "http://127.0.0.1:$PORT$1" "${@:2}"; }
value() { node -e 'let v = JSON.parse(require("fs").readFileSync(0)); for (const k of process.argv.slice(1)) v = v?.[k]; console.log(v ?? "")' "$@"; }

# running gives the app's process in a machine.
running() {
	local p
	for p in /proc/[0-9]*; do
		[ "$(readlink "$p/root" 2>/dev/null)" = "$1" ] && [ "$(cat "$p/comm" 2>/dev/null)" = "$2" ] && echo "${p#/proc/}"
	done
	true
}

# serves starts the app in a machine by a command, fetches the page, takes the sample by the API, waits for its download,
# and stops the app.
serves() {
	local root=$1 user=$2 command=$3 log=$work/serve.log began asked job state
	PORT=$(free_port)
	export PORT
	began=$(seconds)
	inside "$root" "$user" "$command" >"$log" 2>&1 &
	app=$!
	until [ "$(ask /readyz 2>/dev/null)" = ok ]; do
		kill -0 "$app" 2>/dev/null || { tail -n 40 "$log"; fail "it ended before it served"; }
		[ "$(($(date +%s) - ${began%.*}))" -lt "$limit" ] || { tail -n 40 "$log"; fail "it does not serve after $limit s"; }
		sleep 0.1
	done
	say "serves after $(since "$began")"
	grep -F "Scratchpaper is at http://127.0.0.1:$PORT" "$log" || fail "it does not say where it is"
	grep -E "No (DATABASE|REDIS)_URL" "$log" | sed 's/^.*msg=/   /'
	ask / | grep -q '<title>' || fail "the page is not there"
	asked=$(seconds)
	job=$(ask /api/v1/sample -X POST | value job id)
	for _ in $(seq 600); do
		state=$(ask "/api/v1/jobs/$job" | value state)
		[ "$state" = done ] && break
		case $state in failed | cancelled) fail "the sample's download is $state" ;; esac
		sleep 0.2
	done
	[ "$state" = done ] || fail "the sample's download is not done after two minutes"
	say "the sample is there $(since "$asked") after it was asked for, $(since "$began") after the start"
	began=$(seconds)
	kill -TERM "$(running "$root" scratchpaper | head -n 1)"
	wait "$app" || { tail -n 40 "$log"; fail "it did not end well"; }
	app=
	say "stopped within $(since "$began")"
	[ -z "$(running "$root" postgres)" ] || fail "its database still runs"
	unset PORT
}

run_as() {
	new_machine "$1"
	say "make run as $1, for the first time"
	serves "$machine" "$1" 'cd scratchpaper && exec make run'
	say "make run as $1, again"
	serves "$machine" "$1" 'cd scratchpaper && exec make run'
	drop_machine
}

test_as() {
	local user=$1 log=$work/test-$1.log began install
	new_machine "$user"
	say "make test as $user (log: $log)"
	began=$(seconds)
	if [ "$user" != root ]; then
		# Without root or sudo it prints one command for the administrator.
		! inside "$machine" "$user" 'cd scratchpaper && make test' >"$log" 2>&1 || fail "it did not ask for what is missing"
		install=$(sed -n 's/^.*; type: //p' "$log")
		[ -n "$install" ] || { tail -n 20 "$log"; fail "it does not say what to type"; }
		say "the administrator types: $install"
		inside "$machine" root "export DEBIAN_FRONTEND=noninteractive; ${install//sudo /}" >>"$log" 2>&1 || { tail -n 20 "$log"; fail "that did not work"; }
	fi
	inside "$machine" "$user" "cd scratchpaper && time make test PACKAGES='${PACKAGES:-./...}'" >>"$log" 2>&1 || { grep -E -B 30 '^(--- FAIL|FAIL|make: )' "$log" | tail -n 120; fail "make test as $user failed"; }
	grep -E '^(ok|real)' "$log" || true
	say "make test as $user passed after $(since "$began")"
	drop_machine
}

one_file() {
	local empty=$work/empty-$$
	new_machine root
	say "make build"
	inside "$machine" root 'cd scratchpaper && time make build' >"$work/build.log" 2>&1 || { tail -n 40 "$work/build.log"; fail "make build failed"; }
	grep -E '^real|scratchpaper$' "$work/build.log" | tail -n 2
	cp -a --reflink=auto "$work/bare" "$empty"
	install -m 755 "$machine/root/scratchpaper/bin/scratchpaper" "$empty/usr/local/bin/scratchpaper"
	drop_machine
	machine=$empty
	say "the binary alone, for the first time"
	serves "$empty" root 'exec scratchpaper'
	say "the binary alone, again"
	serves "$empty" root 'exec scratchpaper'
	drop_machine
}

end() {
	[ -z "$app" ] || kill "$app" 2>/dev/null || true
	drop_machine
}
trap end EXIT

[ "$(id -u)" = 0 ] || fail "run this as root: it makes chroots"
[ $# -gt 0 ] || set -- run-root run-user file
for what; do
	case $what in
	run-root) run_as root ;;
	run-user) run_as ada ;;
	test-root) test_as root ;;
	test-user) test_as ada ;;
	file) one_file ;;
	clean) rm -rf --one-file-system "$work" ;;
	*) sed -n '2,/^set/p' "$0" | grep '^#' >&2; exit 2 ;;
	esac
done
say "all of it works: $*"

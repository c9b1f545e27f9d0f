#!/usr/bin/env bash
# What the tests need beside Go and Node: a browser, a real Redis, a real WordPress with its database, and a C compiler for the race
# detector.
set -euo pipefail
missing=()
browser=
for b in chromium-headless-shell chromium chromium-browser google-chrome chrome; do command -v $b >/dev/null && browser=$b && break; done
# An ordinary user's Chromium needs name spaces of its own or a helper that may make them; and a font to write with.
if [ "$(id -u)" != 0 ] && ! unshare -U true 2>/dev/null && [ ! -u /usr/lib/chromium/chrome-sandbox ]; then missing+=(chromium-sandbox); fi
[ -n "$(find /usr/share/fonts /usr/local/share/fonts "$HOME/.fonts" -name '*.[ot]tf' -print -quit 2>/dev/null)" ] || missing+=(fonts-dejavu-core)
command -v redis-server >/dev/null || missing+=(redis-server)
PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null || missing+=(mariadb-server)
modules=$(php -m 2>/dev/null | tr '\n' ' ' || true)
for m in mysqli dom mbstring curl; do
	case " $modules" in *" $m "*) ;; *) missing+=(php-cli php-mysql php-xml php-mbstring php-curl); break ;; esac
done
[ -f "${WORDPRESS_DIR:-/usr/share/wordpress}/wp-load.php" ] || missing+=(wordpress)
command -v gcc >/dev/null || missing+=(gcc libc6-dev)
[ -n "$browser" ] && [ ${#missing[@]} -eq 0 ] && exit 0
sudo=
if [ "$(id -u)" != 0 ]; then sudo=sudo; fi
may() { [ -z "$sudo" ] || sudo -n true 2>/dev/null; }
if may; then $sudo apt-get update -qq; fi
# The engine alone starts in a third of the time of the whole browser; not every distribution has it by itself.
if [ -z "$browser" ]; then missing+=("$(apt-cache show chromium-headless-shell >/dev/null 2>&1 && echo chromium-headless-shell || echo chromium)"); fi
install="apt-get install -y --no-install-recommends ${missing[*]}"
if may; then
	$sudo env DEBIAN_FRONTEND=noninteractive $install
else
	echo "The tests need these packages; type: sudo apt-get update && sudo $install" >&2
	exit 1
fi

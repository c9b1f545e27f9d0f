#!/usr/bin/env bash
# What the tests need beside Go and Node: a browser, a real Redis, a real WordPress with its database, and a C compiler for the race
# detector.
set -euo pipefail
missing=()
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
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
[ ${#missing[@]} -eq 0 ] && exit 0
install="apt-get install -y --no-install-recommends ${missing[*]}"
if [ "$(id -u)" = 0 ]; then
	apt-get update -qq && DEBIAN_FRONTEND=noninteractive $install
elif sudo -n true 2>/dev/null; then
	sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive $install
else
	echo "The tests need these packages; type: sudo apt-get update && sudo $install" >&2
	exit 1
fi

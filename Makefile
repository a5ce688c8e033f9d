# Only Go and make are needed for `make run` and `make test`. The race detector
# also wants a C compiler; the tools of `make lint` are fetched by the go command.

GO        ?= go
TOOL       = $(GO) tool -modfile=.tools/go.mod
FUZZTIME  ?= 20s
BENCH     ?= .
COUNT     ?= 1
ARGS      ?=
# A name common to all tests of one run of the cases; see CONTRIBUTING.md.
CASES      = ^TestConformance

.DEFAULT_GOAL := help
.PHONY: help run build test race lint fmt fuzz conformance bench ci

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve https://localhost:8443 and http://localhost:8080 (flags: ARGS="...")
	$(GO) run ./cmd/penstock serve $(ARGS)

build: ## build the binary ./penstock
	$(GO) build -trimpath -o penstock ./cmd/penstock

test: ## run all tests
	$(GO) test -shuffle=on -count=1 -timeout=10m ./...

race: ## run all tests under the race detector (needs a C compiler)
	$(GO) test -race -shuffle=on -count=1 -timeout=15m ./...

lint: ## check format, vet, other systems, module files, staticcheck, golangci-lint
	@bad="$$($(TOOL) gofumpt -l .)" || exit 1; \
	if [ -n "$$bad" ]; then printf 'not formatted, run make fmt:\n%s\n' "$$bad"; exit 1; fi
	$(GO) mod tidy -diff
	$(GO) vet ./...
	$(GO) vet -tags=invariants ./...
	GOOS=darwin $(GO) vet ./...
	GOOS=windows $(GO) vet ./...
	$(TOOL) staticcheck ./...
	$(TOOL) golangci-lint run ./...

fmt: ## format the code with gofumpt
	$(TOOL) gofumpt -w .

fuzz: ## fuzz every target for FUZZTIME (default 20s), one after another
	@found=0; \
	for file in $$(grep -rlE '^func Fuzz[A-Z]' --include='*_test.go' .); do \
		for name in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' "$$file"); do \
			found=1; echo "== $$name ($$(dirname "$$file"))"; \
			$(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=2s "$$(dirname "$$file")" || exit 1; \
		done; \
	done; \
	if [ $$found = 0 ]; then echo 'no fuzz targets found' >&2; exit 1; fi

conformance: ## run the raw HTTP/1 cases and h2spec against the real binary, clear and TLS
	@$(GO) test -list '$(CASES)' ./cmd/penstock/... | grep -q '$(CASES)' || \
		{ echo 'no test is named $(CASES): nothing would be run' >&2; exit 1; }
	$(GO) test -count=1 -v -timeout=10m -run '$(CASES)' ./cmd/penstock/...

bench: ## run the micro benchmarks (BENCH=pattern COUNT=n)
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) ./...

ci: ## what must pass before a change is taken: test, race, lint, conformance
	.ci/run

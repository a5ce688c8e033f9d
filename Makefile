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
.PHONY: help run build test race lint fmt fuzz conformance bench bench-quick bench-compare bench-tables bench-release microbench profile pgo ci

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## serve https://localhost:8443 and http://localhost:8080 (flags: ARGS="...")
	$(GO) run ./cmd/penstock serve $(ARGS)

build: ## build the binary ./penstock
	$(GO) build -trimpath -o penstock ./cmd/penstock

test: ## run all tests
	$(GO) test -shuffle=on -count=1 -timeout=10m ./...

race: ## run all tests under the race detector (needs a C compiler)
	$(GO) test -race -shuffle=on -count=1 -timeout=15m -p=1 ./...

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

# The suite: WORKS and PEERS are names parted by commas (empty: all). Works that are
# measured with all peers replace those of the committed runs; a run with some
# PEERS only tells, and writes to OUT if that is given.
ROUNDS    ?= 3
SECS      ?= 1
LIMIT     ?= 60m
WORKS     ?=
PEERS     ?=
OUT       ?=
RESULTS    = bench/results/latest.json
SUITE      = $(GO) run ./bench/suite/cmd/suite

bench: ## run penstock beside its peers, renew BENCHMARKS.md (50 minutes; ROUNDS SECS LIMIT WORKS PEERS)
	mkdir -p $(dir $(RESULTS))
	$(SUITE) -rounds $(ROUNDS) -secs $(SECS) -limit $(LIMIT) -works '$(WORKS)' -peers '$(PEERS)' $(if $(OUT),-out $(OUT)) \
		$(if $(PEERS),,-merge $(RESULTS) -update BENCHMARKS.md)

bench-quick: ## prove that the suite works, with a short run that writes nothing
	$(SUITE) -rounds 1 -secs 0.2 -cost-only -limit 4m -build-limit 3m -works h1,h2m32,h3m1,s1k,p -peers nginx,h2o,haproxy,nethttp

bench-compare: ## run penstock alone and judge it by the committed results
	$(SUITE) -rounds $(ROUNDS) -secs $(SECS) -cost-only -works '$(WORKS)' -peers penstock -against $(RESULTS)

bench-tables: ## make BENCHMARKS.md's tables and charts of the committed results again
	$(SUITE) -from $(RESULTS) -update BENCHMARKS.md

bench-release: ## keep the committed results as those of VERSION (v0.5.0)
	$(SUITE) -from $(RESULTS) -release '$(VERSION)' -update BENCHMARKS.md

microbench: ## run the micro benchmarks (BENCH=pattern COUNT=n)
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchmem -count=$(COUNT) ./...

WORK      ?= h2m100
PROFILES  ?= profiles

profile: ## profile penstock under WORK (a name of the suite) into PROFILES
	$(SUITE) -secs 10 -works '$(WORK)' -profile $(PROFILES)
	@for p in $(PROFILES)/*.cpu.pb.gz; do \
		$(GO) tool pprof -top -nodecount=15 "$$p" 2>/dev/null | sed -n '1,20p'; \
		if command -v dot >/dev/null; then $(GO) tool pprof -svg -output "$${p%.pb.gz}.svg" "$$p" 2>/dev/null; \
		else echo 'no graph: graphviz is not installed (apt-get install graphviz)'; fi; \
		echo "flame graph: $(GO) tool pprof -http=: $$p"; \
	done

pgo: ## make cmd/penstock/default.pgo from a mix of works
	$(SUITE) -secs 10 -works h1,h1s,h2m1,h2m32,s1k,s1kh2,p,p_h2m32 -profile $(PROFILES)
	$(GO) tool pprof -proto $(PROFILES)/*.cpu.pb.gz > cmd/penstock/default.pgo

ci: ## what must pass before a change is taken: test, race, lint, conformance
	.ci/run

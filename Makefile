# Everything a fresh machine needs is Go; `make help` lists the rest.

GO     ?= go
BIN    := bin
# The linters of .golangci.yml; their versions are those of .ci/lint/go.mod.
GOLANGCI = $(GO) tool -modfile=$(CURDIR)/.ci/lint/go.mod golangci-lint
# As the image has them. Tests build programs in the same way, and the linters look
# at the same, so that nothing is compiled twice.
STATIC := CGO_ENABLED=0

.DEFAULT_GOAL := help
.PHONY: help dev test test-nats soak mutate lint vuln bench bench-micro build release clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/chartpost, bin/chartpost-dev and its S3 server
	$(STATIC) $(GO) build -o $(BIN)/ ./cmd/...
	cd internal/devstack/s3server && $(STATIC) $(GO) build -o ../../../$(BIN)/ .

dev: ## Run the whole world here: NATS, S3, a simulator of Redox, a worker, sample documents
	@cmd/chartpost-dev/build.sh $(GO) $(BIN)
	@$(BIN)/chartpost-dev $(ARGS)

test: build ## Run every test with the race detector, and the messages against an independent FHIR checker
	cd deploy/prometheus/check && $(STATIC) $(GO) test ./...
	cd internal/devstack/s3server && $(STATIC) $(GO) test ./...
	$(GO) test -race -p 4 -parallel 8 -timeout 15m $$($(GO) list ./... | grep -vE '/(deploy|faultlab)$$') # most tests wait: for servers, leases, schedules
	$(GO) test -race -p 1 -timeout 15m ./deploy ./internal/faultlab # they measure delays, and so run alone
	$(STATIC) $(GO) test -run 'TestAttacksSlowNoOther|TestAFloodOverNATS' ./internal/app # so do these, without the race detector
	cd testdata/fhircheck && $(GO) test -count=1 ./...

test-nats: ## Test the queue against another nats-server: make test-nats NATS_SERVER=/path/to/nats-server
	@test -x "$(NATS_SERVER)" || { echo "NATS_SERVER names no program"; exit 1; }
	CHARTPOST_TEST_NATS_SERVER=$(abspath $(NATS_SERVER)) $(GO) test -race -count=1 ./internal/natsq ./internal/ledger ./worker
	CHARTPOST_TEST_NATS_SERVER=$(abspath $(NATS_SERVER)) $(GO) test -count=1 ./deploy

soak: ## Run the fault laboratory at full length, for hours; make soak ARGS="-run TestChaos -lab.seed=7"
	$(GO) test ./internal/faultlab -v -count=1 -timeout 0 -lab.long $(ARGS)

mutate: ## Change the program in small places, and see which changes no test notices; make mutate ARGS="-packages ./pipeline -sample 50"
	$(GO) run ./internal/mutate $(ARGS)

lint: ## Check formatting, vet, golangci-lint; the chart, the Compose file and the Dockerfile
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	$(STATIC) $(GO) vet ./...
	$(STATIC) $(GOLANGCI) run ./...
	cd internal/devstack/s3server && $(STATIC) $(GO) vet ./... && $(STATIC) $(GOLANGCI) run ./...
	cd testdata/fhircheck && $(STATIC) $(GO) vet ./...
	cd deploy/prometheus/check && $(STATIC) $(GO) vet ./...
	cd deploy/check && $(STATIC) $(GO) vet ./... && $(GO) test -count=1 ./...

vuln: ## Look for known vulnerabilities; needs vuln.go.dev, or GOVULNDB=file:///a/copy
	@.ci/vuln/check

release: ## Build a commit for every platform, twice, compare, and write binaries, sums and SBOMs to dist/
	$(GO) run ./internal/release -out dist $(ARGS)

bench: ## Measure whole processes beside a bare pipe (docs/performance.md); make bench ARGS="-rows 50kB-16 rows"
	$(GO) run ./internal/bench $(ARGS)

bench-micro: ## Run the benchmarks of single packages, for benchstat; make bench-micro ARGS="-count 10"
	$(GO) test -run '^$$' -bench . -benchmem $(ARGS) ./...

clean: ## Remove what was built and the folder of make dev
	rm -rf $(BIN) .dev

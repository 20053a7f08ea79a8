# Everything a fresh machine needs is Go; `make help` lists the rest.

GO     ?= go
BIN    := bin

.DEFAULT_GOAL := help
.PHONY: help dev test soak lint bench build clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build bin/chartpost and bin/chartpost-dev
	$(GO) build -trimpath -o $(BIN)/ ./cmd/...

dev: build ## Run the whole world here: NATS, S3, a simulator of Redox, a worker, sample documents
	@$(BIN)/chartpost-dev $(ARGS)

test: ## Run every test with the race detector, and the messages against an independent FHIR checker
	$(GO) test -race -p 4 ./...
	cd testdata/fhircheck && $(GO) test ./...

soak: ## Run the fault laboratory at full length, for hours; make soak ARGS="-run TestChaos -lab.seed=7"
	$(GO) test ./internal/faultlab -v -count=1 -timeout 0 -lab.long $(ARGS)

lint: ## Check formatting, vet, staticcheck
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$unformatted" || { echo "gofmt: $$unformatted"; exit 1; }
	$(GO) vet ./...
	$(GO) tool staticcheck ./...
	cd testdata/fhircheck && $(GO) vet ./...

bench: ## Run the benchmarks; they print what they measure
	$(GO) test -run '^$$' -bench . -benchmem ./...

clean: ## Remove what was built and the folder of make dev
	rm -rf $(BIN) .dev

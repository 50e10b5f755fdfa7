# `make` alone lists the targets.
GO      ?= go
FUZZTIME ?= 30s
# Tools have a module of their own, so that the product's has only what the product needs.
TOOL     = $(GO) tool -modfile=tools/go.mod
GOTESTSUM = $(TOOL) gotestsum
LINT      = $(TOOL) golangci-lint

.DEFAULT_GOAL := help
.PHONY: help build demo demo-aws run test test-long generate lint bench bench-transcode fuzz cover

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

build: ## build bin/cinelog, one static binary
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/cinelog ./cmd/cinelog

demo: ## upload a sample clip, watch it being transcoded, search it and play it (ONCE=1 ends after the printout)
	@scripts/setup run
	@$(MAKE) -s build
	@bin/cinelog demo $(if $(ONCE),--once)

demo-aws: ## the same as many processes on stand-ins for MongoDB, SNS/SQS and S3 (ONCE=1 ends after the printout)
	@scripts/setup standins
	@$(MAKE) -s build
	@$(GO) build -o bin/demo-aws ./test/backends/demo
	@bin/demo-aws $(if $(ONCE),--once)

run: ## serve on http://127.0.0.1:8080 with ./data
	@scripts/setup run
	@$(MAKE) -s build
	@bin/cinelog serve

# `make lint` vets.
test: ## the tests
	@scripts/setup test
	@cd test/deploy && $(GO) tool -modfile=../../tools/go.mod gotestsum --format pkgname -- -vet=off -timeout 14m ./...
	@$(GOTESTSUM) --format pkgname -- -vet=off -timeout 14m ./...

test-long: ## the tests with hundreds of kills
	@scripts/setup test
	@CINELOG_LONG=1 $(GOTESTSUM) --format pkgname -- -timeout 60m ./...

fuzz: ## each fuzz test for FUZZTIME (30s)
	@$(GO) test ./domain -run '^$$' -fuzz FuzzReports -fuzztime $(FUZZTIME)
	@$(GO) test ./projections -run '^$$' -fuzz FuzzCursors -fuzztime $(FUZZTIME)
	@$(GO) test ./adapters/ffmpeg -run '^$$' -fuzz FuzzFragments -fuzztime $(FUZZTIME) -fuzzminimizetime 10x
	@$(GO) test ./adapters/ffmpeg -run '^$$' -fuzz FuzzSampleTables -fuzztime $(FUZZTIME) -fuzzminimizetime 10x
	@$(GO) test ./adapters/streamcheck -run '^$$' -fuzz FuzzPresentation -fuzztime $(FUZZTIME) -fuzzminimizetime 10x

generate: ## write docs/events anew: the schemas of all events, and asyncapi.yaml
	@$(GO) generate ./adapters/eventdocs

lint: ## the linters, with the dependency rule
	@$(LINT) run ./...

bench: ## the benchmarks, each beside its reference
	@scripts/setup run
	@$(GO) test -run '^$$' -bench . ./...

bench-transcode: ## how soon, how fast and how cheap videos are transcoded: a table of medians
	@scripts/setup test
	@scripts/bench-transcode

cover: ## test coverage by function
	@$(GO) test -coverprofile coverage.out ./... && $(GO) tool cover -func coverage.out | tail -1

# Targets for daily work; the logic lives in Go. `make` lists them.

GO     ?= go

TIME   ?= 10s
SEED   ?= 1
N      ?= 200
MINUTES ?= 1

.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F':.*## ' '/^[a-z0-9-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## one static binary, ./zabkeeper
	CGO_ENABLED=0 $(GO) build -trimpath -o zabkeeper ./cmd/zabkeeper

test: ## every test
	$(GO) test ./...

race: ## every test of what is concurrent, under the race detector
	$(GO) test -race ./quorum/... ./server/... ./zab/... ./znode/... ./cmd/...

invariants: ## the cores with their state checks after every step
	$(GO) test -tags invariants ./fle/... ./zab/... ./znode/... ./jepsen/sim/...

lint: ## golangci-lint with the project's rules
	.ci/lint

fmt: ## format the code
	.ci/lint fmt

generate: ## regenerate committed code
	$(GO) generate ./...

verify: ## all that CI runs
	.ci/run

rewrite: ## regenerate the expected output of the scripts; read the diff
	$(GO) test ./fle ./zab -run Script -args -rewrite

sim: ## simulate N ensembles from SEED on
	$(GO) run ./jepsen/sim/cmd/simulate -seed $(SEED) -seeds $(N)

sim-replay: ## the readable trace of the ensemble of SEED; FLAGS='-shape 3 -server 1,2'
	$(GO) run ./jepsen/sim/cmd/simulate -seed $(SEED) -trace $(FLAGS)

mutants: ## which suite kills which deliberate bug, in docs/mutants.md; an hour or so
	$(GO) run ./jepsen/mutants/cmd/mutate run -keep

fuzz: ## fuzz every target for TIME
	.ci/fuzz $(TIME)

bench: ## the benchmarks beside the code
	$(GO) test -run '^$$' -bench . -benchmem ./...

jepsen: build ## MINUTES of kills and pauses of real processes under load
	$(GO) run ./jepsen/cmd/torture --binary ./zabkeeper --minutes $(MINUTES)

differ: build ## N random scripts from SEED on, here and on Apache ZooKeeper
	$(GO) run ./jepsen/cmd/differ --binary ./zabkeeper --apache "$$(jepsen/suites/fetch-zookeeper)" -seed $(SEED) -seeds $(N)

suites: ## go-zookeeper's own tests against this server
	jepsen/suites/go-zookeeper

suites-kazoo: ## kazoo's own tests; wants Python and PyPI
	jepsen/suites/kazoo

suites-java: ## tests of the Java client and of Curator; wants Java, Maven and Maven Central
	jepsen/suites/java/run zookeeper
	jepsen/suites/java/run curator

suites-kafka: ## Kafka on three servers, both being killed; wants Java, Maven and Maven Central
	jepsen/suites/kafka

cover: ## coverage in coverage.out
	$(GO) test -coverprofile=coverage.out ./...

.PHONY: help build test race invariants lint fmt generate verify rewrite sim sim-replay mutants fuzz bench jepsen differ suites suites-kazoo suites-java suites-kafka cover

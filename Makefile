SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS   += --no-print-directory

# What may be set: make run LISTEN=:9000 DATA=/srv/demo, make soak KILLS=1000 FUZZTIME=1h
LISTEN   ?= 127.0.0.1:8080
DATA     ?= .run/demo
CLUSTER  ?= .run/cluster
KILLS    ?= 200
HISTORIES ?= 1000
FUZZTIME ?= 5m

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
GOBUILD := CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X konbit/node.Version=$(VERSION)"
# Packages with many goroutines, tested a second time under the race detector; those
# that take long for it at make soak.
RACE      := ./intake ./feed ./query ./account ./react ./blob ./bus
RACE_LONG := ./web ./peer ./peer/trust ./peer/question ./node
LIMIT   := 60000000
GOFILES  = $$(find . \( -name node_modules -o -name .run -o -name .git \) -prune -o -name '*.go' -print)
UI_SRC  := $(shell find ui \( -name node_modules -o -path ui/dist -o -path ui/public/basemap -o -path ui/e2e \) -prune -o -type f -not -name '*.go' -print)

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 16

.PHONY: run
run: need-run ui bin ## build, start the demo, print its address and its sign-ins
	exec bin/konbit demo --data $(DATA) --listen $(LISTEN)

.PHONY: region
region: need-run ui bin ## the demo as three nodes that exchange, with links to cut
	exec bin/konbit demo --nodes 3 --data $(DATA)-region --listen $(LISTEN)

.PHONY: cluster
cluster: need-cluster ui bin ## the demo as two processes on one PostgreSQL, to kill and see it go on
	exec scripts/postgres $(CLUSTER)/postgres bin/konbit demo --processes 2 --data $(CLUSTER)/demo --listen $(LISTEN)

.PHONY: test
test: need-test ui check test-go test-race test-e2e ## test everything, the browser included

.PHONY: build
build: need-run ui bin ## build bin/konbit and the Linux binaries, amd64 and arm64
	GOOS=linux GOARCH=amd64 $(GOBUILD) -o bin/konbit-linux-amd64 ./cmd/konbit
	GOOS=linux GOARCH=arm64 $(GOBUILD) -o bin/konbit-linux-arm64 ./cmd/konbit
	@for f in bin/konbit bin/konbit-linux-*; do \
		n=$$(wc -c <$$f); printf '%-24s %5d.%d MB\n' $$f $$((n/1000000)) $$((n/100000%10)); \
		[ $$n -le $(LIMIT) ] || { echo "$$f is over 60 MB"; exit 1; }; \
	done

.PHONY: lint
lint: need-run ui check ## format, go vet, staticcheck, types of the console
	cd ui && npm run --silent check
	go tool staticcheck ./...

.PHONY: bench
bench: need-cluster ui bin ## measure beside baselines, write bench.json
	scripts/postgres .run/bench sh -c 'bin/konbit bench --out bench.json --postgres "$$KONBIT_DEMO_STORE"'

.PHONY: soak
soak: need-test ui bin ## run long: kill -9 and start again, random histories of three nodes, fuzz every decoder
	RACE="$(RACE_LONG)" KILLS=$(KILLS) HISTORIES=$(HISTORIES) FUZZTIME=$(FUZZTIME) scripts/soak

.PHONY: ui
ui: ui/dist/index.html ## build the console when its sources have changed

.PHONY: clean
clean: ## remove what was built, and the demo's data
	rm -rf bin .run bench.json ui/node_modules ui/public/basemap
	find ui/dist -mindepth 1 -not -name .keep -delete

# The parts.

.PHONY: need-run need-cluster need-test
need-run:
	@scripts/need go node
need-cluster:
	@scripts/need go node postgres
need-test:
	@scripts/need go node git gcc chromium ogrinfo postgres xmllint xmlsec1

ui/node_modules/.package-lock.json: ui/package.json ui/package-lock.json
	cd ui && npm ci --no-audit --no-fund --loglevel=error
	touch $@

ui/dist/index.html: ui/node_modules/.package-lock.json $(UI_SRC)
	cd ui && npm run --silent build
	touch $@

.PHONY: bin
bin: ui
	$(GOBUILD) -o bin/konbit ./cmd/konbit

.PHONY: check
check: ui
	@bad=$$(gofmt -l $(GOFILES)); [ -z "$$bad" ] || { echo "gofmt these:"; echo "$$bad"; exit 1; }
	go vet ./...

# Many tests wait for something; so more packages are tested at a time than there are processors.
.PHONY: test-go
test-go: ui
	go test -p 3 $$(go list ./... | grep -v '/e2e$$')
	KONBIT_TEST_STORE=postgres go test -run 'Feed|Hidden|Shows|Retried|Proof|Lists|Protected|Look|Holders|Leak' ./web

.PHONY: test-race
test-race: ui
	go test -race -short $(RACE)

# These run the program from outside, so what go test remembers of them is worth
# nothing.
.PHONY: test-e2e
test-e2e: ui
	go test -count=1 -timeout 20m ./e2e
	CGO_ENABLED=0 go build -o .run/konbit ./cmd/konbit
	CI=true KONBIT=$(CURDIR)/.run/konbit node ui/e2e/run.mjs

# `make demo` and `make test` are all that a fresh machine needs: each installs
# what is missing and says so.

GO       ?= go
SETUP    := testdata/setup
RELEASES := 1.0.0 1.0.1 2.0.0 2.0.2 2.0.3 2.0.4
EXAMPLE  := examples/users/bin
# Same sources, same bytes: no paths, no commit.
BUILD    := $(GO) build -trimpath -buildvcs=false

# Runs what follows with PostgreSQL's programs in PATH.
WITH_POSTGRES = bin=$$(sh $(SETUP)/postgres.sh) && PATH="$$bin:$$PATH"
# Runs what follows with a Prometheus server for the tests that ask one.
WITH_PROMETHEUS = PLEAT_TEST_PROMETHEUS=$$(sh $(SETUP)/unpacked.sh prometheus .build/prometheus prometheus) && export PLEAT_TEST_PROMETHEUS
# Runs what follows with a C compiler: PostgreSQL's grammar is C.
WITH_CC       = sh $(SETUP)/cc.sh && export CGO_ENABLED=1
# -w: no debugger looks at them, and they link in two thirds of the time.
TEST_FLAGS    = -shuffle=on -count=1 -timeout 25m -ldflags=-w
# What the tests write for the time that they run is kept in memory.
IN_MEMORY     = sh $(SETUP)/in_memory.sh
TEST          = $(IN_MEMORY) $(GO) test $(TEST_FLAGS)
# The same, and what failed is tried once more when nothing runs beside it. Real
# servers on a busy machine can be late; what fails twice is broken. A test that
# was tried again is named at the end.
TWICE         = $(IN_MEMORY) $(GO) run gotest.tools/gotestsum@v1.13.0 --format pkgname --hide-summary skipped --rerun-fails=1 --rerun-fails-max-failures=5 \
	--rerun-fails-report=.build/again.txt --packages=./... -- $(TEST_FLAGS)

.DEFAULT_GOAL := help
.PHONY: help build pleat example demo test test-race test-long test-versions bench bench-plan bench-schema bench-rollout lint fmt clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' Makefile

build: pleat example ## bin/pleat and the releases of examples/users

pleat:
	@echo building bin/pleat
	@$(WITH_CC) && $(BUILD) -o bin/pleat ./cmd/pleat

example: $(RELEASES:%=$(EXAMPLE)/users-%)
	@CGO_ENABLED=0 $(BUILD) -o bin/load ./examples/users/load

# Always asked, because go knows better than make whether sources changed.
$(EXAMPLE)/users-%: .FORCE
	@echo building $@
	@CGO_ENABLED=0 $(BUILD) -ldflags "-s -w -X main.version=$*" -o $@ ./examples/users

.PHONY: .FORCE
.FORCE:

demo: build ## releases and a schema change under load, then one that fails; less than a minute
	@CGO_ENABLED=0 $(BUILD) -o bin/demo ./examples/users/demo
	@$(WITH_POSTGRES) bin/demo

test: build ## the whole suite; 10 to 20 minutes on two cores
	@mkdir -p .build && rm -f .build/again.txt
	@$(WITH_CC) && $(WITH_PROMETHEUS) && $(WITH_POSTGRES) $(TWICE); status=$$?; \
		if [ -s .build/again.txt ]; then echo "tried again:"; cat .build/again.txt; fi; exit $$status

test-race: build ## the whole suite with the race detector; longer than that
	@$(WITH_CC) && $(WITH_PROMETHEUS) && $(WITH_POSTGRES) $(TEST) -race ./...

test-long: build ## the whole suite with every case and crash point, and the race detector; takes its time
	@$(WITH_CC) && $(WITH_PROMETHEUS) && $(WITH_POSTGRES) PLEAT_TEST_LONG=1 $(TEST) -race -timeout 2h ./...

test-versions: ## the schema suite on PostgreSQL 13 to 18, as far as they can be had
	@$(WITH_CC) && sh $(SETUP)/test_versions.sh $(GO)

# Not piped: a benchmark that fails must fail the target. Terraform's plans are
# bench-plan's alone: they take minutes.
bench: build ## figures, one a line: figure NAME VALUE UNIT
	@$(WITH_CC) && $(WITH_POSTGRES) $(GO) test -run '^$$' -bench . -skip '^BenchmarkTerraform$$' -benchtime 1x -timeout 30m ./... \
		>bin/bench.out || { cat bin/bench.out; exit 1; }
	@grep '^figure ' bin/bench.out

# What was left out is said on stderr: stdout is figures.
bench-plan: ## the planner's figures, beside Terraform's where it is installed; 6 minutes
	@mkdir -p bin
	@$(WITH_CC) && $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./planner >bin/bench-plan.out || { cat bin/bench-plan.out; exit 1; }
	@grep 'left out$$' bin/bench-plan.out >&2 || :
	@grep '^figure ' bin/bench-plan.out

# A variable and not a flag, so that it can be given to make as it is:
# PLEAT_BENCH_ROWS=10000000 make bench-schema
bench-schema: pleat ## schema changes under load, beside pgroll, golang-migrate and bare SQL; 15 minutes
	@$(BUILD) -o bin/bench-schema ./examples/bench
	@peers=$$(sh $(SETUP)/peers.sh bin/peers) && $(WITH_POSTGRES) \
		bin/bench-schema -skip '^(rollout|proxy)$$' -rows $${PLEAT_BENCH_ROWS:-1000000} $$peers $$PLEAT_BENCH_FLAGS

bench-rollout: pleat ## 200 instances by each strategy, deploys under load, the router beside HAProxy; 10 minutes
	@CGO_ENABLED=0 $(BUILD) -ldflags "-s -w" -o bin/bench-instance ./examples/bench/instance
	@$(BUILD) -o bin/bench-schema ./examples/bench
	@haproxy=$$(sh $(SETUP)/unpacked.sh haproxy .build/haproxy haproxy liblua5.3-0 libopentracing-c-wrapper0 libopentracing1) && $(WITH_POSTGRES) \
		bin/bench-schema -only '^(rollout|proxy)$$' -instance bin/bench-instance $${haproxy:+-haproxy $$haproxy} $$PLEAT_BENCH_FLAGS

lint: ## gofmt and go vet
	@unformatted=$$(gofmt -l .) && [ -z "$$unformatted" ] || { echo "not gofmt'ed:" $$unformatted; exit 1; }
	@$(WITH_CC) && $(GO) vet ./...

fmt: ## gofmt
	gofmt -w .

clean: ## what was built
	rm -rf bin .build $(EXAMPLE)

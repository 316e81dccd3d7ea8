# Targets that concern Go code run in every module of the workspace.
MODULES := $(shell go list -m -f '{{.Dir}}')
each     = @for dir in $(MODULES); do (cd "$$dir" && echo "$$dir: $(1)" && $(1)) || exit 1; done

GOLANGCI_LINT_VERSION := v2.15.0
GOVULNCHECK_VERSION   := v1.9.0
# A number of runs: with a time, go test now and then fails by its own deadline.
FUZZTIME              ?= 50000x
export GOBIN          := $(CURDIR)/.bin

.PHONY: help
help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: test
test: ## Run all tests
	$(call each,go test ./...)

.PHONY: race
race: ## Run all tests with the race detector
	$(call each,go test -race ./...)

.PHONY: alone
alone: ## Build and test each module as a user gets it, without the workspace
	$(call each,GOWORK=off go vet ./... && GOWORK=off go test ./...)

.PHONY: bench
bench: ## Measure side by side with others, write bench/RESULTS.md; BENCHFLAGS=-quick tries it
	cd bench && go run . $(BENCHFLAGS)

.PHONY: microbench
microbench: ## Run the benchmarks beside the code; set BENCH to choose some
	$(call each,go test -run '^$$' -bench '$(or $(BENCH),.)' ./...)

.PHONY: fuzz
fuzz: ## Run every fuzz target FUZZTIME times, or for as long
	@for dir in $(MODULES); do (cd "$$dir" && go list ./... | while read -r pkg; do \
		for target in $$(go test -list '^Fuzz' "$$pkg" | grep '^Fuzz'); do \
			echo "$$pkg $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x "$$pkg" || exit 1; \
		done || exit 1; \
	done) || exit 1; done

.PHONY: examples
examples: ## Run every example program once
	@./.ci/examples

.PHONY: lint
lint: $(GOBIN)/golangci-lint-$(GOLANGCI_LINT_VERSION) ## Run go vet and golangci-lint
	$(call each,go vet ./... && $< run ./...)

$(GOBIN)/golangci-lint-$(GOLANGCI_LINT_VERSION):
	go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	mv $(GOBIN)/golangci-lint $@

.PHONY: vuln
vuln: ## Look for known vulnerabilities, where their database can be reached
	@for dir in $(MODULES); do echo "$$dir"; \
		out=$$(cd "$$dir" && go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./... 2>&1); status=$$?; echo "$$out"; \
		case "$$status:$$out" in \
		0:*) ;; \
		*"fetching vulnerabilities"*) echo "the database cannot be reached: not checked" ;; \
		*) exit "$$status" ;; \
		esac; \
	done

.PHONY: verify
verify: ## Fail if code is not formatted or go.mod not tidy
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	$(call each,go mod tidy -diff)

.PHONY: ci
ci: ## Run all that CI runs
	@./.ci/run

# make lab        makes the notebook lab in .lab/ and opens JupyterLab in notebooks/ (PLUGIN=cuda13 or cuda12 for an NVIDIA GPU)
# make notebooks  runs all notebooks and compares what they put out with what is committed
# make test       all checks
# make bench      times the tutorial's calls against pyvene; writes bench/RESULTS.md
# make bench-cells         times cells of notebooks, with the engine, without, and beside PyTorch in a Python kernel; writes bench/CELLS.md
# make bench-transformer   times GPT-2 small against PyTorch and pyvene; writes bench/TRANSFORMER.md
# make bench-das           times steps of distributed alignment search against pyvene, PyTorch and JAX, and searches; writes bench/DAS.md
# make bench-alignments    trains networks of hierarchical equality and searches in them, beside PyTorch; writes docs/alignments.md
# make bench-sweep         times sweeps on GPT-2 small against TransformerLens, nnsight, pyvene and PyTorch's hooks; writes bench/SWEEP.md
# make bench-training      times steps of training a rotation against pyvene; writes bench/TRAINING.md
# make parity     compares 500 random cases with pyvene's answers
# make plugin     fetches the XLA plugin alone
PLUGIN = cpu
export GOMLX_NO_AUTO_INSTALL = 1
export PJRT_PLUGIN_LIBRARY_PATH = $(CURDIR)/.lab/pjrt
export GOFLAGS = -buildvcs=false
ifeq ($(shell go env GOARCH),amd64)
export GOEXPERIMENT = simd
endif

.PHONY: help setup lab notebooks test bench bench-alignments bench-cells bench-das bench-sweep bench-training bench-transformer parity plugin

help:
	@sed -n '/^#/!q; s/^# //p' Makefile

setup:
	@lab/setup $(PLUGIN)

plugin:
	@lab/plugin $(PLUGIN)

lab: setup
	@lab/start

notebooks: setup
	@.lab/venv/bin/python lab/notebooks.py check

bench: setup
	@bench/run.sh

parity:
	@internal/parity/run.sh

bench-cells: setup
	@bench/cells.sh

bench-das: setup
	@bench/das.sh

bench-alignments: setup
	@bench/alignments.sh

bench-sweep: setup
	@bench/sweep.sh

bench-training: setup
	@bench/training.sh

bench-transformer: setup
	@bench/transformer.sh

# The race detector runs without XLA, which takes long to compile, but for the backend's own tests, and without a check of pointers that the Go
# backend's SIMD fails. Through an engine a part is tested, and with GOVENE_LONG=1 all, on XLA, too.
ENGINE = $(CURDIR)/.lab/bin/govene-engine
PART = -short -run 'Golden|Invariant|Pyvene' ./interv/...
test: setup
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	.lab/bin/staticcheck ./...
	GOMLX_BACKEND=go:ops_sequential go test -count=1 -timeout=30m ./...
	go test -count=1 -tags=nohub,noxla ./internal/hub
	@$(ENGINE) stop go:ops_sequential 2>/dev/null || true
	GOVENE_ENGINE=$(ENGINE) GOMLX_BACKEND=resident:go:ops_sequential go test -count=1 $(if $(GOVENE_LONG),-timeout=60m ./...,$(PART))
	@$(ENGINE) stop go:ops_sequential
	GOMLX_BACKEND=go:ops_sequential go test -count=1 -timeout=30m -race -short -tags=noxla -gcflags=all=-d=checkptr=0 ./...
	@for target in darwin/arm64 windows/amd64 linux/arm64; do \
		echo "go build for $$target"; GOEXPERIMENT= CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} go build ./... || exit 1; done
	@if [ -e .lab/pjrt/pjrt_c_api_cpu_plugin.so ]; then echo "go test on xla:cpu"; GOMLX_BACKEND=xla:cpu go test -count=1 -timeout=30m ./... && \
		go test -count=1 -race -short -gcflags=all=-d=checkptr=0 ./backend && { [ -z "$${GOVENE_LONG:-}" ] || { \
		$(ENGINE) stop xla:cpu 2>/dev/null; GOVENE_ENGINE=$(ENGINE) GOMLX_BACKEND=resident:xla:cpu go test -count=1 -timeout=120m ./... && $(ENGINE) stop xla:cpu; }; }; \
	else echo "SKIPPED: no XLA plugin, so nothing ran on xla:cpu"; [ -z "$${CI:-}" ] || [ "$$(go env GOOS/GOARCH)" != linux/amd64 ]; fi
	@$(MAKE) --no-print-directory notebooks

# make test: all checks.  make plugin: the XLA CPU plugin.  make help: this list.
export GOMLX_NO_AUTO_INSTALL = 1
export PJRT_PLUGIN_LIBRARY_PATH = $(CURDIR)/.lab/pjrt
export GOFLAGS = -buildvcs=false
ifeq ($(shell go env GOARCH),amd64)
export GOEXPERIMENT = simd
endif

.PHONY: help plugin test

help:
	@sed -n 1p Makefile

plugin:
	@lab/plugin

test: plugin
	@unformatted=$$(gofmt -l backend bench interv internal); [ -z "$$unformatted" ] || { echo "gofmt: $$unformatted"; exit 1; }
	go vet ./...
	cd tools && GOEXPERIMENT= go build -o ../.lab/bin/staticcheck honnef.co/go/tools/cmd/staticcheck
	.lab/bin/staticcheck ./...
	GOMLX_BACKEND=go:ops_sequential go test -count=1 ./...
	GOMLX_BACKEND=go:ops_sequential go test -count=1 -race -short -gcflags=all=-d=checkptr=0 ./interv/... ./internal/...
	for target in darwin/arm64 windows/amd64 linux/arm64; do \
		echo "build $$target"; GOEXPERIMENT= CGO_ENABLED=0 GOOS=$${target%/*} GOARCH=$${target#*/} go build -tags=noxla ./... || exit 1; done
	@if [ -e .lab/pjrt/pjrt_c_api_cpu_plugin.so ]; then echo "go test on xla:cpu"; GOMLX_BACKEND=xla:cpu go test -count=1 ./...; \
	else echo "SKIPPED: no XLA plugin, so nothing ran on xla:cpu"; [ -z "$${CI:-}" ] || [ "$$(go env GOOS/GOARCH)" != linux/amd64 ]; fi

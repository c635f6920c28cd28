#!/usr/bin/env bash
# What to run on a machine with an NVIDIA GPU, which need not have Go: bench/cuda.sh build FOLDER makes a folder to carry there, and
# FOLDER/bench/cuda.sh run SITE there runs it. SITE is a Python's site-packages with jax-cuda13-plugin, torch and transformers.
# It holds the golden cases and transformers' logits, in float32 at full precision and in bfloat16, against xla:cuda, then times a Llama of
# 1.2 billion parameters in bfloat16 beside PyTorch, 64 × 128 tokens. BACKEND (xla:cuda), MODEL (-llama; empty for GPT-2 small), BATCH (64),
# LENGTH (128), CALLS (20), TESTS, PYTHON (python3) and SITE empty try it on a machine without one.
set -euo pipefail
cd "$(dirname "$0")/.."
case ${1:-} in
build)
	to=${2:?a folder}
	mkdir -p "$to/bench" "$to/internal/golden" "$to/interv/transformer"
	go build -buildvcs=false -ldflags="-s -w" -o "$to/precision" ./bench/precision
	go test -buildvcs=false -c -ldflags="-s -w" -o "$to/transformer.test" ./interv/transformer
	cp -r internal/golden/testdata "$to/internal/golden/"
	cp -r interv/transformer/testdata "$to/interv/transformer/"
	cp bench/cuda.sh bench/precision_pytorch.py "$to/bench/"
	;;
run)
	site=${2:-}
	export GOMLX_NO_AUTO_INSTALL=1 GOPJR_CUDA_CHECKS=0 GOMLX_BACKEND=${BACKEND:-xla:cuda}
	python=${PYTHON:-python3} batch=${BATCH:-64} length=${LENGTH:-128} calls=${CALLS:-20}
	if [ -n "$site" ]; then
		mkdir -p pjrt
		ln -sf "$site/jax_plugins/xla_cuda13/xla_cuda_plugin.so" pjrt/pjrt_c_api_cuda_plugin.so
		LD_LIBRARY_PATH=$(find "$site/nvidia" -name lib -type d | tr '\n' ':')${LD_LIBRARY_PATH:-}
		export LD_LIBRARY_PATH PJRT_PLUGIN_LIBRARY_PATH=$PWD/pjrt XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_cuda_data_dir=$site/nvidia/cu13"
	fi
	failed=0
	(cd interv/transformer && ../../transformer.test -test.run "${TESTS:-TestGolden|TestTransformersLogits|TestInvariantsInBFloat16|TestPrecision}") || failed=1
	model=$(mktemp -d)
	trap 'rm -rf "$model"' EXIT
	GOMLX_BACKEND=go ./precision ${MODEL--llama} -make "$model" -precision bfloat16
	for precision in bfloat16 float32; do
		./precision -folder "$model" -precision $precision -batch "$batch" -length "$length" -n "$calls"
		"$python" bench/precision_pytorch.py "$model" $precision "$batch" "$length" "$calls"
	done
	exit $failed
	;;
*)
	sed -n '2,6s/^# //p' "$0"
	exit 2
	;;
esac

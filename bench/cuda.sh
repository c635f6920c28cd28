#!/usr/bin/env bash
# What to run on a machine with an NVIDIA GPU, which need not have Go: bench/cuda.sh build FOLDER makes a folder to carry there, and
# FOLDER/bench/cuda.sh run SITE [PART ...] there runs it: lines of JSON on standard output, which bench/cuda_table.py makes CUDA.md of. SITE is a Python's
# site-packages with jax-cuda13-plugin, torch and transformers; PYVENE a folder with pyvene 0.1.8 and the packages that it needs of older versions.
# Parts, all if none is named:
#
#	golden      golden cases and transformers' logits, in float32 at full precision and in bfloat16
#	sweep       sweeps on GPT-2 small, twice in a process and again in a second one, through the engine; beside hooks in PyTorch, and pyvene
#	das         steps of rank 1, 16 and 128 in GPT-2 small, beside pyvene
#	precision   64 × 128 tokens on a Llama of 1.2 billion parameters, beside PyTorch
#	flags       what compiling and running take with XLA's options; FLAGS has those to try, a line each
#
# BACKEND (xla:cuda), MODEL (-llama; empty for GPT-2 small), BATCH (64), LENGTH (128), CALLS (20), TESTS, PYTHON (python3), DEVICE (cuda), SWEEPS and
# SITE empty try it on a machine without one.
set -euo pipefail
cd "$(dirname "$0")/.."

build() {
	local to=$1
	mkdir -p "$to/bench" "$to/internal/golden" "$to/interv/transformer"
	for program in precision sweep das; do
		go build -buildvcs=false -ldflags="-s -w" -o "$to/bench-$program" ./bench/$program
	done
	go build -buildvcs=false -ldflags="-s -w" -o "$to/govene-engine" ./cmd/govene-engine
	go test -buildvcs=false -c -ldflags="-s -w" -o "$to/transformer.test" ./interv/transformer
	cp -r internal/golden/testdata "$to/internal/golden/"
	cp -r interv/transformer/testdata "$to/interv/transformer/"
	cp bench/cuda.sh bench/*.py "$to/bench/"
}

setup() {
	local site=$1
	export GOMLX_NO_AUTO_INSTALL=1 GOPJRT_CUDA_CHECKS=0 GOMLX_BACKEND=${BACKEND:-xla:cuda} HF_HUB_OFFLINE=1
	export GOVENE_ENGINE=$PWD/govene-engine GOVENE_ENGINE_FOLDER=$work/engine
	[ -n "$site" ] || return 0
	mkdir -p pjrt
	ln -sf "$site/jax_plugins/xla_cuda13/xla_cuda_plugin.so" pjrt/pjrt_c_api_cuda_plugin.so
	LD_LIBRARY_PATH=$(find "$site/nvidia" -name lib -type d | tr '\n' ':')${LD_LIBRARY_PATH:-}
	export LD_LIBRARY_PATH PJRT_PLUGIN_LIBRARY_PATH=$PWD/pjrt XLA_FLAGS="${XLA_FLAGS:-} --xla_gpu_cuda_data_dir=$site/nvidia/cu13"
}

# questions makes a GPT-2 small with random weights, and what sweeps ask of it, once.
questions() {
	[ -e "$work/gpt2" ] || { mkdir "$work/gpt2" && GOMLX_BACKEND=go ./bench-sweep -make "$work/gpt2"; }
}

# golden runs tests side by side: what takes the time is compiling.
golden() {
	local begun=$SECONDS running=() each
	local tests=(TestGolden/^gpt2_ TestGolden/^llama_ 'TestGolden/^([^gl]|gemma|gpt_)' 'TestTransformersLogits$' TestTransformersLogitsInBFloat16 'TestInvariantsInBFloat16|TestPrecision')
	[ -z "${TESTS:-}" ] || tests=($TESTS)
	for each in "${tests[@]}"; do
		(cd interv/transformer && GOVENE_LONG=1 timeout "${PATIENCE:-1000}" ../../transformer.test -test.v -test.run "$each") >"$work/tests ${#running[@]}" 2>&1 &
		running+=($!)
	done
	for each in "${running[@]}"; do
		wait "$each" || failed=1
	done
	cat "$work/tests "* >"$work/golden"
	grep -A 20 -- "--- FAIL" "$work/golden" | head -n 60 >&2 || true
	counted() { grep -c -- "^ *--- $1" "$work/golden" || true; }
	echo "{\"name\": \"golden\", \"pass\": $(counted PASS), \"fail\": $(counted FAIL), \"skip\": $(counted SKIP), \"seconds\": $((SECONDS - begun))}"
}

sweep() {
	questions
	local ours=(./bench-sweep -folder "$work/gpt2" -only "$sweeps" -again) precision
	for precision in float32 bfloat16; do
		"${ours[@]}" -precision $precision -out "$work/govene $precision.json" | note "\"dtype\": \"$precision\""
	done
	for process in first second; do
		GOMLX_BACKEND=resident:$GOMLX_BACKEND "${ours[@]}" | note "\"dtype\": \"float32\", \"process\": \"$process\""
	done
	./govene-engine stop "$GOMLX_BACKEND"
	for precision in float32 bfloat16; do
		"$python" bench/sweep_peers.py hooks "$work/gpt2" -sweeps "$sweeps" -device "$device" -dtype $precision -again -out "$work/hooks $precision.json" | note "\"dtype\": \"$precision\""
	done
	PYTHONPATH=${PYVENE:-} "$python" bench/sweep_peers.py pyvene "$work/gpt2" -sweeps "$sweeps" -device "$device" -again -out "$work/pyvene float32.json" | note '"dtype": "float32"'
	"$python" bench/cuda_table.py compare "$work"
}

das() {
	local rank
	for rank in 1 16 128; do
		./bench-das -rank $rank -steps 50
	done
	PYTHONPATH=${PYVENE:-} "$python" bench/das_pyvene.py "$device" 1 16 128
}

precision() {
	mkdir -p "$work/model"
	GOMLX_BACKEND=go ./bench-precision ${MODEL--llama} -make "$work/model" -precision bfloat16
	local precision
	for precision in bfloat16 float32; do
		./bench-precision -folder "$work/model" -precision $precision -batch "$batch" -length "$length" -n "$calls"
		"$python" bench/precision_pytorch.py "$work/model" $precision "$batch" "$length" "$calls"
	done
}

flags() {
	questions
	local tried
	while IFS= read -r tried; do
		export XLA_FLAGS="$before $tried"
		./bench-sweep -folder "$work/gpt2" -only positions8 -again | note "\"flags\": \"$tried\"" || failed=1
		for precision in float32 bfloat16; do
			./bench-precision -folder "$work/gpt2" -precision $precision -batch "$batch" -length "$length" -n "$calls" | note "\"flags\": \"$tried\"" || failed=1
		done
	done <<<"${FLAGS:-}"
	export XLA_FLAGS=$before
}

# note adds to lines of JSON.
note() { sed "s/}\$/, $(sed 's/[&/]/\\&/g' <<<"$1")}/"; }

case ${1:-} in
build)
	build "${2:?a folder}"
	;;
run)
	site=${2:-}
	python=${PYTHON:-python3} device=${DEVICE:-cuda} sweeps=${SWEEPS:-positions8,heads,positions32,attribution,paths}
	batch=${BATCH:-64} length=${LENGTH:-128} calls=${CALLS:-20} failed=0
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
	setup "$site"
	before=${XLA_FLAGS:-}
	"$python" bench/cuda_table.py machine
	parts=("${@:3}")
	[ ${#parts[@]} -gt 0 ] || parts=(golden sweep das precision flags)
	set +e # one that fails leaves the others
	for part in "${parts[@]}"; do
		echo "$part, after $SECONDS s" >&2
		(
			set -e
			failed=0
			$part
			exit $failed
		) || failed=1
	done
	echo "done, after $SECONDS s" >&2
	exit $failed
	;;
*)
	sed -n '2,16s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac

#!/usr/bin/env bash
# Times the GRU tutorial's calls on pyvene (PyTorch) and on Govene, on XLA and in pure Go, by turns on equal threads, and then cells of a
# notebook; writes RESULTS.md. THREADS (1), ROUNDS (3) and PYTHON (python3.11) may be set. The lab must be there: make bench sees to it.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-1}
rounds=${ROUNDS:-3}

# The virtual environment holds the requirements that it was made from, and is made again where they differ.
environment=.lab/bench-venv
if ! cmp -s bench/requirements.txt "$environment/requirements.txt"; then
	echo "Installing pyvene 0.0.5 and PyTorch into $environment (a download of about 2.5 GB, once)."
	"${PYTHON:-python3.11}" -m venv --clear "$environment"
	"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps -r bench/requirements.txt
	cp bench/requirements.txt "$environment/requirements.txt"
fi

export GOMLX_NO_AUTO_INSTALL=1 PJRT_PLUGIN_LIBRARY_PATH=$PWD/.lab/pjrt
[ "$(go env GOARCH)" != amd64 ] || export GOEXPERIMENT=simd
go build -buildvcs=false -o .lab/bin/bench-gru ./bench/gru

backends=go:ops_sequential
if [ -e .lab/pjrt/pjrt_c_api_cpu_plugin.so ]; then
	backends="xla:cpu $backends"
else
	echo "No XLA plugin in .lab/pjrt (make plugin fetches it), so nothing is measured on xla:cpu."
fi

# Thread pools and schedulers get the number of threads; where there is taskset, the process gets as many cores too.
pinned() {
	local pin=(taskset -c "0-$((threads - 1))")
	command -v taskset >/dev/null || pin=()
	OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads GOMAXPROCS=$threads ${pin[@]+"${pin[@]}"} "$@"
}
lines=$(mktemp)
results=$(mktemp)
trap 'rm -f "$lines" "$results"' EXIT
for round in $(seq "$rounds"); do
	echo "Round $round of $rounds: pyvene, then Govene on $backends."
	pinned "$environment/bin/python" bench/pyvene_gru.py >>"$lines"
	for backend in $backends; do
		GOMLX_BACKEND=$backend pinned .lab/bin/bench-gru >>"$lines"
	done
done
"$environment/bin/python" bench/calls.py "$threads" "$rounds" <"$lines" >"$results"
echo "Cells of a notebook."
.lab/venv/bin/python bench/cells.py >>"$results"
cat "$results" | tee bench/RESULTS.md

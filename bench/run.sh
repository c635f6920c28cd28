#!/usr/bin/env bash
# Times the GRU tutorial's calls on pyvene (PyTorch) and on Govene, on XLA and in pure Go, one after the other on equal threads, and writes RESULTS.md.
# THREADS (1), ROUNDS (3) and PYTHON (python3, which must be 3.11) may be set.
set -eu
cd "$(dirname "$0")/.."
threads=${THREADS:-1}
rounds=${ROUNDS:-3}

# The virtual environment holds the requirements that it was made from, and is made again where they differ.
environment=.lab/bench-venv
if ! cmp -s bench/requirements.txt "$environment/requirements.txt"; then
	echo "Installing pyvene 0.0.5 and PyTorch into $environment (a download of about 2.5 GB, once)." >&2
	"${PYTHON:-python3}" -m venv --clear "$environment"
	"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r bench/requirements.txt
	cp bench/requirements.txt "$environment/requirements.txt"
fi

export GOMLX_NO_AUTO_INSTALL=1 PJRT_PLUGIN_LIBRARY_PATH=$PWD/.lab/pjrt
[ "$(go env GOARCH)" != amd64 ] || export GOEXPERIMENT=simd
go build -buildvcs=false -o .lab/bin/bench-gru ./bench/gru

backends=go:ops_sequential
if [ -e .lab/pjrt/pjrt_c_api_cpu_plugin.so ]; then
	backends="xla:cpu $backends"
else
	echo "No XLA plugin in .lab/pjrt (make plugin fetches it), so nothing is measured on xla:cpu." >&2
fi

# Thread pools and schedulers get the number of threads; where there is taskset, the process gets as many cores too.
export OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads GOMAXPROCS=$threads
pinned() { if command -v taskset >/dev/null; then taskset -c "0-$((threads - 1))" "$@"; else "$@"; fi; }
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for round in $(seq "$rounds"); do
	echo "Round $round of $rounds: pyvene, then Govene on $backends." >&2
	pinned "$environment/bin/python" bench/pyvene_gru.py >>"$lines"
	for backend in $backends; do
		GOMLX_BACKEND=$backend pinned .lab/bin/bench-gru >>"$lines"
	done
done
"$environment/bin/python" bench/table.py "$threads" "$rounds" <"$lines" | tee bench/RESULTS.md

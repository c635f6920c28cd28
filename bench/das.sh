#!/usr/bin/env bash
# Times a step of distributed alignment search on the network of hierarchical equality on Govene, on XLA and in pure Go, on pyvene, and by hand in
# PyTorch and JAX, on equal threads, and whole searches; then trains networks and searches in them, beside a loop in PyTorch. Writes DAS.md and
# docs/alignments.md. NETWORKS (5 with weight decay and 5 without; 0 for none), THREADS (1) and PYTHON (python3.11) may be set. The lab must be
# there: make bench-das sees to it.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-1} networks=${NETWORKS:-5}
. bench/common.sh
with_jax=.lab/bench-jax-venv
if ! "$with_jax/bin/python" -c "import jax" 2>/dev/null; then
	"${PYTHON:-python3.11}" -m venv --clear "$with_jax"
	"$with_jax/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2
fi
go build -buildvcs=false -o .lab/bin/bench-das ./bench/das

lines=$(mktemp) folder=$(mktemp -d)
trap 'rm -rf "$lines" "$folder"' EXIT
PYTHONPATH=$newer_pyvene pinned "$environment/bin/python" bench/das_pyvene.py >>"$lines"
pinned "$environment/bin/python" bench/das_pytorch.py >>"$lines"
pinned "$with_jax/bin/python" bench/das_jax.py >>"$lines"
for backend in $backends; do
	GOMLX_BACKEND=$backend pinned .lab/bin/bench-das >>"$lines"
done
GOMLX_BACKEND=${backends%% *} pinned .lab/bin/bench-das -searches -steps 1000 >>"$lines"
"$environment/bin/python" bench/das_table.py "$threads" <"$lines" | tee bench/DAS.md
if [ "$networks" -gt 0 ]; then
	: >"$lines"
	GOMLX_BACKEND=${backends%% *} pinned .lab/bin/bench-das -equality "$folder" -networks "$networks" >>"$lines"
	pinned "$environment/bin/python" bench/das_pytorch.py "$folder" >>"$lines"
	pinned "$environment/bin/python" bench/das_networks.py '[{"rate": 3e-3, "steps": 10000}, {"rate": 1e-3, "steps": 10000},
		{"rate": 3e-3, "decay": 0.1, "steps": 10000}, {"rate": 3e-3, "decay": 0.1, "inputs": "uniform", "steps": 10000},
		{"rate": 3e-3, "steps": 20000}, {"rate": 3e-3, "decay": 0.1, "steps": 20000}]' 6 >>"$lines"
	"$environment/bin/python" bench/das_alignments.py <"$lines" | tee docs/alignments.md
fi

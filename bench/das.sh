#!/usr/bin/env bash
# Times a step of distributed alignment search on the network of hierarchical equality on Govene, on XLA and in pure Go, on pyvene, and by hand in
# PyTorch and JAX, on equal threads, then whole searches, steps in GPT-2, and a tutorial from data to accuracies. Writes DAS.md, in ten minutes.
# THREADS (1) and PYTHON (python3.11) may be set. The lab must be there: make bench-das sees to it.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-1}
. bench/common.sh
with_jax=.lab/bench-jax-venv
if ! "$with_jax/bin/python" -c "import jax" 2>/dev/null; then
	"${PYTHON:-python3.11}" -m venv --clear "$with_jax"
	"$with_jax/bin/python" -m pip install --quiet --disable-pip-version-check jax==0.10.2
fi
go build -buildvcs=false -o .lab/bin/bench-das ./bench/das

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
PYTHONPATH=$newer_pyvene pinned "$environment/bin/python" bench/das_pyvene.py >>"$lines"
PYTHONPATH=$newer_pyvene pinned "$environment/bin/python" bench/das_tutorial.py >>"$lines"
pinned "$environment/bin/python" bench/das_pytorch.py >>"$lines"
pinned "$with_jax/bin/python" bench/das_jax.py >>"$lines"
for backend in $backends; do
	steps=1000
	[ "$backend" = xla:cpu ] || steps=100
	GOMLX_BACKEND=$backend pinned .lab/bin/bench-das >>"$lines"
	GOMLX_BACKEND=$backend pinned .lab/bin/bench-das -searches -steps "$steps" >>"$lines"
	GOMLX_BACKEND=$backend pinned .lab/bin/bench-das -tutorial >>"$lines"
done
"$environment/bin/python" bench/das_table.py "$threads" <"$lines" >"$lines.md" && mv "$lines.md" bench/DAS.md
cat bench/DAS.md

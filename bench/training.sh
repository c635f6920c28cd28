#!/usr/bin/env bash
# Times steps of distributed alignment search at width 768 on Govene, on XLA and in pure Go, and on pyvene, on equal threads; writes
# TRAINING.md. STEPS (200, of Govene), PEER_STEPS (50, of pyvene), THREADS (1) and PYTHON (python3.11) may be set. The lab must be there:
# make bench-training sees to it.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-1}
. bench/common.sh
go build -buildvcs=false -o .lab/bin/bench-training ./bench/training

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
echo "pyvene, then Govene on $backends."
PYTHONPATH=$newer_pyvene pinned "$environment/bin/python" bench/training_pyvene.py -steps "${PEER_STEPS:-50}" >>"$lines"
for backend in $backends; do
	GOMLX_BACKEND=$backend pinned .lab/bin/bench-training -steps "${STEPS:-200}" >>"$lines"
done
"$environment/bin/python" bench/training_table.py "$threads" <"$lines" | tee bench/TRAINING.md

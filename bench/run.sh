#!/usr/bin/env bash
# Times the GRU tutorial's calls on pyvene (PyTorch) and on Govene, on XLA and in pure Go, by turns on equal threads; writes RESULTS.md.
# THREADS (1), ROUNDS (3) and PYTHON (python3.11) may be set. The lab must be there: make bench sees to it.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-1}
rounds=${ROUNDS:-3}

load=$(python3 -c 'import os; print(round(os.getloadavg()[0], 1))')
. bench/common.sh
go build -buildvcs=false -o .lab/bin/bench-gru ./bench/gru

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
"$environment/bin/python" bench/calls.py "$threads" "$rounds" "$load" <"$lines" >"$results"
cat "$results" | tee bench/RESULTS.md

#!/usr/bin/env bash
# Times GPT-2 small with random weights on Govene, on XLA and in pure Go, on PyTorch and on pyvene, by turns on equal threads; writes
# TRANSFORMER.md. THREADS (2), ROUNDS (3), CALLS (10) and PYTHON (python3.11) may be set. The lab must be there: make bench-transformer
# sees to it.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-2}
rounds=${ROUNDS:-3}
calls=${CALLS:-10}
. bench/common.sh
go build -buildvcs=false -o .lab/bin/bench-transformer ./bench/transformer

lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
for round in $(seq "$rounds"); do
	echo "Round $round of $rounds: PyTorch, pyvene, then Govene on $backends."
	pinned "$environment/bin/python" bench/transformer_pytorch.py pytorch -n "$calls" >>"$lines"
	PYTHONPATH=$newer_pyvene pinned "$environment/bin/python" bench/transformer_pytorch.py pyvene -n "$calls" >>"$lines"
	for backend in $backends; do
		GOMLX_BACKEND=$backend pinned .lab/bin/bench-transformer -n "$calls" >>"$lines"
	done
done
"$environment/bin/python" bench/transformer_table.py "$threads" "$rounds" "$calls" <"$lines" | tee bench/TRANSFORMER.md

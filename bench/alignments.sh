#!/usr/bin/env bash
# Trains networks on hierarchical equality and searches in them, beside a loop in PyTorch, and writes docs/alignments.md: hours on one core.
# NETWORKS (5 with weight decay and 5 without), THREADS (1) and PYTHON (python3.11) may be set. The lab must be there: make bench-alignments sees to it.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-1}
. bench/common.sh
go build -buildvcs=false -o .lab/bin/bench-das ./bench/das

lines=$(mktemp) folder=$(mktemp -d)
trap 'rm -rf "$lines" "$folder"' EXIT
GOMLX_BACKEND=${backends%% *} pinned .lab/bin/bench-das -equality "$folder" -networks "${NETWORKS:-5}" >>"$lines"
pinned "$environment/bin/python" bench/das_pytorch.py "$folder" >>"$lines"
pinned "$environment/bin/python" bench/das_networks.py '[{"rate": 3e-3, "steps": 10000}, {"rate": 1e-3, "steps": 10000},
	{"rate": 3e-3, "decay": 0.1, "steps": 10000}, {"rate": 3e-3, "decay": 0.1, "inputs": "uniform", "steps": 10000},
	{"rate": 3e-3, "steps": 20000}, {"rate": 3e-3, "decay": 0.1, "steps": 20000}]' 6 >>"$lines"
"$environment/bin/python" bench/das_alignments.py <"$lines" | tee docs/alignments.md

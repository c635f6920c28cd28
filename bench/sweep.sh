#!/usr/bin/env bash
# Times sweeps on GPT-2 small with random weights on Govene, on XLA and in pure Go, and on its peers, on equal threads and with the same questions,
# and compares every number; writes SWEEP.md. THREADS (2), PEERS, SWEEPS (of the peers) and PYTHON (python3.11) may be set. The lab must be there: make bench-sweep sees
# to it. It takes about forty minutes, nearly all of them the peers'.
set -euo pipefail
cd "$(dirname "$0")/.."
threads=${THREADS:-2}
peers=${PEERS:-hooks transformer_lens nnsight pyvene}
all=positions8,heads,positions32,attribution,paths
. bench/common.sh
go build -buildvcs=false -o .lab/bin/bench-sweep ./bench/sweep

sweep_environment=.lab/bench-sweep
if ! cmp -s bench/sweep_requirements.txt "$sweep_environment/requirements.txt"; then
	rm -rf "$sweep_environment"
	"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --target "$sweep_environment" -r bench/sweep_requirements.txt
	cp bench/sweep_requirements.txt "$sweep_environment/requirements.txt"
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
lines=$folder/lines
GOMLX_BACKEND=go:ops_sequential .lab/bin/bench-sweep -make "$folder"
for backend in $backends; do
	echo "Govene on $backend."
	GOMLX_BACKEND=$backend pinned .lab/bin/bench-sweep -folder "$folder" -out "$folder/${backend%%:*}.json" >>"$lines"
done
GOMLX_BACKEND=${backends%% *} pinned .lab/bin/bench-sweep -growth bench/sweep_growth.svg >>"$lines"
for peer in $peers; do
	echo "$peer."
	HF_HUB_OFFLINE=1 PYTHONPATH=$sweep_environment:$newer_pyvene pinned "$environment/bin/python" bench/sweep_peers.py "$peer" "$folder" -sweeps "${SWEEPS:-$all}" -out "$folder/$peer.json" >>"$lines"
done
"$environment/bin/python" bench/sweep_table.py "$threads" "$folder" <"$lines" | tee bench/SWEEP.md

#!/usr/bin/env bash
# Times cells of notebooks on models that stay in the engine, on models that every cell loads, and beside a Python kernel that holds them, and calls
# through the engine beside calls in one process; writes CELLS.md. The models, GPT-2 small and a Llama of 1.2 billion parameters with random
# weights (3.1 GB on disk), are made in a temporary folder. SMALL=1 leaves the Llama out; PYTHON (python3.11) may be set. The lab must be
# there: make bench-cells sees to it.
#
# CONFIGURATION (xla:cpu) is where models run, xla:cuda on an NVIDIA GPU, PyTorch's beside them; other than xla:cpu it goes to the standard output
# alone. WARM (9) is how many cells follow a notebook's first, half as many where they link XLA. WITHOUT leaves parts out, with commas between them:
# loaded (cells that link XLA), notebooks (that run at once), loaded-notebooks (those of them whose cells link XLA), calls.
set -euo pipefail
cd "$(dirname "$0")/.."
load=$(python3 -c 'import os; print(round(os.getloadavg()[0], 1))')
. bench/common.sh
export CONFIGURATION=${CONFIGURATION:-xla:cpu}
plugin=${CONFIGURATION#xla:}
[ -e ".lab/pjrt/pjrt_c_api_${plugin%%,*}_plugin.so" ] || { echo "There is no plugin for $CONFIGURATION in .lab/pjrt." >&2; exit 1; }
bin=.lab/bin
go build -buildvcs=false -ldflags=-w -o $bin/govene-engine ./cmd/govene-engine
go build -buildvcs=false -o $bin/bench-gru ./bench/gru
go build -buildvcs=false -o $bin/bench-precision ./bench/precision

folder=$(mktemp -d)
export GOVENE_ENGINE=$PWD/$bin/govene-engine GOVENE_ENGINE_FOLDER=$folder/engine
trap '$bin/govene-engine stop "$CONFIGURATION" 2>/dev/null || true; rm -rf "$folder"' EXIT
echo "Making the models."
GOMLX_BACKEND=go $bin/bench-precision -make "$folder/gpt2"
[ -n "${SMALL:-}" ] || GOMLX_BACKEND=go $bin/bench-precision -llama -make "$folder/llama" -precision bfloat16

lines=$folder/lines
if [[ ,${WITHOUT:-}, != *,calls,* ]]; then
	for backend in "$CONFIGURATION" "resident:$CONFIGURATION"; do
		echo "Calls on $backend."
		GOMLX_BACKEND=$backend $bin/bench-gru -read -n 5000 >>"$lines"
		GOMLX_BACKEND=$backend $bin/bench-precision -folder "$folder/gpt2" -batch 1 -length 32 -n 50 >>"$lines"
	done
	$bin/govene-engine stop "$CONFIGURATION"
fi
.lab/venv/bin/python bench/cells.py "$folder" "$load" "$environment/bin/python" | tee "$folder/cells.md"
[ "$CONFIGURATION" != xla:cpu ] || cp "$folder/cells.md" bench/CELLS.md

#!/usr/bin/env bash
# Draws random cases, lets pyvene 0.1.8 (PyTorch, float64) say what comes out, and runs them in Govene: internal/parity/run.sh
# COUNT (500), SEED (1) and PYTHON (python3.11) may be set, and GOMLX_BACKEND (go:ops_sequential). The cases are left in .lab/parity.
set -euo pipefail
cd "$(dirname "$0")/../.."
environment=.lab/parity-venv
wanted=$(mktemp)
trap 'rm -f "$wanted"' EXIT
{ grep -v '^pyvene==' bench/requirements.txt; cat internal/parity/requirements.txt; } >"$wanted"
if ! cmp -s "$wanted" "$environment/requirements.txt"; then
	echo "Installing pyvene 0.1.8 and PyTorch into $environment (a download of about 2.5 GB, once)."
	"${PYTHON:-python3.11}" -m venv --clear "$environment"
	"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps -r "$wanted"
	cp "$wanted" "$environment/requirements.txt"
fi
count=${COUNT:-500}
PYTHONDONTWRITEBYTECODE=1 "$environment/bin/python" internal/parity/generate.py .lab/parity --count "$count" --seed "${SEED:-1}"

export GOMLX_NO_AUTO_INSTALL=1 PJRT_PLUGIN_LIBRARY_PATH=$PWD/.lab/pjrt GOVENE_GOLDEN=$PWD/.lab/parity
export GOMLX_BACKEND=${GOMLX_BACKEND:-go:ops_sequential}
[ "$(go env GOARCH)" != amd64 ] || export GOEXPERIMENT=simd
results=.lab/parity/results.txt
status=0
go test -buildvcs=false -count=1 -timeout=60m -v -run 'TestGolden$' ./interv/mlp ./interv/transformer >"$results" 2>&1 || status=$?
passed=$(grep -c -- '--- PASS: TestGolden/parity_' "$results" || true)
echo "$passed of $count cases within 1e-5 on $GOMLX_BACKEND; all results: $results"
if [ "$status" != 0 ] || [ "$passed" != "$count" ]; then
	grep -A 3 -- '^=== RUN .*/parity_' "$results" | grep -B 1 'golden_test.go' | cut -c1-300 || tail -20 "$results"
	exit 1
fi

# What the measurements share: sourced by run.sh, cells.sh, das.sh, sweep.sh, training.sh and transformer.sh, in the checkout's root, with $threads set.

# The virtual environment holds the requirements that it was made from, and is made again where they differ.
environment=.lab/bench-venv
if ! cmp -s bench/requirements.txt "$environment/requirements.txt"; then
	echo "Installing pyvene 0.0.5 and PyTorch into $environment (a download of about 2.5 GB, once)."
	"${PYTHON:-python3.11}" -m venv --clear "$environment"
	"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps -r bench/requirements.txt
	cp bench/requirements.txt "$environment/requirements.txt"
fi

# pyvene's last release beside the environment of 0.0.5, whose other packages serve it too.
newer_pyvene=.lab/bench-pyvene-0.1.8
if [ ! -d "$newer_pyvene" ]; then
	"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --target "$newer_pyvene" pyvene==0.1.8
fi

export GOMLX_NO_AUTO_INSTALL=1 PJRT_PLUGIN_LIBRARY_PATH=$PWD/.lab/pjrt
[ "$(go env GOARCH)" != amd64 ] || export GOEXPERIMENT=simd

backends=go:ops_sequential
if [ -e .lab/pjrt/pjrt_c_api_cpu_plugin.so ]; then
	backends="xla:cpu $backends"
else
	echo "No XLA plugin in .lab/pjrt (make plugin fetches it), so nothing is measured on xla:cpu."
fi

# Thread pools and schedulers get the number of threads; where there is taskset, the process gets as many cores too.
pinned() {
	local pin=(taskset -c "0-$((threads - 1))")
	command -v taskset >/dev/null || pin=()
	OMP_NUM_THREADS=$threads MKL_NUM_THREADS=$threads GOMAXPROCS=$threads ${pin[@]+"${pin[@]}"} "$@"
}

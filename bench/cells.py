"""Times warm cells of a notebook in the lab's own kernel and prints the medians as Markdown: .lab/venv/bin/python bench/cells.py

A cell is compiled, linked and run as a process of its own. Each one here differs from those before, as a reader's would, patches the
GRU tutorial's toy model and prints the result. Time is counted from the request to the kernel's being idle again.
"""

import os
import pathlib
import statistics
import time

LAB = pathlib.Path(__file__).resolve().parent.parent / ".lab"
os.environ.pop("JUPYTER_PATH", None)
for kind in "config", "data", "runtime":
    os.environ[f"JUPYTER_{kind.upper()}_DIR"] = str(LAB / "jupyter" / kind)

from jupyter_client.manager import start_new_kernel  # noqa: E402 (it reads the environment when it is imported)

CELLS = 9
KINDS = {  # what is measured: the lines that set the kernel up for it
    "XLA linked": "",
    "without XLA": "%goflags -tags=noxla\n",
    "XLA linked and used": "%env GOMLX_BACKEND xla:cpu\n",
    "XLA used in the engine, not linked": "%goflags -tags=noxla\n%env GOMLX_BACKEND resident:xla:cpu\n",
}
DECLARATIONS = """
import (
	"fmt"
	"sync"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

var model = gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
var engine = sync.OnceValue(backend.Parameters(42).MustNew)
var patch = sync.OnceValue(func() *interv.Intervenable {
	return interv.MustNew(engine(), model, interv.Config{Representations: []interv.Representation{
		{Component: gru.CellOutput, Unit: interv.Step, Intervention: interv.Vanilla{}}}})
})

func embeds(flat ...float32) interv.Inputs {
	return interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions(flat, 1, 3, 2)}
}
"""
CELL = """%%
result := patch().MustRun(interv.Call{{
	Base:      embeds(1, 2, 3, 4, 5, {number}),
	Sources:   []interv.Inputs{{embeds(6, 5, 4, 3, 2, 1)}},
	Locations: []*interv.Location{{interv.FromTo(interv.Repeat(1, 0), interv.Repeat(1, 2))}},
}})
fmt.Println(result.Output)
"""


def main():
    print("\n## Warm cells of a notebook\n\n| cell | median | slowest |\n| --- | ---: | ---: |")
    for kind, setup in KINDS.items():
        times = measure(setup)
        print(f"| {kind} | {statistics.median(times):.2f} s | {max(times):.2f} s |", flush=True)
    print(f"\nOf {CELLS} cells each, after two to warm up; each is compiled, linked and run, and patches the GRU tutorial's toy model.")


def measure(setup):
    """The times of warm cells in seconds, in a kernel of their own."""
    with open(LAB / "kernel.log", "w") as log:
        manager, client = start_new_kernel(kernel_name="gonb", stderr=log)
        try:
            execute(client, "%noautoget\n" + setup + DECLARATIONS)
            times = [execute(client, CELL.format(number=number), wants="float32") for number in range(CELLS + 2)]
            return times[2:]
        finally:
            client.stop_channels()
            manager.shutdown_kernel()  # asked, not killed, so that it ends its gopls


def execute(client, code, wants=""):
    """The time to run a cell whose output must contain what it wants."""
    printed = []

    def hear(message):
        content = message["content"]
        printed.append(content.get("text") or "\n".join(content.get("traceback", [])))

    start = time.perf_counter()
    reply = client.execute_interactive(code, output_hook=hear, timeout=300)
    elapsed = time.perf_counter() - start
    text = "".join(printed)
    if reply["content"]["status"] != "ok" or wants not in text:
        raise SystemExit(f"cells.py: a cell failed:\n{code}\n{text}")
    return elapsed


main()

"""Times cells of notebooks and writes CELLS.md to its standard output; bench/cells.sh makes what it needs and calls it, and says what may be set.

A cell of the lab's kernel is compiled, linked and run as a process of its own. Each one here differs from those before, as a reader's would:
it patches another position and plots what comes of it. Time is counted from the request to the kernel's being idle again.
"""

import concurrent.futures
import contextlib
import datetime
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import threading
import time

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
LAB = CHECKOUT / ".lab"
FOLDER, LOAD, PYTHON = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
ENGINE, CONFIGURATION = os.environ["GOVENE_ENGINE"], os.environ.get("CONFIGURATION", "xla:cpu")
DEVICE = "cuda" if "cuda" in CONFIGURATION else "cpu"  # PyTorch's
WARM, NOTEBOOKS = int(os.environ.get("WARM", 9)), 8
WITHOUT = os.environ.get("WITHOUT", "").split(",")


def said(*command):
    """What a program says of the machine, by lines."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()


CGO, VERSION = said("go", "env", "CGO_ENABLED", "GOVERSION")
GPU = said("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")[0] if DEVICE == "cuda" else ""
LINKS = CGO == "1" and "loaded" not in WITHOUT  # whether there are cells that link XLA

# Kernels of this run alone: the lab's, on the code of this checkout, and one of the environment in which PyTorch is.
kernels = FOLDER / "jupyter" / "kernels"
lab = json.loads((LAB / "venv/share/jupyter/kernels/gonb/kernel.json").read_text())
lab["argv"] = [re.sub("^-go_work=.*", f"-go_work={CHECKOUT}", argument) for argument in lab["argv"]]
lab["env"].pop("GOVENE_RESIDENT", None)  # each cell's backend is named
if "noxla" not in lab["env"]["GOFLAGS"]:
    sys.exit("cells.py: this lab's cells link XLA: lab/setup makes one with the engine")
packages = next((LAB / "venv/lib").glob("python3*/site-packages"))
python = {"argv": [PYTHON, "-m", "ipykernel_launcher", "-f", "{connection_file}"], "display_name": "Python", "language": "python",
          "env": {"PYTHONPATH": str(packages), "MPLBACKEND": "agg", "HF_HUB_OFFLINE": "1"}}
for name, spec in {"go": lab, "pytorch": python}.items():
    (kernels / name).mkdir(parents=True)
    (kernels / name / "kernel.json").write_text(json.dumps(spec))
os.environ["JUPYTER_PATH"] = str(FOLDER / "jupyter")
for kind in "config", "data", "runtime":
    os.environ[f"JUPYTER_{kind.upper()}_DIR"] = str(FOLDER / kind)
os.environ["IPYTHONDIR"] = str(FOLDER / "ipython")

import psutil  # noqa: E402
from jupyter_client.manager import start_new_kernel  # noqa: E402 (it reads the environment when it is imported)

GO = """%noautoget
{setup}
import (
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/{package}"
	"github.com/govene/govene/plotting"
	"github.com/govene/govene/plotting/nb"
)

var (
	engine = sync.OnceValue(func() compute.Backend {{ return backend.Parameters(model().Weights().Size()).MustNew() }})
	patch  = sync.OnceValue(func() *interv.Intervenable {{
		return interv.MustNew(engine(), model(), interv.Single(0, {package}.{component}, interv.Vanilla{{}}))
	}})
)

func show[T plotting.Value | float32](names []string, values []T) {{
	frame := plotting.MustFrame(plotting.NewColumn("output", names), plotting.NewColumn("value", values))
	nb.MustShow(plotting.New(frame, plotting.Aes{{X: "output", Y: "value"}}).Add(plotting.Bar{{}}))
	fmt.Println(names, values)
}}
"""

GO_GRU = GO + """
var model = sync.OnceValue(func() *gru.Model {{ return gru.MustNewClassifier(gru.Config{{Layers: 1, Width: 2}}, 42) }})

func steps(from float32) interv.Inputs {{
	values := make([]float32, 20)
	for i := range values {{
		values[i] = from + float32(i)/20
	}}
	return interv.Inputs{{"inputs_embeds": tensors.FromFlatDataAndDimensions(values, 1, 10, 2)}}
}}
"""
GO_GRU_CELL = """%%
at := interv.FromTo(interv.Repeat(1, 3), interv.Repeat(1, {position}))
result := patch().MustRun(interv.Interchange(steps(0), steps(-1), at))
show([]string{{"class 0", "class 1"}}, tensors.MustCopyFlatData[float32](result.Output))
"""

GO_TRANSFORMER = GO.replace('	"github.com/govene/govene/plotting"', '	"github.com/govene/govene/interv/metric"\n	"github.com/govene/govene/plotting"') + """
var model = sync.OnceValue(func() *transformer.Model {{ return transformer.MustLoad("{folder}"{precision}) }})

func ids(first int32) interv.Inputs {{
	values := make([]int32, 16)
	for i := range values {{
		values[i] = first + int32(i)*97
	}}
	return interv.Inputs{{interv.InputIDs: tensors.FromFlatDataAndDimensions(values, 1, 16)}}
}}
"""
GO_TRANSFORMER_CELL = """%%
at := interv.FromTo(interv.Repeat(1, {position}), interv.Repeat(1, {position}))
result := patch().MustRun(interv.Interchange(ids(1), ids(5000), at, metric.TopTokens{{K: 8}}))
tops, err := metric.Tops(result.Metrics[0].Value)
if err != nil {{
	panic(err)
}}
var names []string
var values []float64
for _, top := range tops[0] {{
	names, values = append(names, fmt.Sprint(top.Token)), append(values, top.Probability)
}}
show(names, values)
"""

PYTHON_PLOT = f'device = "{DEVICE}"' + """
import io
import torch
from IPython.display import SVG, display
from matplotlib.figure import Figure

def show(names, values):
    figure = Figure()
    figure.subplots().bar(names, values)
    text = io.StringIO()
    figure.savefig(text, format="svg")
    display(SVG(text.getvalue()))
    print(names, values)
"""
PYTHON_GRU = PYTHON_PLOT + """
torch.manual_seed(42)
cell, head = torch.nn.GRUCell(2, 2).to(device), torch.nn.Linear(2, 2).to(device)

def run(inputs, put={}):
    state, states = torch.zeros(1, 2, device=device), []
    for step in range(10):
        state = put.get(step, cell(inputs[:, step], state))
        states.append(state)
    return head(state), states

steps = lambda first: (first + torch.arange(20.).reshape(1, 10, 2) / 20).to(device)
"""
PYTHON_GRU_CELL = """
with torch.no_grad():
    _, states = run(steps(-1))
    output, _ = run(steps(0), {{{position}: states[3]}})
show(["class 0", "class 1"], output[0].tolist())
"""
PYTHON_TRANSFORMER = PYTHON_PLOT + """
from transformers import AutoModelForCausalLM
model = AutoModelForCausalLM.from_pretrained("{folder}", dtype=torch.{dtype}).eval().to(device)
block = (model.transformer.h if hasattr(model, "transformer") else model.model.layers)[0]
ids = lambda first: (first + torch.arange(16).reshape(1, 16) * 97).to(device)
hidden = lambda output: output[0] if isinstance(output, tuple) else output
"""
PYTHON_TRANSFORMER_CELL = """
def keep(module, inputs, output):
    global kept
    kept = hidden(output).clone()

def put(module, inputs, output):
    hidden(output)[:, {position}] = kept[:, {position}]

with torch.no_grad():
    for first, hook in (5000, keep), (1, put):
        handle = block.register_forward_hook(hook)
        logits = model(ids(first), use_cache=False, logits_to_keep=1).logits
        handle.remove()
top = logits[0, -1].float().softmax(-1).topk(8)
show([str(token) for token in top.indices.tolist()], top.values.tolist())
"""

HELD = f"%env GOMLX_BACKEND resident:{CONFIGURATION}"
LOADED = f"%goflags -tags=\n%env GOMLX_BACKEND {CONFIGURATION}"
SMALL = "%env GOMLX_BACKEND go:ops_sequential"


class Model:
    """A model, the cells that use it, and in how many seconds a warm one is to be there."""

    def __init__(self, name, target, go, python, kinds):
        self.name, self.target, self.code = name, target, {"go": go, "pytorch": python}
        self.kinds = {kind: (kernel, setup) for kind, (kernel, setup) in kinds.items() if LINKS or setup != LOADED}

    def first(self, kernel, setup, position=0):
        return self.code[kernel][0].replace("{setup}", setup) + self.cell(kernel, position)

    def cell(self, kernel, position):
        return self.code[kernel][1].format(position=position)


def transformer(name, target, folder, precision="", dtype="float32"):
    go = GO_TRANSFORMER.format(setup="{setup}", package="transformer", component="BlockOutput", folder=folder, precision=precision)
    return Model(name, target, (go, GO_TRANSFORMER_CELL), (PYTHON_TRANSFORMER.format(folder=folder, dtype=dtype), PYTHON_TRANSFORMER_CELL),
                 {"in the engine": ("go", HELD), "loaded by every cell": ("go", LOADED), "PyTorch, in the kernel": ("pytorch", "")})


def models():
    gru = GO_GRU.format(setup="{setup}", package="gru", component="CellOutput")
    yield Model("the GRU tutorial's toy", 0.35, (gru, GO_GRU_CELL), (PYTHON_GRU, PYTHON_GRU_CELL),
                {"in the engine": ("go", HELD), "pure Go, in the cell": ("go", SMALL), "XLA, in the cell": ("go", LOADED),
                 "PyTorch, in the kernel": ("pytorch", "")})
    yield transformer("GPT-2 small, float32", 0.5, FOLDER / "gpt2")
    if (FOLDER / "llama").exists():
        yield transformer("Llama of 1.2 billion, bfloat16", 1.0, FOLDER / "llama", ', transformer.Precision("bfloat16")', "bfloat16")


class Notebook:
    """A kernel of its own."""

    def __init__(self, kernel):
        self.log = open(FOLDER / "kernel.log", "a")
        self.manager, self.client = start_new_kernel(kernel_name=kernel, stderr=self.log)
        self.process = psutil.Process(self.manager.provisioner.pid)

    def run(self, code):
        """Seconds until a cell has run, and what it printed. It must show one picture."""
        printed, pictures = [], 0

        def hear(message):
            nonlocal pictures
            content = message["content"]
            printed.append(content.get("text") or "\n".join(content.get("traceback", [])))
            pictures += message["msg_type"] == "display_data"

        start = time.perf_counter()
        reply = self.client.execute_interactive(code, output_hook=hear, timeout=600)
        elapsed = time.perf_counter() - start
        text = "".join(printed)
        if reply["content"]["status"] != "ok" or pictures != 1:
            sys.exit(f"cells.py: a cell failed:\n{code}\n{text}")
        return elapsed, text.strip().splitlines()[-1]

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel()  # asked, not killed, so that it ends its gopls
        self.log.close()


def stop_engine():
    subprocess.run([ENGINE, "stop", CONFIGURATION], capture_output=True)
    time.sleep(0.5)


def engine_process():
    """This run's: others may hold other models."""
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[:2] != [ENGINE, "serve"]:
            continue
        with contextlib.suppress(psutil.Error):  # it has ended
            if process.environ().get("GOVENE_ENGINE_FOLDER") == os.environ["GOVENE_ENGINE_FOLDER"]:
                return process


def memory(*processes):
    """MiB that processes take, what they share counted once."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss if process else 0
        except psutil.Error:
            pass  # it has ended
    return total / 2**20


def say(*words):
    print(*words, file=sys.stderr, flush=True)


different = []


def compare(name, answers, others):
    """Answers are to be equal to the last bit. Where they may not be, as on a GPU, whose programs are tuned when they are compiled, it is said."""
    if answers != others:
        say(f"cells.py: {name}: other answers:\n{answers}\n{others}")
        if DEVICE == "cpu":
            sys.exit(1)
        different.append(name)


def measure_cells(model):
    answers = {}
    for kind, (kernel, setup) in model.kinds.items():
        stop_engine()
        with contextlib.closing(Notebook(kernel)) as notebook:
            first, answer = notebook.run(model.first(kernel, setup, 0))
            seen, times = [answer], []
            for position in range(1, 1 + (WARM // 2 if setup == LOADED else WARM)):
                elapsed, answer = notebook.run(model.cell(kernel, position % 10))
                seen.append(answer)
                times.append(elapsed)
            holds = {"in the engine": engine_process(), "PyTorch, in the kernel": notebook.process}.get(kind)
            held = f"{memory(holds):.0f} MiB" if holds else ""
        say(f"{model.name}, {kind}: first {first:.2f} s, then", *(f"{t:.2f}" for t in times))
        answers[kind] = seen
        print(f"| {model.name} | {kind} | {first:.2f} s | **{statistics.median(times):.2f} s** | {max(times):.2f} s | {model.target:.2f} s | {held} |",
              flush=True)
    for kind, (_, setup) in model.kinds.items():
        if setup == LOADED:
            compare(f"{model.name}, {kind}", answers[kind], answers["in the engine"][:len(answers[kind])])


def measure_many(model, setup):
    """Some notebooks: one after the other, and at once."""
    stop_engine()
    with contextlib.ExitStack() as stack:
        notebooks = [stack.enter_context(contextlib.closing(Notebook("go"))) for _ in range(NOTEBOOKS)]
        for notebook in notebooks:
            notebook.run(model.first("go", setup, 15))
        cells = [model.cell("go", position) for position in range(NOTEBOOKS)]
        begun = time.perf_counter()
        alone = [notebook.run(cell) for notebook, cell in zip(notebooks, cells)]
        one_by_one = time.perf_counter() - begun
        engine, peaks, stop = engine_process(), [0, 0], threading.Event()

        def watch():
            while not stop.wait(0.05):
                of_cells = [child for notebook in notebooks for child in notebook.process.children() if child.name().startswith("gonb_")]
                for i, now in enumerate((memory(engine), memory(*of_cells))):
                    peaks[i] = max(peaks[i], now)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        with concurrent.futures.ThreadPoolExecutor(NOTEBOOKS) as pool:
            begun = time.perf_counter()
            again = '_ = "again"\n'  # what is compiled is another program
            together = list(pool.map(lambda pair: pair[0].run(pair[1] + again), zip(notebooks, cells)))
            at_once = time.perf_counter() - begun
        stop.set()
        watcher.join()
    compare(f"{NOTEBOOKS} notebooks at once", [answer for _, answer in together], [answer for _, answer in alone])
    return one_by_one, at_once, peaks


def calls():
    lines = [json.loads(line) for line in (FOLDER / "lines").read_text().splitlines()]
    times = {(line["backend"].startswith("resident:"), line["name"]): line["median_s"] for line in lines if "median_s" in line}
    for name, words in {"vanilla": "GRU, three steps patched, (10, 10, 2)", "das": "GRU, gradient of a rotation, (1, 1, 2)",
                        "forward_float32_1x32": "GPT-2 small, 1 × 32"}.items():
        near, far = times[False, name], times[True, name]
        print(f"| {words} | {near * 1e3:.3f} ms, {1 / near:,.0f} | {far * 1e3:.3f} ms, {1 / far:,.0f} | {(far - near) * 1e3:+.3f} ms |")


def main():
    begun = time.perf_counter()
    print("# Cells of a notebook\n\nA cell patches one position that no cell before it has patched, and plots what comes of it.")
    print(f"Models are on an {GPU}, but for pure Go.\n" if GPU else "")
    print("| model | where it is | first cell | warm cell | slowest | wanted | what holds it takes |\n| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    every = list(models())
    for model in every:
        measure_cells(model)
    if "notebooks" not in WITHOUT:
        print(f"\n## {NOTEBOOKS} notebooks at once\n\nA cell each, on GPT-2 small, with the same answers as alone, to the last bit that is printed.\n")
        print("| where the model is | one after the other | at once | engine | cells |\n| --- | ---: | ---: | ---: | ---: |")
        for kind, setup in {"in the engine": HELD, "loaded by every cell": LOADED}.items():
            if setup == LOADED and (not LINKS or "loaded-notebooks" in WITHOUT):
                continue
            one_by_one, at_once, (engine, cells) = measure_many(every[1], setup)
            say(f"{NOTEBOOKS} notebooks, {kind}: {one_by_one:.1f} s, {at_once:.1f} s, {engine:.0f} and {cells:.0f} MiB")
            print(f"| {kind} | {one_by_one:.1f} s | {at_once:.1f} s | {engine:.0f} MiB | {cells:.0f} MiB |", flush=True)
    if "calls" not in WITHOUT:
        print("\n## Calls\n\nWhat a call returns is read, too.\n\n| call | in one process, calls a second | through the engine, calls a second | more |\n| --- | ---: | ---: | ---: |")
        calls()
    left_out = [part for part in WITHOUT if part] + ["cells that link XLA, for want of a C compiler"] * (CGO != "1")
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    print(f"""
Written by `bench/cells.sh` on {datetime.date.today()}, in {time.perf_counter() - begun:.0f} s: {cpu}, {os.cpu_count()} cores{f", {GPU}" if GPU else ""}; the machine's
load was {LOAD} when it began. *In the engine*: the cells link no XLA (the lab's `GOFLAGS`), and the model stays in a process of its own (`resident:{CONFIGURATION}`);
before the first cell there is no engine. *Loaded by every cell*, and *in the cell*: `{CONFIGURATION}`, linked (`%goflags -tags=`). The first cell of a notebook declares and imports, too. Warm
cells are medians of {WARM}, of {WARM // 2} where they link XLA; the files are in the system's cache. Answers in the engine and in the cell are equal, to the last bit that is printed{f", but for {'; '.join(different)}" if different else ""}.
Memory is the host's, counted proportionally (PSS); that of cells is the most at a moment. {VERSION}.{f" Left out: {'; '.join(left_out)}." if left_out else ""}""")


main()

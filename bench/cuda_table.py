"""Reads the lines of JSON of bench/cuda.sh and prints the comparison as Markdown, with what bench/cells.sh wrote there at its end:

    cuda_table.py [CELLS.md] < lines
    cuda_table.py compare FOLDER      a line for each sweep whose numbers are there: how far they are from Govene's in float32
    cuda_table.py machine             a line that says what there is
"""

import datetime
import importlib.metadata
import json
import pathlib
import subprocess
import sys

from sweep_table import SWEEPS


def machine():
    def version(package):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return "none"

    try:
        asked = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        card = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        card = "no GPU"
    packages = {name: version(name) for name in ("jax-cuda13-plugin", "torch", "transformers")}
    print(json.dumps({"name": "machine", "card": card} | packages), flush=True)


def compare(folder):
    files = {file.stem: json.loads(file.read_text()) for file in pathlib.Path(folder).glob("* *.json")}
    ours = files.pop("govene float32")
    for name, numbers in ours.items():
        off = {}
        for file, theirs in files.items():
            if name in theirs:
                off[file] = max(abs(a - b) for row, other in zip(numbers, theirs[name], strict=True) for a, b in zip(row, other, strict=True))
        print(json.dumps({"name": "off", "sweep": name, "largest": max(abs(a) for row in numbers for a in row), "off": off}))


def seconds(s):
    return f"{s:.2f} s" if s >= 1 else f"{s * 1e3:.0f} ms" if s >= 0.1 else f"{s * 1e3:.1f} ms"


def rows(*cells):
    for row in cells:
        print("| " + " | ".join(row) + " |")


def sweeps(lines):
    def who(line):
        name = "Govene" if line["library"] == "govene" else "hooks" if line["library"].startswith("torch") else line["library"]
        if "process" in line:
            name += f", through the engine, {line['process']} process"
        return f"{name}, {line['dtype']}"

    by = {}
    for line in lines:
        if line["name"] in SWEEPS and "dtype" in line:
            by.setdefault(who(line), {})[line["name"]] = line
    if not by:
        return
    print("\n## Sweeps of GPT-2 small, random weights, 8 pairs of 32 tokens\n\nThe cells and questions of [SWEEP.md](SWEEP.md).\n")
    names = list(SWEEPS)
    rows(["first run, then a second", *SWEEPS.values()], ["---"] + ["---:"] * len(names))
    for name, of in by.items():
        cells = []
        for line in map(of.get, names):
            first = seconds(line["total_s"]) if line else "–"
            if line and "compile_s" in line:
                first += f" (compiling {seconds(line['compile_s'])})"
            cells.append(first + (f", {seconds(line['again_s'])}" if line and "again_s" in line else ""))
        rows([name, *cells])
    for line in lines:
        if line["name"] == "off":
            far = ", ".join(f"{name} {value:.1e}" for name, value in line["off"].items())
            print(f"\n{SWEEPS[line['sweep']]}: farthest from Govene's numbers in float32, of up to {line['largest']:.2g}: {far}.")


def steps(lines):
    ours = {line["rank"]: line["seconds"] / line["steps"] for line in lines if line["name"] == "low rank"}
    theirs = {line["rank"]: line["median_s"] for line in lines if line["name"] == "low rank step"}
    if ours:
        print("\n## A step of training a rotation after block 5 of GPT-2 small, 8 × 32 tokens, position 15\n")
        rows(["rank", "Govene", "pyvene", ""], ["---:"] * 4)
        for rank, mine in ours.items():
            peer = theirs.get(rank)
            rows([str(rank), f"{mine * 1e3:.2f} ms", f"{peer * 1e3:.1f} ms" if peer else "–", f"{peer / mine:.1f}×" if peer else ""])


def words(name):
    return name.removeprefix("forward_").replace("_", ", ").replace("x", " × ")


def forward(lines):
    of = {(line["library"], line["name"]): line for line in lines if line["name"].startswith("forward_") and "flags" not in line}
    if of:
        print("\n## A forward pass, up to one logit of each last position\n")
        rows(["precision, batch × length", "Govene", "PyTorch", ""], ["---"] + ["---:"] * 3)
        for (library, name), line in of.items():
            if library == "govene":
                peer = of.get(("pytorch", name))
                rows([words(name), f"{line['median_s'] * 1e3:.1f} ms", f"{peer['median_s'] * 1e3:.1f} ms" if peer else "–",
                      f"{peer['median_s'] / line['median_s']:.2f}×" if peer else ""])


def flags(lines):
    tried = {}
    for line in lines:
        if "flags" in line and "compile_s" in line:
            tried.setdefault(line["flags"] or "none", {})[line["name"]] = line
    if tried:
        print("\n## XLA's options\n")
        names = list(next(iter(tried.values())))
        rows(["XLA_FLAGS, beside what the backend sets", *(SWEEPS.get(name) or words(name) for name in names)], ["---"] + ["---:"] * len(names))
        for text, of in tried.items():
            cells = []
            for name in names:
                line = of.get(name)
                cells.append("–" if not line else f"compiling {seconds(line['compile_s'])}, then {seconds(line['again_s'] if 'again_s' in line else line['median_s'])}")
            rows([text, *cells])


def main():
    lines = [json.loads(line) for line in sys.stdin if line.startswith("{")]
    of, *more = (line for line in lines if line["name"] == "machine")
    print("# On a GPU\n")
    print(f"Written by `bench/cuda.sh` on {datetime.date.today()}: {of['card']}, PJRT plugin of jax-cuda13-plugin {of['jax-cuda13-plugin']}, PyTorch {of['torch']}, transformers "
          f"{of['transformers']} (pyvene: 4.57.6){f'; its parts in {1 + len(more)} runs' if more else ''}. Full precision, in PyTorch, too, where bfloat16 is not named; times by the clock, with what the host does.")
    for line in lines:
        if line["name"] == "golden":
            print(f"\nGolden cases and invariants on `xla:cuda`: {line['pass']} passed, {line['fail']} failed, {line['skip']} skipped, in {line['seconds']} s.")
    for part in (sweeps, steps, forward, flags):
        part(lines)
    for file in sys.argv[1:]:
        text = pathlib.Path(file).read_text()
        print("\n" + text[text.index("# Cells"):].replace("# ", "## ").rstrip())  # headings, one level down


if sys.argv[1:2] == ["compare"]:
    compare(sys.argv[2])
elif sys.argv[1:2] == ["machine"]:
    machine()
else:
    main()

"""Reads the lines of JSON of bench/run.sh and prints the comparison as Markdown: python calls.py THREADS ROUNDS LOAD < lines."""

import collections
import datetime
import json
import pathlib
import platform
import statistics
import subprocess
import sys
from importlib import metadata

CALLS = {
    "vanilla": "vanilla, three steps, (10, 10, 2)",
    "das": "low-rank rotated space with gradient, (1, 1, 2)",
    "das_linked": "two linked ones with gradient, (1, 1, 2)",
}
GOVENE = {"xla:cpu": "XLA CPU", "go:ops_sequential": "pure Go"}


def medians(lines, field):
    """{(backend, call): median over the rounds}."""
    values = collections.defaultdict(list)
    for line in lines:
        values[line["backend"], line["name"]].append(line[field])
    return {key: statistics.median(rounds) for key, rounds in values.items()}


def table(lines):
    per_call, compiling = medians(lines, "median_s"), medians(lines, "compile_s")
    backends = [backend for backend in GOVENE if any(backend == measured for measured, _ in per_call)]
    head = ["call", "pyvene"]
    for backend in backends:
        head += [GOVENE[backend], "ratio"]
    head += [f"{GOVENE[backend]} compiles in" for backend in backends]
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    for name, title in CALLS.items():
        pyvene = per_call["pytorch:cpu", name]
        row = [title, f"{pyvene * 1e3:.2f} ms"]
        for backend in backends:
            govene = per_call[backend, name]
            row += [f"{govene * 1e3:.3f} ms", f"{pyvene / govene:.0f}×"]
        rows.append(row + [f"{compiling[backend, name] * 1e3:.0f} ms" for backend in backends])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if platform.system() == "Linux" else []:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def go(*arguments):
    return subprocess.run(["go", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def main():
    threads, rounds, load = sys.argv[1:]
    lines = [json.loads(line) for line in sys.stdin]
    versions = [f"{package} {metadata.version(package)}" for package in ("pyvene", "torch", "transformers")]
    versions += [go("env", "GOVERSION"), "gomlx " + go("list", "-m", "-f", "{{.Version}}", "github.com/gomlx/gomlx")]
    print(
        f"""# Measurements

## The GRU tutorial's calls: pyvene and Govene

{table(lines)}

Written by `bench/run.sh` on {datetime.date.today()}: {processor()}, threads: {threads}; the machine's load was {load} when it began (on a busy one
the longer calls are interrupted more, and ratios come out too high). A time is the median over {rounds} rounds of the median of
single calls, after some to warm up; a ratio is pyvene's time by Govene's. Compiling happens once for all calls of the same shapes and is
not in the times. {", ".join(versions)}."""
    )


if __name__ == "__main__":
    main()

"""Reads the lines of JSON of bench/transformer.sh and prints the comparison as Markdown: python transformer_table.py THREADS ROUNDS CALLS < lines."""

import collections
import datetime
import json
import statistics
import sys

from calls import go, processor

MEASUREMENTS = {
    "forward_1x32": "forward, 1 × 32 tokens, all logits",
    "forward_8x32": "forward, 8 × 32 tokens, all logits",
    "patched_1x32": "one position of block 5 patched, 1 × 32",
    "patched_8x32": "one position of block 5 patched, 8 × 32",
    "generate_64": "64 greedy tokens after 32",
}
GOVENE = {"xla:cpu": "Govene, XLA CPU", "go:ops_sequential": "Govene, pure Go"}


def main():
    threads, rounds, calls = sys.argv[1:]
    seconds, compiling, peak = collections.defaultdict(list), collections.defaultdict(list), collections.defaultdict(float)
    libraries = []
    for line in map(json.loads, sys.stdin):
        library = GOVENE.get(line["backend"], line["library"])
        if library not in libraries:
            libraries.append(library)
        seconds[library, line["name"]].append(line["median_s"])
        compiling[library].append(line["compile_s"])
        peak[library] = max(peak[library], line["peak_mib"])
    pytorch = libraries[0]

    def cell(library, name):
        if not seconds[library, name]:
            return "–"
        value = statistics.median(seconds[library, name])
        text = f"{64 / value:.0f} tokens/s" if name.startswith("generate") else f"{value * 1e3:.0f} ms"
        return text if library == pytorch else f"{text} ({statistics.median(seconds[pytorch, name]) / value:.2f}×)"

    rows = [["", *libraries], ["---"] + ["---:"] * len(libraries)]
    rows += [[title, *(cell(library, name) for library in libraries)] for name, title in MEASUREMENTS.items()]
    rows.append(["peak memory of the process", *(f"{peak[library]:.0f} MiB" for library in libraries)])
    rows.append(["to compile a program, once", *(f"{statistics.median(compiling[library]):.1f} s" if library in GOVENE.values() else "–" for library in libraries)])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    print(
        f"""# GPT-2 small, random weights

{table}

Written by `bench/transformer.sh` on {datetime.date.today()}: {processor()}, threads: {threads}. A time is the median over {rounds} rounds of the median of
{calls} calls, after one to warm up; in brackets PyTorch's time by this one's. PyTorch's patched call is written by hand: a source run up to
the block, then the base with a hook. Peak memory is that of all measurements of a process, one after the other. {go("env", "GOVERSION")}."""
    )


main()

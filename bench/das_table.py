"""Reads the lines of JSON of bench/das.sh and prints the comparison as Markdown: python das_table.py THREADS < lines."""

import datetime
import json
import sys

from calls import go, processor

NAMES = {"xla:cpu": "Govene, XLA CPU", "go:ops_sequential": "Govene, pure Go"}


def seconds(s):
    return f"{s:,.0f} s" if s >= 100 else f"{s:.1f} s" if s >= 2 else f"{s * 1e3:.0f} ms"


def main():
    (threads,) = sys.argv[1:]
    lines = [json.loads(line) for line in sys.stdin]
    steps = [line for line in lines if line["name"].startswith("step")]
    jax = {line["name"]: line for line in steps if line["backend"] == "JAX, by hand"}
    print("# Distributed alignment search\n\n| a step | median | least | by JAX's least |\n| --- | ---: | ---: | ---: |")
    for line in steps:
        name = line["name"].replace("step on a ", "")
        name = "" if name == "step" else ", " + name
        peer = jax.get(line["name"], jax["step on a prepared call"])
        print(f"| {NAMES.get(line['backend'], line['backend'])}{name} | {line['median_s'] * 1e3:.2f} ms | {line['min_s'] * 1e3:.2f} ms | {line['min_s'] / peer['min_s']:.2f}× |")
    print(
        f"""
Written by `bench/das.sh` on {datetime.date.today()}: {processor()}, threads: {threads}. The network of hierarchical equality (width 16, three
layers), batch 1280, eight dimensions of one rotation for each of two sources, Adam, the rotation orthonormal after each step. A new call
comes from the host and is checked; a prepared one was, and lies on the device. The least time is what a step takes on a busy machine, too. {go("env", "GOVERSION")}."""
    )
    peers = {line["name"]: line for line in lines if line["library"].startswith("pyvene")}
    step, low, tutorial = peers["step on a new call"], peers["low rank step"], peers["tutorial"]
    print("\n## Searches, and a tutorial\n\n| what | backend | Govene | pyvene | |\n| --- | --- | ---: | ---: | ---: |")

    def row(what, line, ours, theirs):
        print(f"| {what} | {NAMES[line['backend']].removeprefix('Govene, ')} | {seconds(ours)} | {seconds(theirs)} | {theirs / ours:.{0 if theirs / ours >= 10 else 1}f}× |")

    for line in lines:
        if line["name"] == "search":
            what = f"three layers × ranks 1, 2, 4, 8 × five seeds, {line['steps']:,} steps each, in one search, compilation included"
            row(what, line, line["seconds"], line["alignments"] * line["steps"] * step["median_s"])
    for line in lines:
        if line["name"] == "low rank":
            row("a step of rank 16 after block 5 of GPT-2 small, 8 × 32 tokens, position 15", line, line["seconds"] / line["steps"], low["median_s"])
    for line in lines:
        if line["name"] == "tutorial" and line["library"] == "govene":
            row("pyvene's tutorial, from data to accuracies", line, line["seconds"], tutorial["cut"] * tutorial["seconds"])
            mine = line
    print(
        f"""
pyvene's searches are counted: as many steps as all alignments take, one after the other, each of the median of its steps here, {step['median_s'] * 1e3:.1f} ms; data and
evaluation are not in it. Its tutorial was run with 1/{tutorial['cut']} of the examples and of the steps, in {tutorial['seconds']:.0f} s, and is counted {tutorial['cut']} times; whole, it is
{mine['training_steps']:,} steps of batch 1024 on 1,048,576 examples and {mine['steps']:,} of batch 6400 on 1,280,000 counterfactual ones. Govene trains on as many fresh examples, makes
all of that, compiles and measures. In GPT-2, what lies below the place or before its position is computed once for each example: a step computes positions 15
to 31 of the blocks above, of the last block the last position.

What is found in networks of hierarchical equality: [docs/alignments.md](../docs/alignments.md)."""
    )


main()

"""Reads the lines of JSON of bench/das.sh and prints the comparison as Markdown: python das_table.py THREADS < lines."""

import datetime
import json
import sys

from calls import go, processor

NAMES = {"xla:cpu": "Govene, XLA CPU", "go:ops_sequential": "Govene, pure Go"}


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
    step, low = peers["step on a new call"], peers["low rank step"]
    print(
        """
## Searches

| what | Govene, XLA CPU | pyvene | |
| --- | ---: | ---: | ---: |"""
    )
    for line in lines:
        if line["name"] == "search":
            serial = line["alignments"] * line["steps"] * step["median_s"]
            print(
                f"| three layers × ranks 1, 2, 4, 8 × five seeds, {line['steps']:,} steps each, in one search, compilation included | {line['seconds']:.1f} s | {serial:,.0f} s | {serial / line['seconds']:.0f}× |"
            )
        if line["name"] == "low rank":
            each = line["seconds"] / line["steps"]
            print(f"| a step of rank 16 after block 5 of GPT-2 small, 8 × 32 tokens | {each * 1e3:.0f} ms | {low['median_s'] * 1e3:.0f} ms | {low['median_s'] / each:.1f}× |")
    print(
        f"""
pyvene's searches are counted: as many steps as all alignments take, one after the other, each of the median of its steps here, {step['median_s'] * 1e3:.1f} ms; data and
evaluation are not in it. In GPT-2, Govene computes the blocks up to the place once for each example, and the head at the last position alone.

What is found in networks of hierarchical equality: [docs/alignments.md](../docs/alignments.md)."""
    )


main()

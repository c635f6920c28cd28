"""Reads the lines of JSON of bench/das.sh and prints the comparison as Markdown: python das_table.py THREADS < lines."""

import datetime
import json
import sys

from calls import go, processor

NAMES = {"xla:cpu": "Govene, XLA CPU", "go:ops_sequential": "Govene, pure Go"}


def main():
    (threads,) = sys.argv[1:]
    lines = [json.loads(line) for line in sys.stdin]
    steps = [line for line in lines if line["name"] != "equality"]
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
    found = [line for line in lines if line["name"] == "equality"]
    if not found:
        return
    print("\n## Interchange intervention accuracy\n\n| network | its accuracy | library | layer 0 | layer 1 | layer 2 |\n| ---: | ---: | --- | ---: | ---: | ---: |")

    def cell(values):
        values = values if isinstance(values, list) else [values]
        return f"{max(values):.3f}" + (f" ({min(values):.3f}–{max(values):.3f})" if len(values) > 1 else "")

    for line in sorted(found, key=lambda line: (line["network"], line["library"])):
        accuracy = f"{line['accuracy']:.4f}" if "accuracy" in line else ""
        print(f"| {line['network']} | {accuracy} | {line['library']} | " + " | ".join(map(cell, line["iia"])) + " |")
    print(
        """
The best of five seeds, then the least and the most, of Govene's search (2,000 steps of one program a layer); one seed of a loop by hand in
PyTorch with its orthogonal parametrization (4,000 steps, fresh examples). Networks were trained by `bench/das` on fresh random vectors, each pair
equal half of the time; WX, YZ or both are intervened on, with even chances, and examples are held out by their vectors. A rotation is the best of
four looks at the 10,000 held-out examples whose accuracy is shown; that of a report (`das.Check`) is of others."""
    )


main()

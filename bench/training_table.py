"""Reads the lines of JSON of bench/training.sh and prints the comparison as Markdown: python training_table.py THREADS < lines."""

import datetime
import json
import sys

from calls import GOVENE, go, processor


def main():
    (threads,) = sys.argv[1:]
    lines = [json.loads(line) for line in sys.stdin]
    measured = {(line["backend"], line["rank"]): line for line in lines}
    peer, *backends = dict.fromkeys(line["backend"] for line in lines)
    pyvene = lines[0]
    head = ["rank", pyvene["library"], *(f"Govene, {GOVENE[backend]}" for backend in backends)]
    steps = {backend: measured[backend, pyvene["rank"]]["steps"] for backend in (peer, *backends)}
    head += [f"max \\|RᵀR − I\\|, {GOVENE.get(backend, 'pyvene')}, {steps[backend]:,} steps" for backend in (peer, *backends)]
    head += [f"memory, {GOVENE[backend]}" for backend in backends]
    rows = [head, ["---:"] * len(head)]
    for rank in dict.fromkeys(line["rank"] for line in lines):
        at = {backend: measured[backend, rank] for backend in (peer, *backends)}
        row = [str(rank), f"{at[peer]['median_s'] * 1e3:.0f} ms"]
        for backend in backends:
            row.append(f"{at[backend]['median_s'] * 1e3:.1f} ms ({at[peer]['median_s'] / at[backend]['median_s']:.0f}×)")
        row += [f"{at[backend]['max_deviation_from_orthonormal']:.0e}" for backend in (peer, *backends)]
        rows.append(row + [f"{at[backend]['first_mib']:.0f} → {at[backend]['last_mib']:.0f} MiB" for backend in backends])
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    print(
        f"""# A step of training a rotation, width {pyvene['width']}

{table}

Written by `bench/training.sh` on {datetime.date.today()}: {processor()}, threads: {threads}. A step of Adam on 16 pairs through an MLP of
two layers, an `mlp` of pyvene's, whose first layer's output is patched in a low-rank rotated space of the given rank: the median of all
steps; in brackets pyvene's time by this one's. Memory is what the process holds after a hundredth of the steps and after all. {go("env", "GOVERSION")}."""
    )


main()

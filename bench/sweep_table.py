"""Reads the lines of JSON and the numbers of bench/sweep.sh and prints the comparison as Markdown: sweep_table.py THREADS FOLDER < lines."""

import collections
import datetime
import json
import pathlib
import sys

from calls import go, processor

SWEEPS = {
    "positions8": "12 layers × 8 positions",
    "positions32": "12 layers × 32 positions",
    "heads": "144 heads, all positions",
    "attribution": "attribution at 12 layers × 32 positions",
    "paths": "paths from 132 heads into one",
}
GOVENE = {"xla:cpu": "Govene, XLA CPU", "go:ops_sequential": "Govene, pure Go"}


def farthest(first, second):
    """The largest difference of two lists of lists of numbers."""
    return max(abs(a - b) for row, other in zip(first, second, strict=True) for a, b in zip(row, other, strict=True))


def main():
    threads, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    lines = collections.defaultdict(dict)
    growth = collections.defaultdict(dict)
    for line in map(json.loads, sys.stdin):
        if line["name"] == "growth":
            growth[line["axis"]][line["size"]] = line["running_s"]
            continue
        lines[GOVENE.get(line["backend"], line["library"])][line["name"]] = line
    libraries = list(lines)
    peers = [library for library in libraries if library not in GOVENE.values()]

    def cell(library, name):
        line = lines[library].get(name)
        if not line:
            return "–"
        text = f"{line['total_s']:.1f} s"
        fastest = min((lines[peer][name]["total_s"] for peer in peers if name in lines[peer]), default=None)
        if library in GOVENE.values() and fastest:
            text += f" ({fastest / line['total_s']:.1f}×)"
        return text

    def limit(name):
        line = lines[libraries[0]].get(name, {})
        return f"{line['limit_s']:.1f} s" if line.get("limit_s") else "–"

    left = " Peers without a time in a row were not asked for it." if any(name not in lines[peer] for peer in peers for name in SWEEPS) else ""
    rows = [["cells × 8 pairs", "limit", *libraries], ["---"] + ["---:"] * (1 + len(libraries))]
    rows += [[title, limit(name), *(cell(library, name) for library in libraries)] for name, title in SWEEPS.items()]
    print("# Sweeps of GPT-2 small, random weights, prompts of 32 tokens\n")
    print("\n".join("| " + " | ".join(row) + " |" for row in rows))
    print(
        f"""
Written by `bench/sweep.sh` on {datetime.date.today()}: {processor()}, threads: {threads}. Seconds for the whole sweep, once, with what a user waits for:
compiling, the clean runs, and every cell; loading the model and starting Python are left out. In brackets: how many times the fastest peer's speed.
The limit is the time of the matrix products that no way around is known to, for each cell the blocks above its patch at the positions from it on, at
the rate of the machine's largest product, measured on the first backend.{left} {go("env", "GOVERSION")}."""
    )
    for library in libraries:
        if library in GOVENE.values():
            print(f"\n{library}: " + "; ".join(
                f"{SWEEPS[name]}: {line['programs']} programs, {line['compile_s']:.1f} s of it compiling"
                + (f", and {line['again_s']:.1f} s when asked again, of other pairs" if line.get("again_s") else "") for name, line in lines[library].items() if line.get("programs")) + ".")
    files = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json")) if file.stem not in ("questions", "config", "generation_config")}
    names = list(files)
    for name, title in SWEEPS.items():
        there = [file for file in names if name in files[file]]
        if len(there) > 1:
            worst = max(farthest(files[there[0]][name], files[other][name]) for other in there[1:])
            size = max(abs(value) for row in files[there[0]][name] for value in row)
            print(f"\n{title}: the numbers of {', '.join(there)} differ by at most {worst:.1e}, of numbers up to {size:.2g}.")
    if growth:
        print("\n## How time grows\n\n![Seconds of a sweep when cells, layers, pairs or tokens are doubled](sweep_growth.svg)\n")
        print("| what grows | by factors of 2 | seconds | for each doubling |\n| --- | --- | --- | --- |")
        for axis, times in growth.items():
            sizes, seconds = zip(*sorted(times.items()))
            steps = ", ".join(f"× {after / before:.1f}" for before, after in zip(seconds, seconds[1:]))
            print(f"| {axis} | {', '.join(map(str, sizes))} | {', '.join(f'{s:.2f}' for s in seconds)} | {steps} |")
        print(
            """
Block outputs of the lowest of 8 layers at 8 positions, in 16 pairs of 32 tokens, in a GPT-2 of width 384, and one of these numbers from a quarter to four
times as large; on the first backend, without compiling, the better of two sweeps."""
        )
    print()


if __name__ == "__main__":
    main()

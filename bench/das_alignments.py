"""Reads the lines of JSON of bench/alignments.sh and prints docs/alignments.md: python das_alignments.py < lines."""

import datetime
import json
import sys

NAMES = ["alignment", "means", "principal", "untrained network", "random subspace", "shuffled sources", "all dimensions", "no dimensions"]


def rows_of(line, layer):
    return {row["name"]: row for row in line["report"]["rows"] if row["place"].startswith(f"layer {layer} ")}


def spread(values):
    return f"{min(values):.3f}–{max(values):.3f}"


def main():
    lines = [json.loads(line) for line in sys.stdin]
    networks = [line for line in lines if line["name"] == "equality" and line["library"] == "govene"]
    peers = {(line["network"], line["by"]): line["iia"] for line in lines if line["name"] == "equality" and line["library"] == "pytorch"}
    settings = [line for line in lines if line["name"] == "training"]
    first = {line["network"]: rows_of(line, 0)["alignment"] for line in networks}
    best = max(row["accuracy"] for row in first.values())
    by = {decay: [first[line["network"]]["accuracy"] for line in networks if line["decay"] == decay] for decay in (0.1, 0)}
    apart = {decay: [line["separated"] for line in networks if line["decay"] == decay] for decay in (0.1, 0)}
    seeds = max(max(row["seeds"]) - min(row["seeds"]) for row in first.values())
    behind = max(max(max(peers[n, b]) for b in ("matrix_exp", "cayley")) - max(row["seeds"]) for n, row in first.items())
    print(
        f"""# Alignments of hierarchical equality

Are two pairs of entities both equal, or both not? Entities are fresh vectors of four normal numbers, the network is a perceptron of three layers of width 16,
and the two variables of the causal model are whether each pair is equal. A search gives each variable eight of the sixteen dimensions after a layer. This page is
written by `bench/das_alignments.py` from what `bench/alignments.sh` measures, on {datetime.date.today()}.

## Ten networks, five seeds, three layers

Accuracies of 10,000 test examples that no search has seen (`das.Check`). *Alignment* is the seed that is best on held-out examples; *seeds* are the least and the greatest
of all five. *Decay* is that of the weights when the network was trained, *right* its own accuracy, *apart* how far units of its first layer
read one pair alone: the share of squared weights that are of the pair that a unit reads more of, a half to 1.

| network | decay | right | apart | layer | {" | ".join(name if name != "alignment" else "alignment | seeds" for name in NAMES)} |
| ---: | ---: | ---: | ---: | ---: | ---: | --- | {" | ".join("---:" for _ in NAMES[1:])} |"""
    )
    for line in networks:
        for layer in range(3):
            rows = rows_of(line, layer)
            head = [line["network"], f"{line['decay']:g}", f"{line['accuracy']:.4f}", f"{line['separated']:.3f}"] if layer == 0 else [""] * 4
            cells = [f"{rows[name]['accuracy']:.3f}" for name in NAMES]
            print("| " + " | ".join(head + [str(layer), f"**{cells[0]}**", spread(rows["alignment"]["seeds"])] + cells[1:]) + " |")
    print(
        f"""
The best network has {best:.3f} after the first layer; after the third there is what doing nothing scores, about a half, or little more: both pairs have been compared by
then.

*Shuffled sources* are the sources of other examples, with the labels as they are. They come highest of the controls after the first layer, and are meant to: the label
still depends on the base, so the loss is least if the network is unsure of the variable, and the subspace that makes it unsure is on the way to the right
one. What an alignment has above them is what its sources have told it. Labels that are shuffled as well leave nothing to learn, and make a second
random subspace: in three such networks (tried apart), after the first layer, fifteen seeds had 0.51 to 0.67 so, 0.59 in the mean, and fifteen random
subspaces 0.53 to 0.61, 0.57 in the mean.

## Why Geiger et al. (2023) have 1.00

They report 1.00 after the first layer and 0.50 to 0.57 after the third. It is the network that decides, and how it was trained, not the search:

- Seeds of a search agree after the first layer, within {seeds:.3f} in all networks, and other optimizers come to the same or less (below).
- All networks answer right nearly always. Those trained without weight decay have {spread(by[0])} after the first layer, and with it {spread(by[0.1])}. Units
  of their first layers read one pair alone to {spread(apart[0])} and {spread(apart[0.1])}. Where a unit reads both pairs, no eight dimensions have
  the one and not the other. Weight decay makes that costly.

Networks trained side by side in PyTorch (`bench/das_networks.py`), with one rotation each after the first layer, say the same:

| numbers | rate | decay | steps | networks | right, at least | accuracy of exchanging, each network |
| --- | ---: | ---: | ---: | ---: | ---: | --- |"""
    )
    for s in settings:
        iia = sorted(s["iia"], reverse=True)
        print(f"| {s.get('inputs', 'normal')} | {s['rate']:g} | {s.get('decay', 0):g} | {s['steps']:,} | {len(iia)} | {min(s['accuracy']):.4f} | {' '.join(f'{x:.3f}' for x in iia)} |")
    print(
        f"""
Weight decay raises it, and with weight decay so does longer training; a rate of a third, which is less training, lowers it; how the numbers are distributed makes
little difference. But a network without weight decay can come to 1.00 as well, and one with it can stay behind: one network's number says little. How
the paper's network was trained we do not know.

## Optimizers

The same networks, after the first layer, 1,000 steps of batch 1280 each: Govene's retraction to the nearest orthonormal matrix (the best of five seeds), and a loop by hand
in PyTorch with its orthogonal parametrization, by the exponential map and by Cayley's (the best of three seeds, fresh examples at each step). In brackets the
least of the seeds: a start may be a bad one for any of them.

| network | retraction | exponential map | Cayley |
| ---: | ---: | ---: | ---: |"""
    )
    for n, row in first.items():
        cells = [f"{max(found):.3f} ({min(found):.3f})" for found in (row["seeds"], peers[n, "matrix_exp"], peers[n, "cayley"])]
        print(f"| {n} | " + " | ".join(cells) + " |")
    print(f"\nThe retraction is never more than {max(behind, 0):.3f} below the better of the two.")


main()

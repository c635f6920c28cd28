"""Takes steps of distributed alignment search on pyvene and prints one line of JSON for each rank; the twin of bench/training."""

import argparse
import contextlib
import importlib.metadata
import json
import os
import statistics
import sys
import time

import torch

with contextlib.redirect_stdout(sys.stderr):  # it says what it lacks
    import pyvene
    from pyvene.models.mlp.modelings_mlp import MLPConfig, MLPForClassification

PAIRS, CLASSES = 16, 10


def train(width, rank, steps):
    model = MLPForClassification(MLPConfig(n_layer=2, h_dim=width, num_classes=CLASSES, activation_function="tanh", pdrop=0.0))
    model.requires_grad_(False)
    representation = pyvene.RepresentationConfig(0, "block_output", "pos", 1, low_rank_dimension=rank)
    config = pyvene.IntervenableConfig(representation, intervention_types=pyvene.LowRankRotatedSpaceIntervention)
    intervenable = pyvene.IntervenableModel(config, model)
    adam = torch.optim.Adam(intervenable.get_trainable_parameters(), lr=1e-3)
    times = []
    for step in range(steps):
        torch.manual_seed(step)
        base, source, wanted = torch.randn(PAIRS, 1, width), torch.randn(PAIRS, 1, width), torch.randn(PAIRS, CLASSES)
        start = time.perf_counter()
        adam.zero_grad()
        _, (logits, *_) = intervenable({"inputs_embeds": base}, [{"inputs_embeds": source}], {"sources->base": 0})
        loss = (logits - wanted).square().mean()
        loss.backward()
        adam.step()
        loss.item()
        times.append(time.perf_counter() - start)
    (intervention,) = intervenable.interventions.values()
    rotation = intervention.rotate_layer.weight.detach().double()
    return {
        "library": "pyvene " + importlib.metadata.version("pyvene"),
        "backend": "pytorch:cpu",
        "width": width,
        "rank": rank,
        "steps": steps,
        "median_s": statistics.median(times),
        "max_deviation_from_orthonormal": (rotation.T @ rotation - torch.eye(rank)).abs().max().item(),
    }


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-width", type=int, default=768, help="of the activations")
    arguments.add_argument("-ranks", default="1,16,128,768", help="of the rotations")
    arguments.add_argument("-steps", type=int, default=200, help="to take with each rank")
    given = arguments.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    for rank in map(int, given.ranks.split(",")):
        print(json.dumps(train(given.width, rank, given.steps)), flush=True)


main()

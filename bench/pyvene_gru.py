"""Times the GRU tutorial's calls on pyvene 0.0.5 and prints one line of JSON for each; the twin of bench/gru."""

import argparse
import contextlib
import json
import os
import statistics
import sys
import time

import torch
from pyvene import (
    IntervenableConfig,
    IntervenableModel,
    IntervenableRepresentationConfig,
    LowRankRotatedSpaceIntervention,
    VanillaIntervention,
    create_gru_classifier,
)
from pyvene.models.gru.modelings_gru import GRUConfig


def measure(call, count):
    """The median time of single calls in seconds, after some to warm up."""
    for _ in range(count // 10):
        call()
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def report(name, call, count):
    line = {"backend": "pytorch:cpu", "name": name, "median_s": measure(call, count), "compile_s": 0}
    print(json.dumps(line), flush=True)


def intervenable(gru, intervention, *representations):
    config = IntervenableConfig(
        intervenable_model_type=type(gru),
        intervenable_representations=list(representations),
        intervenable_interventions_type=intervention,
    )
    return IntervenableModel(config, gru)


def uniform(*shape):
    return {"inputs_embeds": torch.rand(*shape)}


def gradient(model, *call, **options):
    """A call after which the gradient of the output's sum is read, for each trainable parameter once."""
    parameters = list(dict.fromkeys(model.get_trainable_parameters()))

    def run():
        for parameter in parameters:
            parameter.grad = None
        _, counterfactual = model(*call, **options)
        counterfactual[0].sum().backward()
        return [parameter.grad.numpy() for parameter in parameters]

    return run


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-n", type=int, default=300, help="calls to time")
    count = arguments.parse_args().n
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(42)
    with contextlib.redirect_stdout(sys.stderr):
        _, _, gru = create_gru_classifier(GRUConfig(n_layer=1, h_dim=2))

    vanilla = intervenable(gru, VanillaIntervention, IntervenableRepresentationConfig(0, "cell_output", "t", 1))
    base, source = uniform(10, 10, 2), uniform(10, 10, 2)
    locations = {"sources->base": ([[[0, 2, 4]] * 10], [[[0, 5, 7]] * 10])}
    report("vanilla", lambda: vanilla(base, [source], locations), count)

    base, source = uniform(1, 1, 2), uniform(1, 1, 2)
    das = intervenable(
        gru,
        LowRankRotatedSpaceIntervention,
        IntervenableRepresentationConfig(0, "cell_output", "t", 1, intervenable_low_rank_dimension=2),
    )
    report("das", gradient(das, base, [source], {"sources->base": ([[[0]]], [[[0]]])}), count)

    part = IntervenableRepresentationConfig(
        0,
        "cell_output",
        "t",
        1,
        intervenable_low_rank_dimension=2,
        subspace_partition=[[0, 1], [1, 2]],
        intervention_link_key=0,
    )
    linked = intervenable(gru, LowRankRotatedSpaceIntervention, part, part)
    locations = {"sources->base": ([[[0]], [[0]]], [[[0]], [[0]]])}
    report("das_linked", gradient(linked, base, [source, source], locations, subspaces=[[[0]], [[1]]]), count)


main()

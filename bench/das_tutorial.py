"""pyvene's tutorial of distributed alignment search, DAS_Main_Introduction, from data to accuracies: train a network on hierarchical equality, and find
both variables after its first layer. Data come from pyvene's causal model, one example after the other. It is cut: a twentieth of the examples
and of the steps, and the line of JSON says so. Trainer, of transformers, is a plain loop here, with its optimizer and schedule, and what the
notebook only looks at (the evaluation on all training examples after each epoch) is left out."""

import contextlib
import importlib.metadata
import json
import os
import random
import sys
import time

import numpy as np
import torch
from torch.utils.data import DataLoader

with contextlib.redirect_stdout(sys.stderr):  # it says what it lacks
    import pyvene
    from pyvene.data_generators.causal_model import CausalModel
    from pyvene.models.mlp.modelings_mlp import MLPConfig, MLPForClassification

CUT = 20
SIZE, WIDTH = 4, 16
FACTUAL, BATCH, EPOCHS = 1_048_576, 1024, 3
COUNTERFACTUAL, LARGE, SEARCH_EPOCHS, TEST = 1_280_000, 6400, 10, 10_000


def vector():
    return np.array([round(random.uniform(-1, 1), 2) for _ in range(SIZE)])


def sample(**_):
    a, b, c, d = (vector() for _ in range(4))
    w, x, y, z = random.choice([(a, b, c, d), (a, a, b, b), (a, a, c, d), (a, b, c, c)])
    return {"W": w, "X": x, "Y": y, "Z": z}


def equality():
    entities = [vector() for _ in range(100)]
    values = {name: entities for name in "WXYZ"} | {name: [True, False] for name in ("WX", "YZ", "O")}
    parents = {name: [] for name in "WXYZ"} | {"WX": ["W", "X"], "YZ": ["Y", "Z"], "O": ["WX", "YZ"]}
    functions = {name: lambda: entities[0] for name in "WXYZ"} | {"WX": np.array_equal, "YZ": np.array_equal, "O": lambda x, y: x == y}
    return CausalModel(list(values), values, parents, functions)


def trained(model):
    examples = model.generate_factual_dataset(FACTUAL // CUT, sample)
    network = MLPForClassification(MLPConfig(n_layer=3, h_dim=WIDTH, num_classes=2, activation_function="relu", pdrop=0.0))
    steps = EPOCHS * (len(examples) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(EPOCHS):
        for batch in DataLoader(examples, batch_size=BATCH, shuffle=True, drop_last=True):
            logits = network(inputs_embeds=batch["input_ids"].unsqueeze(1))[0]
            loss = torch.nn.functional.cross_entropy(logits.reshape(-1, 2), batch["labels"].long().squeeze(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network, steps


def intervened(intervenable, batch):
    count = len(batch["input_ids"])
    sources, kind = batch["source_input_ids"].unsqueeze(2), int(batch["intervention_id"][0])
    here, first, second = [[0]] * count, [[0]] * count, [[1]] * count
    given = {
        0: ([{"inputs_embeds": sources[:, 0]}, None], [here, None], [first, None]),
        1: ([None, {"inputs_embeds": sources[:, 0]}], [None, here], [None, second]),
        2: ([{"inputs_embeds": sources[:, 0]}, {"inputs_embeds": sources[:, 1]}], [here, here], [first, second]),
    }[kind]
    inputs, at, subspaces = given
    _, out = intervenable({"inputs_embeds": batch["input_ids"].unsqueeze(1)}, inputs, {"sources->base": (at, at)}, subspaces=subspaces)
    return out[0].reshape(count, -1)


def shuffled(count):
    """Numbers of examples, batch by batch, in an order of batches that is drawn: a batch has one kind of intervention."""
    order = list(range(count // LARGE))
    random.shuffle(order)
    return [i for b in order for i in range(b * LARGE, (b + 1) * LARGE)]


def main():
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    random.seed(42), np.random.seed(42), torch.manual_seed(42)
    begin = time.perf_counter()
    model = equality()
    network, training_steps = trained(model)
    network.requires_grad_(False)
    after = time.perf_counter()

    def which(intervention):
        return 2 if len(intervention) == 2 else 0 if "WX" in intervention else 1

    def draw():  # WX, YZ or both
        return random.choice([{"WX": True}, {"YZ": True}, {"WX": True, "YZ": True}])

    examples = model.generate_counterfactual_dataset(COUNTERFACTUAL // CUT, which, LARGE, sampler=sample, intervention_sampler=draw)
    representation = pyvene.RepresentationConfig(0, "block_output", "pos", 1, subspace_partition=[[0, WIDTH // 2], [WIDTH // 2, WIDTH]], intervention_link_key=0)
    intervenable = pyvene.IntervenableModel(
        pyvene.IntervenableConfig([representation, representation], intervention_types=pyvene.RotatedSpaceIntervention), network, use_fast=True
    )
    optimizer = torch.optim.Adam(intervenable.get_trainable_parameters(), lr=1e-3)
    steps = 0
    for _ in range(SEARCH_EPOCHS):
        for batch in DataLoader(examples, batch_size=LARGE, sampler=shuffled(len(examples))):
            loss = torch.nn.functional.cross_entropy(intervened(intervenable, batch), batch["labels"].long().squeeze(-1))
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            steps += 1
    searched = time.perf_counter()
    test = model.generate_counterfactual_dataset(TEST // CUT, which, 1280, sampler=sample, intervention_sampler=draw)
    right = []
    with torch.no_grad():
        for batch in DataLoader(test, batch_size=1280):
            right.append((intervened(intervenable, batch).argmax(1) == batch["labels"].squeeze(-1)).float().mean().item())
    seconds = time.perf_counter() - begin
    line = {"library": "pyvene " + importlib.metadata.version("pyvene"), "backend": "pyvene", "name": "tutorial", "cut": CUT, "seconds": seconds}
    print(json.dumps({**line, "training_s": after - begin, "search_s": searched - after, "training_steps": training_steps, "steps": steps, "iia": sum(right) / len(right)}))


main()

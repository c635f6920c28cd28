"""Twin of bench/das on pyvene: steps with two linked rotated spaces, and steps of rank 16 in the middle of GPT-2 small. With
a device and ranks, such as cuda 1 16 128, it takes steps of these ranks in GPT-2 there, and no others."""

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

WIDTH, LAYERS, BATCH = 16, 3, 1280


def main(count=200):
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    model = MLPForClassification(MLPConfig(n_layer=LAYERS, h_dim=WIDTH, num_classes=2, activation_function="relu", pdrop=0.0))
    model.requires_grad_(False)
    representation = pyvene.RepresentationConfig(
        0, "block_output", "pos", 1, subspace_partition=[[0, WIDTH // 2], [WIDTH // 2, WIDTH]], intervention_link_key=0
    )
    config = pyvene.IntervenableConfig([representation, representation], intervention_types=pyvene.RotatedSpaceIntervention)
    intervenable = pyvene.IntervenableModel(config, model, use_fast=True)
    adam = torch.optim.Adam(intervenable.get_trainable_parameters(), lr=1e-3)
    at = [[[0]] * BATCH] * 2
    times = []
    for i in range(count + 10):
        torch.manual_seed(i % 20)
        base, *sources = ({"inputs_embeds": torch.randn(BATCH, 1, WIDTH)} for _ in range(3))
        labels = torch.randint(0, 2, (BATCH,))
        start = time.perf_counter()
        adam.zero_grad()
        _, (logits, *_) = intervenable(base, sources, {"sources->base": (at, at)}, subspaces=[[[0]] * BATCH, [[1]] * BATCH])
        loss = torch.nn.functional.cross_entropy(logits, labels)
        loss.backward()
        adam.step()
        loss.item()
        times.append(time.perf_counter() - start)
    times = times[10:]
    line = {"library": "pyvene " + importlib.metadata.version("pyvene"), "backend": "pyvene", "name": "step on a new call"}
    print(json.dumps({**line, "median_s": statistics.median(times), "min_s": min(times)}))


def low_rank(count=6, batch=8, tokens=32, rank=16, device="cpu"):
    from transformers import GPT2Config, GPT2LMHeadModel

    model = GPT2LMHeadModel(GPT2Config(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)).to(device)
    model.requires_grad_(False)
    config = pyvene.IntervenableConfig(
        [pyvene.RepresentationConfig(5, "block_output", "pos", 1, low_rank_dimension=rank)], intervention_types=pyvene.LowRankRotatedSpaceIntervention
    )
    intervenable = pyvene.IntervenableModel(config, model, use_fast=True)
    intervenable.set_device(device)
    adam = torch.optim.Adam(intervenable.get_trainable_parameters(), lr=1e-3)
    times = []
    for _ in range(count + 2):
        base, source = ({"input_ids": torch.randint(0, 50257, (batch, tokens), device=device)} for _ in range(2))
        labels = torch.randint(0, 50257, (batch,), device=device)
        start = time.perf_counter()
        adam.zero_grad()
        _, out = intervenable(base, [source], {"sources->base": ([[[15]] * batch], [[[15]] * batch])})
        loss = torch.nn.functional.cross_entropy(out.logits[:, -1], labels)
        loss.backward()
        adam.step()
        loss.item()
        times.append(time.perf_counter() - start)
    line = {"library": "pyvene " + importlib.metadata.version("pyvene"), "backend": "pyvene" if device == "cpu" else device, "name": "low rank step", "rank": rank}
    print(json.dumps({**line, "median_s": statistics.median(times[2:]), "min_s": min(times[2:])}))


if len(sys.argv) > 1:
    for rank in sys.argv[2:]:
        low_rank(20, rank=int(rank), device=sys.argv[1])
else:
    main()
    low_rank()

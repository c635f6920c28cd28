"""Times GPT-2 small with random weights on PyTorch and on pyvene and prints one line of JSON for each measurement; the twin of bench/transformer."""

import argparse
import contextlib
import importlib.metadata
import json
import os
import resource
import statistics
import sys
import time

import torch
from transformers import GPT2Config, GPT2LMHeadModel

LENGTH, NEW_TOKENS, LAYER, POSITION = 32, 64, 5, 10


def tokens(seed, batch):
    ids = [(i + seed * 1000) * 7919 % 50257 for i in range(batch * LENGTH)]
    return torch.tensor(ids).reshape(batch, LENGTH)


def report(library, name, call, count):
    call()  # to warm up
    times = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    line = {
        "library": library,
        "backend": "pytorch:cpu",
        "name": name,
        "median_s": statistics.median(times),
        "min_s": min(times),
        "compile_s": 0,
        "n": count,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(line), flush=True)


def by_hand(model, batch):
    """A patched call in plain PyTorch: the source up to the layer, then the base with a hook."""
    base, source, kept = tokens(1, batch), tokens(2, batch), []
    block = model.transformer.h[LAYER]

    class Stop(Exception):
        pass

    def take(module, args, output):
        kept.append((output[0] if isinstance(output, tuple) else output)[:, POSITION].clone())
        raise Stop

    def put(module, args, output):
        hidden = (output[0] if isinstance(output, tuple) else output).clone()
        hidden[:, POSITION] = kept.pop()
        return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

    def call():
        handle = block.register_forward_hook(take)
        with contextlib.suppress(Stop):
            model(source)
        handle.remove()
        handle = block.register_forward_hook(put)
        logits = model(base).logits
        handle.remove()
        return logits.numpy()

    return call


def with_pyvene(model, batch):
    with contextlib.redirect_stdout(sys.stderr):  # it says what it lacks
        import pyvene

    config = pyvene.IntervenableConfig(pyvene.RepresentationConfig(LAYER, "block_output", "pos", 1), intervention_types=pyvene.VanillaIntervention)
    intervenable = pyvene.IntervenableModel(config, model)
    base, source = {"input_ids": tokens(1, batch)}, {"input_ids": tokens(2, batch)}
    return lambda: intervenable(base, [source], {"sources->base": POSITION})[1].logits.numpy()


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("library", choices=["pytorch", "pyvene"])
    arguments.add_argument("-n", type=int, default=10, help="calls to time")
    given = arguments.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config()).eval()
    with torch.no_grad():
        if given.library == "pyvene":
            library = "pyvene " + importlib.metadata.version("pyvene")
            for batch in (1, 8):
                report(library, f"patched_{batch}x{LENGTH}", with_pyvene(model, batch), given.n)
            return
        library = "pytorch " + torch.__version__.split("+")[0]
        for batch in (1, 8):
            report(library, f"forward_{batch}x{LENGTH}", lambda batch=batch: model(tokens(1, batch)).logits.numpy(), given.n)
        for batch in (1, 8):
            report(library, f"patched_{batch}x{LENGTH}", by_hand(model, batch), given.n)
        prompt = tokens(1, 1)
        report(
            library,
            f"generate_{NEW_TOKENS}",
            lambda: model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, do_sample=False, pad_token_id=0),
            given.n,
        )


main()

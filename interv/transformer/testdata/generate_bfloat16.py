#!/usr/bin/env python
"""What transformers computes in bfloat16: python generate_bfloat16.py [FOLDER...], with the packages of generate.py, from checkpoints that
it made. Without folders: again from those in transformers/ that have been done, and from those of OWN, which it makes in bfloat16/.

It writes bfloat16.safetensors beside the inputs of each case: logits of a run in bfloat16 on the CPU, 0 where there is padding, and spread
[1], how far those of its other implementation of attention (sdpa beside eager) are from them at most; 0 in a family that has one alone.

OWN are cases of generate.py with inputs, and perhaps weights, of their own. The inputs of a mixture are such that its router chooses the same
experts in bfloat16, in either implementation, as in float32, and that the last expert to be chosen leads the first that is not by twice what
rounding changes of scores, and more. Falcon's ALiBi is added once (see runner). Gains of Gemma 3's norms are about 1, of which the
checkpoint has the part above 1: at 2, as in transformers/, scores are so large that rounding decides.
"""
import json
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

from generate import CASES, VOCABULARY, initialized, runner

OWN = {"falcon_alibi": 1, "falcon_alibi_three": 1, "gemma3": 0, "mixtral": 1, "mixtral_windows": 1, "olmoe": 1, "olmoe_normed": 1}  # gains


def write(folder):
    inputs = load_file(folder / "inputs.safetensors")
    ids, mask = inputs["input_ids"].long(), inputs["attention_mask"].long()
    classifier = "Classification" in json.loads((folder / "config.json").read_text())["architectures"][0]
    kind = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM

    def logits(attention):
        model = kind.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation=attention).eval()
        with torch.no_grad():
            out = runner(model)(ids, mask).logits.float()
        return (out if classifier else out * mask[..., None]).contiguous()

    eager = logits("eager")
    try:
        spread = (eager - logits("sdpa")).abs().max()
    except ValueError:
        spread = torch.tensor(0.0)
    save_file({"logits": eager, "spread": spread.reshape(1)}, folder / "bfloat16.safetensors")
    largest = eager.abs().max()
    print(f"{folder.name}: of the largest logit, {largest:.3g}: spread {spread / largest:.4f}, from float32 {(eager - inputs['logits']).abs().max() / largest:.4f}")


class Router:
    """The scores of a mixture's routers for tokens that are no padding, layer by layer."""

    def __init__(self, model):
        self.scores = []
        for name, module in model.named_modules():
            if name.endswith(".gate"):
                module.register_forward_hook(lambda module, inputs, scores: self.scores.append(scores.float()))
        self.run = runner(model)

    def __call__(self, ids, mask):
        self.scores.clear()
        self.logits = self.run(ids, mask).logits
        return torch.cat([scores.view(mask.numel(), -1)[mask.flatten() > 0] for scores in self.scores])


def decided(routers, chosen, ids, mask):
    """Whether rounding changes nothing of which experts are chosen, by far."""
    exact, *rounded = [router(ids, mask) for router in routers]
    order = exact.sort(-1, descending=True)
    lead = order.values[:, chosen - 1] - order.values[:, chosen]
    best = order.indices[:, :chosen].sort(-1).values
    return all(torch.equal(best, scores.topk(chosen).indices.sort(-1).values) and lead.min() > 2 * (scores - exact).abs().max() for scores in rounded)


@torch.no_grad()
def make(folder, gains):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    family, settings = CASES[folder.name]
    generator = torch.Generator().manual_seed(sum(folder.name.encode()))
    config = AutoConfig.for_model(family, **settings)
    model = initialized(AutoModelForCausalLM, config, generator, folder, gains)
    kinds = [(torch.float32, "eager"), (torch.bfloat16, "eager"), (torch.bfloat16, "sdpa")]
    routers = [Router(AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation=attention).eval())
               for dtype, attention in kinds if hasattr(config, "num_experts_per_tok")]
    mask = torch.ones(2, 8, dtype=torch.long)
    mask[1, :3] = 0
    for draws in range(1, 2000):
        ids = torch.randint(2, VOCABULARY, mask.shape, generator=generator) * mask
        if not routers or decided(routers, config.num_experts_per_tok, ids, mask):
            break
    else:
        raise ValueError(f"{folder.name}: no inputs that decide")
    logits = runner(model)(ids, mask).logits * mask[..., None]
    save_file({"input_ids": ids.int(), "attention_mask": mask.int(), "logits": logits.contiguous()}, folder / "inputs.safetensors")
    print(f"{folder.name}: draw {draws}")
    write(folder)


if __name__ == "__main__":
    root = pathlib.Path(__file__).resolve().parent
    for case in map(pathlib.Path, sys.argv[1:] or sorted(file.parent for file in (root / "transformers").glob("*/bfloat16.safetensors"))):
        write(case)
    for name, gains in OWN.items() if not sys.argv[1:] else ():
        make(root / "bfloat16" / name, gains)

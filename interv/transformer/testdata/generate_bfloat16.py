#!/usr/bin/env python
"""What transformers computes in bfloat16 from the checkpoints that generate.py made: python generate_bfloat16.py [FOLDER...], with the same
packages. Without folders: all of transformers/.

It writes bfloat16.safetensors beside the inputs of each case: logits of a run in bfloat16 on the CPU, 0 where there is padding, and spread
[1], how far those of its other implementation of attention (sdpa beside eager) are from them at most; 0 in a family that has one alone.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification


def write(folder):
    inputs = load_file(folder / "inputs.safetensors")
    ids, mask = inputs["input_ids"].long(), inputs["attention_mask"].long()
    classifier = "Classification" in json.loads((folder / "config.json").read_text())["architectures"][0]
    kind = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM

    def logits(attention):
        model = kind.from_pretrained(folder, dtype=torch.bfloat16, attn_implementation=attention).eval()
        with torch.no_grad():
            out = model(input_ids=ids, attention_mask=mask, position_ids=(mask.cumsum(-1) - 1).clamp(min=0)).logits.float()
        return (out if classifier else out * mask[..., None]).contiguous()

    eager = logits("eager")
    try:
        spread = (eager - logits("sdpa")).abs().max()
    except ValueError:
        spread = torch.tensor(0.0)
    save_file({"logits": eager, "spread": spread.reshape(1)}, folder / "bfloat16.safetensors")
    wide = (eager - inputs["logits"]).abs().max()
    print(f"{folder.name}: spread {spread:.3g}, from float32 {wide:.3g}, largest logit {eager.abs().max():.3g}")


if __name__ == "__main__":
    root = pathlib.Path(__file__).resolve().parent / "transformers"
    for case in map(pathlib.Path, sys.argv[1:] or sorted(root.iterdir())):
        write(case)

"""Writes a golden case that says what PyTorch's transformers makes of a checkpoint, so that Govene's logits can be compared with it:

    python checkpoint.py FOLDER gpt2                 a model by its id on the hub, or by its folder
    python checkpoint.py FOLDER --random gpt2        one of that family's default size (GPT-2 small) with random weights
    GOVENE_GOLDEN=FOLDER go test -count=1 -run TestGolden ./interv/transformer

It needs torch, transformers and safetensors: .lab/parity-venv, which make parity makes, has them.
"""

import argparse
import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("model", help="id on the hub, folder, or with --random a model type of transformers")
    arguments.add_argument("--random", action="store_true")
    arguments.add_argument("--positions", type=int, default=32)
    given = arguments.parse_args()
    torch.manual_seed(1)
    if given.random:
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(given.model), attn_implementation="eager", dtype=torch.float32)
    else:
        model = AutoModelForCausalLM.from_pretrained(given.model, attn_implementation="eager", dtype=torch.float32)
    model.eval()
    model.save_pretrained(given.folder / "checkpoint")
    vocabulary, positions = model.config.get_text_config().vocab_size, given.positions
    ids = torch.randint(vocabulary, (2, positions))
    mask = torch.ones_like(ids)
    mask[1, positions // 2 :] = 0
    with torch.no_grad():
        logits = model(input_ids=ids, attention_mask=mask).logits.float()
    logits *= mask[..., None]
    case = given.folder / "logits"
    case.mkdir(parents=True, exist_ok=True)
    tensors = {"base.input_ids": ids.int(), "base.attention_mask": mask.int(), "expected.output": logits}
    save_file(tensors, case / "tensors.safetensors")
    text = {
        "name": "logits",
        "description": f"{given.model}, {'random weights' if given.random else 'as published'}: clean logits of two sequences, one padded",
        "model": {"family": model.config.model_type, "config": {}, "checkpoint": "../checkpoint"},
        "mode": "parallel",
        "interventions": [],
        "inputs": {"base": {"input_ids": "base.input_ids", "attention_mask": "base.attention_mask"}, "sources": []},
        "locations": [],
        "subspaces": [],
        "expected": {
            "base_output": "expected.output",
            "output": "expected.output",
            "collected": [],
            "gradients": {},
            "tangent_gradients": {},
            "compare_mask": "base.attention_mask",
        },
        "tolerance": {"rtol": 1e-4, "atol": 1e-5},
    }
    (case / "case.json").write_text(json.dumps(text, indent=1) + "\n")
    print(f"{model.config.model_type}, {sum(p.numel() for p in model.parameters()) / 1e6:.0f} million parameters, largest logit {logits.abs().max():.2f}: {case}")


main()

"""Writes random cases in the golden format that say what pyvene 0.1.8 makes of them: python generate.py FOLDER [--count 500] [--seed 1].

questions.py draws the cases and lists what is not drawn because pyvene gets it wrong; answers.py runs them; models.py has the models.
Expectations are computed in float64. A case on which pyvene in float32 is off by more than a quarter of the tolerance (mostly the gradient
of a boundary, which is the sum of numbers that cancel) would test rounding, and another is drawn in its place.
"""

import argparse
import collections
import json
import pathlib
import shutil

import numpy as np
import torch
from safetensors.numpy import save_file

import models
from answers import Answer
from questions import Question

TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=pathlib.Path)
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--seed", type=int, default=1)
    arguments = arguments.parse_args()
    torch.set_num_threads(1)
    generator = np.random.default_rng(arguments.seed)
    pool = [models.mlp(i, generator) for i in range(8)] + [models.gpt2(i, generator) for i in range(12)]
    shutil.rmtree(arguments.folder, ignore_errors=True)
    for model in pool:
        if model.family == "gpt2":
            checkpoint(arguments.folder, model)
    drawn = collections.Counter()
    written = 0
    while written < arguments.count:
        model = pool[int(generator.integers(len(pool)))]
        question = Question(f"parity_{written:04d}", model, generator)
        case = question.draw()
        try:
            expected, tensors, differentiable = Answer(case, question.tensors, model).answer()
            _, rounded, _ = Answer(case, question.tensors, model, torch.float32).answer()
        except Exception:
            print("pyvene fails on", json.dumps(case))
            raise
        if not all(agree(value, rounded[name]) for name, value in tensors.items()):
            drawn["(drawn again: a matter of rounding)"] += 1
            continue
        if not differentiable:
            case["loss"] = None
            drawn["(no loss: pyvene's edit in place prevents it)"] += 1
        write(arguments.folder, case | {"expected": expected, "tolerance": TOLERANCE}, question.tensors | tensors, model)
        drawn.update([model.family, case["mode"], *(intervention["type"] for intervention in case["interventions"])])
        written += 1
    print(f"{arguments.count} cases in {arguments.folder}:", ", ".join(f"{count} {kind}" for kind, count in sorted(drawn.items())))


def agree(value, rounded):
    return np.abs(value - rounded).max() <= (TOLERANCE["atol"] + TOLERANCE["rtol"] * np.abs(value).max()) / 4


def checkpoint(folder, model):
    """Writes a transformer as Hugging Face does, in float32."""
    model.torch.float().save_pretrained(folder / "checkpoints" / model.name)


def write(folder, case, tensors, model):
    if model.family == "mlp_classifier":
        tensors |= {f"model.{name}": value for name, value in model.weights().items()}
    place = folder / case["name"]
    place.mkdir(parents=True)
    (place / "case.json").write_text(json.dumps(case, indent=1) + "\n")
    save_file({name: np.array(value, order="C") for name, value in tensors.items()}, place / "tensors.safetensors")


if __name__ == "__main__":
    main()

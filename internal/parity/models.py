"""Small random models that both pyvene and Govene run, and the sites that cases are drawn at."""

import contextlib
import dataclasses
import logging
import os
import warnings

import numpy as np

os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
warnings.filterwarnings("ignore")
logging.disable(logging.WARNING)

import torch

with contextlib.redirect_stdout(None):  # it says what it could do with other packages
    from pyvene.models.mlp.modelings_mlp import MLPConfig, MLPForClassification
from transformers import GPT2Config, GPT2LMHeadModel


@dataclasses.dataclass(frozen=True)
class Site:
    component: str
    units: tuple[str, ...]
    width: int | None  # of the last axis; None where it is the length of the run
    view: str  # the value behind it: head_query_output and query_output are two views of one


@dataclasses.dataclass(frozen=True)
class Model:
    name: str
    family: str
    config: dict  # as case.json has it
    torch: torch.nn.Module  # with weights that float32 holds exactly
    layers: int
    heads: int
    sites: tuple[Site, ...]
    skippable: tuple[str, ...]  # components whose module's input is as wide as its output

    def weights(self):
        return {name: value.detach().float().numpy() for name, value in self.torch.state_dict().items()}


def randomize(model, generator, scale):
    """Weights as in a trained model: large enough for every part to matter."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.from_numpy(generator.normal(size=parameter.shape).astype(np.float32) * np.float32(scale))
            norm = ".ln_" in name and name.endswith("weight")
            parameter.copy_(1 + noise if norm else noise)
    return model.eval()


def mlp(number, generator):
    config = {
        "n_layer": int(generator.integers(1, 4)), "h_dim": int(generator.integers(3, 9)), "num_classes": int(generator.integers(2, 5)),
        "include_bias": bool(generator.integers(2)), "squeeze_output": True,
        "activation_function": str(generator.choice(["gelu", "relu", "tanh", "sigmoid", "silu", "gelu_new"])),
    }
    if config["activation_function"] == "relu":  # without bias, the next layer is at its kink where all of this one is zero
        config["include_bias"] = True
    model = MLPForClassification(MLPConfig(**config, pdrop=0.0))
    sites = tuple(Site(component, ("pos",), config["h_dim"], component) for component in ("block_input", "mlp_activation", "block_output"))
    return Model(f"mlp{number}", "mlp_classifier", config, randomize(model, generator, 0.6), config["n_layer"], 0, sites,
                 ("mlp_activation", "block_output"))


def gpt2(number, generator):
    heads, width = int(generator.integers(2, 5)), int(generator.integers(3, 7))
    config = {
        "vocab_size": int(generator.integers(13, 32)), "n_embd": heads * width, "n_head": heads, "n_layer": int(generator.integers(2, 4)),
        "n_positions": 12, "n_inner": int(generator.integers(10, 40)), "bos_token_id": 0, "eos_token_id": 0,
        "activation_function": str(generator.choice(["gelu_new", "gelu", "relu"])),
    }
    model = GPT2LMHeadModel._from_config(GPT2Config(**config), attn_implementation="eager")
    sites = [Site(component, ("pos",), config["n_embd"], component) for component in (
        "block_input", "block_output", "attention_input", "attention_output", "attention_value_output", "query_output", "key_output",
        "value_output", "mlp_input", "mlp_output")]
    sites += [Site("head_" + view, ("h", "h.pos"), width, view) for view in (
        "attention_value_output", "query_output", "key_output", "value_output")]
    sites += [Site("mlp_activation", ("pos",), config["n_inner"], "mlp_activation"),
              Site("attention_weight", ("h",), None, "attention_weight")]
    return Model(f"gpt2_{number}", "gpt2", config, randomize(model, generator, 0.25), config["n_layer"], heads, tuple(sites),
                 ("block_output", "mlp_output"))

"""Runs cases in pyvene, one example at a time, and writes down what comes out."""

import types

import numpy as np
import pyvene
import torch
from torch.nn.utils import parametrize

from questions import TRAINABLE

CLASSES = {
    "vanilla": pyvene.VanillaIntervention, "addition": pyvene.AdditionIntervention, "subtraction": pyvene.SubtractionIntervention,
    "zero": pyvene.ZeroIntervention, "noise": pyvene.NoiseIntervention, "collect": pyvene.CollectIntervention,
    "skip": pyvene.SkipIntervention, "rotated_space": pyvene.RotatedSpaceIntervention,
    "low_rank_rotated_space": pyvene.LowRankRotatedSpaceIntervention, "boundless_rotated_space": pyvene.BoundlessRotatedSpaceIntervention,
    "sigmoid_mask": pyvene.SigmoidMaskIntervention, "sigmoid_mask_rotated_space": pyvene.SigmoidMaskRotatedSpaceIntervention,
    "pca_rotated_space": pyvene.PCARotatedSpaceIntervention, "autoencoder": pyvene.AutoencoderIntervention,
    "jumprelu_autoencoder": pyvene.JumpReLUAutoencoderIntervention,
}

# Where pyvene keeps a parameter of the golden format.
ATTRIBUTES = {
    "rotation": "rotate_layer.weight", "boundary": "intervention_boundaries", "temperature": "temperature",
    "components": "pca_components", "mean": "pca_mean", "std": "pca_std", "noise": "noise", "noise_level": "noise_level",
    "encoder_weight": "autoencoder.encoder.0.weight", "encoder_bias": "autoencoder.encoder.0.bias",
    "decoder_weight": "autoencoder.decoder.0.weight", "decoder_bias": "autoencoder.decoder.0.bias",
    "W_enc": "W_enc", "b_enc": "b_enc", "threshold": "threshold", "W_dec": "W_dec", "b_dec": "b_dec",
}
NOT_TRAINED = ("temperature", "threshold")


def attribute(intervention, role):
    if role == "mask":
        return "mask" if isinstance(intervention, pyvene.SigmoidMaskIntervention) else "masks"
    return ATTRIBUTES[role]


class Answer:
    """A case as pyvene's objects, in float64 or float32: weights, parameters and inputs are numbers that both hold."""

    def __init__(self, case, tensors, model, dtype=torch.float64):
        self.case, self.model, self.dtype = case, model, dtype
        model.torch.to(dtype)
        self.tensors = {name: torch.from_numpy(value) for name, value in tensors.items()}
        self.batch = len(next(value for name, value in tensors.items() if name.startswith("base.")))
        self.linked = {}
        self.interventions = [self.make(i) for i in range(len(case["interventions"]))]
        self.pyvene = pyvene.IntervenableModel(pyvene.IntervenableConfig(
            mode=case["mode"],
            representations=[{
                "layer": there["layer"], "component": there["component"], "unit": self.unit(there), "intervention": intervention,
                "max_number_of_units": 1, "group_key": there.get("group"), "intervention_link_key": there.get("link"),
            } for there, intervention in zip(case["interventions"], self.interventions)]), model.torch)

    @staticmethod
    def unit(there):
        """pyvene takes the heads of attention weights under the unit pos."""
        return "pos" if there["component"] == "attention_weight" else there["unit"]

    def parameter(self, name):
        return self.tensors[name].to(self.dtype)

    def make(self, i):
        """Intervention i with its parameters; rotations become free matrices. Links share one object, as in pyvene."""
        there = self.case["interventions"][i]
        if there.get("link") in self.linked:
            return self.linked[there["link"]]
        params = {role: self.parameter(name) for role, name in there["params"].items()}
        site = next(site for site in self.model.sites if site.component == there["component"])
        flat = there.get("flatten_units", False)
        # A number larger than any width: all dimensions of attention weights, whose width varies.
        width = (site.width or 1000) * (len(self.case["locations"][i]["base"][0]) if flat else 1)
        settings = {"embed_dim": width, "subspace_partition": there.get("subspace_partition"), "low_rank_dimension": there.get("rank")}
        if there["type"] == "pca_rotated_space":
            settings |= {"pca": types.SimpleNamespace(components_=params["components"].numpy()), "pca_mean": params["mean"].numpy(),
                         "pca_std": params["std"].numpy()}
        if there["type"] == "autoencoder":
            settings["latent_dim"] = len(params["encoder_bias"])
        if there["type"] == "jumprelu_autoencoder":
            settings["low_rank_dimension"] = len(params["b_enc"])
        else:
            settings["keep_last_dim"] = not flat
        intervention = CLASSES[there["type"]](**settings)
        if hasattr(intervention, "rotate_layer"):
            parametrize.remove_parametrizations(intervention.rotate_layer, "weight")
        intervention.to(self.dtype)
        for role, value in params.items():
            if role == "constant":
                continue
            module, _, name = attribute(intervention, role).rpartition(".")
            module = intervention.get_submodule(module)
            if isinstance(getattr(module, name), torch.nn.Parameter):
                getattr(module, name).data = value.reshape(getattr(module, name).shape)
            else:
                setattr(module, name, value[None] if role == "noise" else value)
        if "link" in there:
            self.linked[there["link"]] = intervention
        return intervention

    def inputs(self, names, example):
        """The inputs of one run and one example, as fresh tensors: pyvene edits them in place."""
        if names is None:
            return None
        inputs = {name: self.tensors[tensor][example:example + 1].clone() for name, tensor in names.items()}
        return {name: value.to(self.dtype) if value.is_floating_point() else value.long() for name, value in inputs.items()}

    def side(self, i, side, example):
        """One side of location i in pyvene's form, [batch][unit] or [heads, positions]; None where nothing is located."""
        location = self.case["locations"][i]
        if location is None or location[side] is None:
            return None
        units = location[side][example]
        return [[units["heads"]], [units["positions"]]] if isinstance(units, dict) else [units]

    def locations(self, example):
        sides = [(self.side(i, "source", example), self.side(i, "base", example)) for i in range(len(self.interventions))]
        if self.case["mode"] == "parallel":
            return {"sources->base": ([source for source, _ in sides], [base for _, base in sides])}
        last = len(sides) - 1
        return {f"source_{i}->" + ("base" if i == last else f"source_{i + 1}"): ([source], [base])
                for i, (source, base) in enumerate(sides)}

    def features(self, i, example):
        """What the autoencoders of pyvene, which know no subspaces or default to too few, are to exchange."""
        there, rows = self.case["interventions"][i], self.case["subspaces"][i]
        latents = next(len(self.tensors[name]) for role, name in there["params"].items() if role in ("encoder_bias", "b_enc"))
        if rows is None or there["type"] == "jumprelu_autoencoder":
            return list(range(latents)) if there["type"] == "autoencoder" else latents
        parts = there.get("subspace_partition")
        if parts is None:
            return rows[example]
        return [k for id in rows[example] for k in (range(*parts[id]) if len(parts[id]) == 2 else parts[id])]

    def run(self, example):
        """One example: the intervened output and what was collected."""
        case = self.case
        for i, there in enumerate(case["interventions"]):
            if there["type"].endswith("autoencoder"):
                self.interventions[i].set_interchange_dim(self.features(i, example))
            if "constant" in there["params"]:
                constant = self.parameter(there["params"]["constant"])
                if constant.dim() == 3:
                    constant = constant[example]
                # set_source_representation fails unless the intervention was made with a constant.
                self.interventions[i].is_source_constant = True
                self.interventions[i].source_representation = constant if constant.dim() == 1 else constant[None]
        rows = [None if row is None or there["type"] == "autoencoder" else [row[example]]
                for there, row in zip(case["interventions"], case["subspaces"])]
        original, output = self.pyvene(
            self.inputs(case["inputs"]["base"], example), [self.inputs(names, example) for names in case["inputs"]["sources"]],
            self.locations(example), subspaces=rows if any(rows) else None)
        return output[0], original[1] if self.pyvene.return_collect_activations else []

    def answer(self):
        """What the case is to expect, by the names of its tensors, and the tensors; and whether the gradients could be had."""
        with torch.no_grad():
            clean = torch.cat([self.model.torch(**self.inputs(self.case["inputs"]["base"], e))[0] for e in range(self.batch)])
        try:
            gradients = self.gradients() if self.case["loss"] else {}
            differentiable = True
        except RuntimeError as failure:
            if "inplace operation" not in str(failure).replace("-", ""):
                raise
            gradients, differentiable = {}, False
        with torch.no_grad():
            runs = [self.run(e) for e in range(self.batch)]
        tensors = {"expected.base_output": clean, "expected.output": torch.cat([output for output, _ in runs])}
        collected = [torch.cat(values) for values in zip(*(values for _, values in runs))]
        tensors |= {f"expected.collected.{i}": value for i, value in enumerate(collected)}
        tensors |= {f"gradient.{name}": value for name, value in gradients.items()}
        tangents = {name: self.tangent(self.parameter(name), value) for name, value in gradients.items() if name.endswith(".rotation")}
        tensors |= {f"tangent.{name}": value for name, value in tangents.items()}
        expected = {
            "base_output": "expected.base_output", "output": "expected.output",
            "collected": [f"expected.collected.{i}" for i in range(len(collected))],
            "gradients": {name: f"gradient.{name}" for name in gradients},
            "tangent_gradients": {name: f"tangent.{name}" for name in tangents},
        }
        mask = self.case["inputs"]["base"].get("attention_mask")
        if mask:
            expected["compare_mask"] = mask
            for name in ("expected.base_output", "expected.output"):
                tensors[name] = tensors[name] * self.tensors[mask][..., None]
        return expected, {name: value.detach().float().numpy() for name, value in tensors.items()}, differentiable

    def gradients(self):
        """Of the sum of all outputs, with respect to every trained parameter."""
        parameters = {}
        for there, intervention in zip(self.case["interventions"], self.interventions):
            if there["type"] in TRAINABLE:
                parameters |= {name: intervention.get_parameter(attribute(intervention, role))
                               for role, name in there["params"].items() if role not in NOT_TRAINED}
        for parameter in parameters.values():
            parameter.grad = None
        for example in range(self.batch):
            output, _ = self.run(example)
            if output.requires_grad:  # else a later edit hides all trained ones, and their gradients are 0
                output.sum().backward()
        return {name: torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
                for name, parameter in parameters.items()}

    @staticmethod
    def tangent(rotation, gradient):
        """The part of a gradient along the orthonormal matrices."""
        return gradient - rotation @ (rotation.T @ gradient + gradient.T @ rotation) / 2

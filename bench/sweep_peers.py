"""Sweeps on GPT-2 small by one peer, with the calls that its documentation shows: the twin of bench/sweep.

    sweep_peers.py hooks|transformer_lens|nnsight|pyvene FOLDER [-sweeps positions8,heads,positions32,attribution,paths] [-out numbers.json]
                   [-device cuda] [-dtype bfloat16] [-again]

FOLDER has a checkpoint of GPT-2 and questions.json: base and source tokens [pairs][32], right and wrong tokens [pairs]. A number is the
logit of the right token less that of the wrong one at the last position, for each cell and pair:

    positions8, positions32   the source's block output of one layer at one position, put into the base
    heads                     the source's mixed values of one head at all positions
    attribution               (source − base) · gradient of the number, of block outputs at each layer and position
    paths                     what one head writes, from the source, given to the queries of one later head and to nothing else

Prints a line of JSON for each sweep: seconds, with -again of a second one, too, and the numbers' checksum. Loading the model and importing libraries does not count; runs that
a sweep needs before its first cell, do.
"""

import argparse
import contextlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time

import torch

LAYERS, HEADS, LENGTH, WIDTH = 12, 12, 32, 768
EVERY_FOURTH = list(range(3, LENGTH, 4))
RECEIVER = (LAYERS - 1, 0)  # layer and head whose queries a path ends in
DEVICE, DTYPE = "cpu", torch.float32


class Questions:
    def __init__(self, folder):
        with open(os.path.join(folder, "questions.json")) as file:
            read = json.load(file)
        self.base, self.source, self.right, self.wrong = (torch.tensor(read[name], device=DEVICE) for name in ("base", "source", "right", "wrong"))
        self.pairs = len(self.base)

    def number(self, logits):
        """The logit difference of each pair at the last position."""
        last, rows = logits[:, -1].float(), torch.arange(self.pairs, device=DEVICE)
        return last[rows, self.right] - last[rows, self.wrong]


def load(folder):
    from transformers import GPT2LMHeadModel

    return GPT2LMHeadModel.from_pretrained(folder, attn_implementation="eager", dtype=DTYPE).to(DEVICE).eval().requires_grad_(False)


def no_tokenizer():
    """One of two tokens, for a library that wants a tokenizer and would fetch it; the questions are tokens."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    folder = tempfile.mkdtemp()  # from which it is read again
    PreTrainedTokenizerFast(tokenizer_object=made, bos_token="a", eos_token="a", pad_token="b").save_pretrained(folder)
    return PreTrainedTokenizerFast.from_pretrained(folder)


def cells(positions):
    return [(layer, position) for layer in range(LAYERS) for position in positions]


def heads():
    return [(layer, head) for layer in range(LAYERS) for head in range(HEADS)]


def split(z):
    return z.unflatten(-1, (HEADS, -1))


class Hooks:
    """PyTorch's hooks, written by hand."""

    def __init__(self, folder, questions):
        self.model, self.q = load(folder), questions

    @contextlib.contextmanager
    def hooked(self, *hooks):
        handles = [getattr(module, how)(hook) for module, how, hook in hooks]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def block(self, layer):
        return self.model.transformer.h[layer]

    def mixed(self, tokens):
        """The mixed values of every layer, [pairs, positions, width], and the stream before each block."""
        kept, streams = {}, {}
        hooks = []
        for layer in range(LAYERS):
            hooks.append((self.block(layer).attn.c_proj, "register_forward_pre_hook", lambda module, args, layer=layer: kept.__setitem__(layer, args[0])))
            hooks.append((self.block(layer), "register_forward_pre_hook", lambda module, args, layer=layer: streams.__setitem__(layer, args[0])))
        with self.hooked(*hooks):
            self.model(tokens)
        return kept, streams

    @torch.no_grad()
    def positions(self, positions):
        source = self.model(self.q.source, output_hidden_states=True).hidden_states
        last = {}
        with self.hooked((self.block(LAYERS - 1), "register_forward_hook", lambda module, args, output: last.__setitem__(0, first(output)))):
            self.model(self.q.source)  # hidden_states ends with the normalized stream
        numbers = []
        for layer, position in cells(positions):
            value = last[0] if layer == LAYERS - 1 else source[layer + 1]

            def put(module, args, output, value=value, position=position):
                hidden = first(output).clone()
                hidden[:, position] = value[:, position]
                return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

            with self.hooked((self.block(layer), "register_forward_hook", put)):
                numbers.append(self.q.number(self.model(self.q.base).logits))
        return torch.stack(numbers)

    @torch.no_grad()
    def heads(self):
        source, _ = self.mixed(self.q.source)
        numbers = []
        for layer, head in heads():

            def put(module, args, layer=layer, head=head):
                z = args[0].clone()
                split(z)[:, :, head] = split(source[layer])[:, :, head]
                return (z,)

            with self.hooked((self.block(layer).attn.c_proj, "register_forward_pre_hook", put)):
                numbers.append(self.q.number(self.model(self.q.base).logits))
        return torch.stack(numbers)

    def attribution(self):
        streams, hooks = {}, []

        def keep(module, args, output, layer):
            hidden = first(output)
            if torch.is_grad_enabled():
                hidden.requires_grad_(True)
                hidden.retain_grad()
            streams[layer] = hidden

        for layer in range(LAYERS):
            hooks.append((self.block(layer), "register_forward_hook", lambda module, args, output, layer=layer: keep(module, args, output, layer)))
        with self.hooked(*hooks):
            with torch.no_grad():
                self.model(self.q.source)
            source, streams = streams, {}
            embeds = self.model.transformer.wte(self.q.base).requires_grad_(True)
            self.q.number(self.model(inputs_embeds=embeds).logits).sum().backward()
        effects = [((source[layer] - streams[layer].detach()) * streams[layer].grad).sum(-1) for layer in range(LAYERS)]
        return torch.stack(effects, 0).transpose(1, 2).flatten(0, 1)  # [layers · positions, pairs]

    @torch.no_grad()
    def paths(self):
        (source, _), (base, streams) = self.mixed(self.q.source), self.mixed(self.q.base)
        layer, head = RECEIVER
        receiver, numbers = self.block(layer), []
        size = WIDTH // HEADS
        columns = slice(head * size, (head + 1) * size)
        for sender, which in heads():
            if sender >= layer:
                continue
            rows = slice(which * size, (which + 1) * size)
            written = (source[sender] - base[sender])[..., rows] @ self.block(sender).attn.c_proj.weight[rows]
            read = receiver.ln_1(streams[layer] + written)
            queries = read @ receiver.attn.c_attn.weight[:, columns] + receiver.attn.c_attn.bias[columns]

            def put(module, args, output, queries=queries):
                output = output.clone()
                output[..., columns] = queries
                return output

            with self.hooked((receiver.attn.c_attn, "register_forward_hook", put)):
                numbers.append(self.q.number(self.model(self.q.base).logits))
        return torch.stack(numbers)


def first(output):
    return output[0] if isinstance(output, tuple) else output


class TransformerLens:
    """TransformerLens' patching functions and its bridge to the model of transformers."""

    def __init__(self, folder, questions):
        from transformer_lens.model_bridge import TransformerBridge

        self.q, model = questions, load(folder)
        self.model = TransformerBridge.boot_transformers("gpt2", hf_model=model, tokenizer=no_tokenizer(), device=DEVICE, dtype=DTYPE)
        self.model.eval()

    def patched(self, name, setter, index):
        import pandas
        from transformer_lens import patching

        with torch.no_grad(), contextlib.redirect_stderr(open(os.devnull, "w")):
            _, cache = self.model.run_with_cache(self.q.source)
            result = patching.generic_activation_patch(self.model, self.q.base, cache, self.q.number, setter, name, index_df=pandas.DataFrame(index), reduce="none")
        return result.values

    def positions(self, positions):
        from transformer_lens import patching

        rows = cells(positions)
        return self.patched("resid_post", patching.layer_pos_patch_setter, {"layer": [row[0] for row in rows], "pos": [row[1] for row in rows]})

    def heads(self):
        from transformer_lens import patching

        rows = heads()
        return self.patched("z", patching.layer_head_vector_patch_setter, {"layer": [row[0] for row in rows], "head": [row[1] for row in rows]})

    def attribution(self):
        names = [f"blocks.{layer}.hook_out" for layer in range(LAYERS)]
        names = [name if name in self.model.hook_dict else name.replace("hook_out", "hook_resid_post") for name in names]
        with torch.no_grad():
            _, source = self.model.run_with_cache(self.q.source, names_filter=names)
        base, gradients = {}, {}
        keep = [(name, lambda value, hook, name=name: base.__setitem__(name, value.detach())) for name in names]
        back = [(name, lambda value, hook, name=name: gradients.__setitem__(name, value.detach())) for name in names]
        for parameter in self.model.parameters():
            parameter.requires_grad_(True)
        with self.model.hooks(fwd_hooks=keep, bwd_hooks=back):
            self.q.number(self.model(self.q.base)).sum().backward()
        for parameter in self.model.parameters():
            parameter.requires_grad_(False)
            parameter.grad = None
        effects = [((source[name] - base[name]) * first(gradients[name])).sum(-1) for name in names]
        return torch.stack(effects, 0).transpose(1, 2).flatten(0, 1)

    @torch.no_grad()
    def paths(self):
        from transformer_lens.patching import _make_direct_path_hook, _split_qkv_input

        names = [f"blocks.{layer}.attn.hook_z" for layer in range(LAYERS)]
        _, source = self.model.run_with_cache(self.q.source, names_filter=names)
        _, base = self.model.run_with_cache(self.q.base, names_filter=names)
        layer, head = RECEIVER
        numbers = []
        with _split_qkv_input(self.model):
            for sender, which in heads():
                if sender >= layer:
                    continue
                z = f"blocks.{sender}.attn.hook_z"
                written = (source[z] - base[z])[:, :, which] @ self.model.blocks[sender].attn.W_O[which]
                hook = _make_direct_path_hook(written, head, [])
                logits = self.model.run_with_hooks(self.q.base, fwd_hooks=[(f"blocks.{layer}.attn.hook_q_input", hook)])
                numbers.append(self.q.number(logits))
        return torch.stack(numbers)


class NNsight:
    """nnsight's tracing, one trace a cell."""

    def __init__(self, folder, questions):
        from nnsight import NNsight as Wrapped

        self.q, self.model = questions, Wrapped(load(folder))

    @torch.no_grad()
    def positions(self, positions):
        source, numbers = {}, []
        with self.model.trace(self.q.source):
            for layer in range(LAYERS):
                source[layer] = first(self.model.transformer.h[layer].output).save()
        for layer, position in cells(positions):
            with self.model.trace(self.q.base):
                first(self.model.transformer.h[layer].output)[:, position] = source[layer][:, position]
                logits = self.model.lm_head.output.save()
            numbers.append(self.q.number(logits))
        return torch.stack(numbers)

    @torch.no_grad()
    def heads(self):
        source, numbers = {}, []
        with self.model.trace(self.q.source):
            for layer in range(LAYERS):
                source[layer] = self.model.transformer.h[layer].attn.c_proj.input.save()
        size = WIDTH // HEADS
        for layer, head in heads():
            columns = slice(head * size, (head + 1) * size)
            with self.model.trace(self.q.base):
                self.model.transformer.h[layer].attn.c_proj.input[:, :, columns] = source[layer][:, :, columns]
                logits = self.model.lm_head.output.save()
            numbers.append(self.q.number(logits))
        return torch.stack(numbers)


class Pyvene:
    """pyvene 0.1.8: an IntervenableModel for each layer, a call for each cell."""

    def __init__(self, folder, questions):
        with contextlib.redirect_stdout(sys.stderr):  # it says what it lacks
            import pyvene
        self.pv, self.q, self.model = pyvene, questions, load(folder)

    def intervenable(self, layer, component, unit):
        config = self.pv.IntervenableConfig([{"layer": layer, "component": component, "unit": unit}], intervention_types=self.pv.VanillaIntervention)
        return self.pv.IntervenableModel(config, self.model)

    @torch.no_grad()
    def positions(self, positions):
        numbers = []
        for layer in range(LAYERS):
            model = self.intervenable(layer, "block_output", "pos")
            for position in positions:
                _, output = model({"input_ids": self.q.base}, [{"input_ids": self.q.source}], {"sources->base": position})
                numbers.append(self.q.number(output.logits))
        return torch.stack(numbers)

    @torch.no_grad()
    def heads(self):
        numbers = []
        for layer in range(LAYERS):
            model = self.intervenable(layer, "head_attention_value_output", "h")
            for head in range(HEADS):
                units = [[[head]] * self.q.pairs]
                _, output = model({"input_ids": self.q.base}, [{"input_ids": self.q.source}], {"sources->base": (units, units)})
                numbers.append(self.q.number(output.logits))
        return torch.stack(numbers)


PEERS = {"hooks": (Hooks, "torch"), "transformer_lens": (TransformerLens, "transformer-lens"), "nnsight": (NNsight, "nnsight"), "pyvene": (Pyvene, "pyvene")}


def main():
    global DEVICE, DTYPE
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("peer", choices=PEERS)
    arguments.add_argument("folder")
    arguments.add_argument("-sweeps", default="positions8,heads,positions32,attribution,paths")
    arguments.add_argument("-out", help="where the numbers go, as JSON")
    arguments.add_argument("-device", default=DEVICE)
    arguments.add_argument("-dtype", default="float32")
    arguments.add_argument("-again", action="store_true", help="time each sweep a second time, too")
    given = arguments.parse_args()
    DEVICE, DTYPE = given.device, getattr(torch, given.dtype)
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    kind, package = PEERS[given.peer]
    peer = kind(given.folder, Questions(given.folder))
    calls = {"positions8": ("positions", EVERY_FOURTH), "positions32": ("positions", list(range(LENGTH))), "heads": ("heads",), "attribution": ("attribution",), "paths": ("paths",)}
    numbers = {}
    for name in given.sweeps.split(","):
        how, *values = calls[name]
        if not hasattr(peer, how):
            continue
        seconds = []
        for _ in range(2 if given.again else 1):
            start = time.perf_counter()
            result = getattr(peer, how)(*values).cpu()
            seconds.append(time.perf_counter() - start)
        numbers[name] = result.tolist()
        line = {"library": f"{package} {importlib.metadata.version(package)}", "backend": f"pytorch:{DEVICE}", "name": name, "cells": len(result)}
        again = {"again_s": seconds[1]} if given.again else {}
        print(json.dumps(line | {"total_s": seconds[0]} | again | {"mean": result.mean().item()}), flush=True)
    if given.out:
        with open(given.out, "w") as file:
            json.dump(numbers, file)


if __name__ == "__main__":
    main()

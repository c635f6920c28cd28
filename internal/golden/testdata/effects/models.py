"""Forward passes of four families written out in float64, on the checkpoints of the golden cases.

`edit(component, layer, value)` is told each activation, under Govene's names, and says what goes on in its place.
"""
import json
import os

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

CHECKPOINTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "public", "checkpoints")
torch.set_default_dtype(torch.float64)


def same(component, layer, value):
    return value


class Model:
    """What families share: a stream, read and written by attention and an MLP in each layer."""
    parallel = False

    def __init__(self):
        self.folder = os.path.join(CHECKPOINTS, self.name)
        self.c = json.load(open(f"{self.folder}/config.json"))
        self.w = {k.removeprefix(self.prefix): v.double() for k, v in load_file(f"{self.folder}/model.safetensors").items()}
        self.layers, self.heads = self.c.get("num_hidden_layers", self.c.get("n_layer")), self.c.get("num_attention_heads", self.c.get("n_head"))
        self.groups = self.c.get("num_key_value_heads", self.heads)

    def linear(self, name, x):
        """A layer whose weight is [out, in]."""
        return F.linear(x, self.w[f"{name}.weight"], self.w.get(f"{name}.bias"))

    def norm(self, name, x):
        return F.layer_norm(x, x.shape[-1:], self.w[f"{name}.weight"], self.w[f"{name}.bias"], 1e-5)

    def placed(self, mask):
        """What says where a token is, added to the stream beside its embedding."""
        return 0

    def after(self, l, what, x):
        """The norm after attention or an MLP, in the family that has one."""
        return x

    def split(self, x, heads):
        return x.unflatten(-1, (heads, -1)).transpose(1, 2)

    def merged(self, *x):
        return (each.transpose(1, 2).flatten(2) for each in x)

    def rotated(self, x, mask, width):
        """The first features of each head turned by angles that grow with the position."""
        turned, rest, half = x[..., :width], x[..., width:], width // 2
        each = 1 / 10000.0 ** (torch.arange(half).float() / half)       # radians a position, in float32 as transformers has them
        angles = ((mask.cumsum(-1) - 1).clamp(min=0))[:, None, :, None] * each.double()
        cos, sin, a, b = angles.cos(), angles.sin(), turned[..., :half], turned[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)

    def scores(self, l, q, k, mask):
        width = self.rotary(q.shape[-1])
        return self.rotated(q, mask, width) @ self.rotated(k, mask, width).transpose(-1, -2) / q.shape[-1] ** 0.5

    def weights(self, l, q, k, mask):
        """Attention's probabilities [batch, heads, positions, positions], of queries and keys by heads, before rotation."""
        scores = self.scores(l, q, k.repeat_interleave(self.heads // self.groups, 1), mask)
        seen = mask[:, None, None, :].bool() & self.seen(l, torch.arange(mask.shape[1]))
        return scores.masked_fill(~seen, torch.finfo(scores.dtype).min).softmax(-1)

    def seen(self, l, columns):
        return columns[:, None] >= columns

    def mixed(self, A, v):
        return A @ v.repeat_interleave(self.heads // self.groups, 1)

    def run(self, ids, mask, edit=same):
        x = edit("embedding", 0, self.embedded(ids)) + self.placed(mask)
        for l in range(self.layers):
            first, second = self.norms(l)
            below = x = edit("block_input", l, x)
            q, k, v = self.projected(l, edit("attention_input", l, self.norm(first, x)))
            q = edit("head_query_output", l, self.split(edit("query_output", l, q), self.heads))
            k = edit("head_key_output", l, self.split(edit("key_output", l, k), self.groups))
            v = edit("head_value_output", l, self.split(edit("value_output", l, v), self.groups))
            A = edit("attention_weight", l, self.weights(l, q, k, mask))
            z = edit("head_attention_value_output", l, self.mixed(A, v))
            z = edit("attention_value_output", l, z.transpose(1, 2).flatten(2))
            project, bias = self.out(l)
            x = x + self.after(l, "attention", edit("attention_output", l, z @ project.flatten(0, 1) + bias))
            if not self.parallel:
                below = x = edit("residual_middle", l, x)
            x = x + self.after(l, "mlp", edit("mlp_output", l, self.mlp(l, edit("mlp_input", l, self.norm(second, below)))))
            x = edit("block_output", l, x)
        return self.read(edit("final_norm", 0, self.norm(self.last, x)))

    def run_by_edges(self, ids, mask, sees):
        """The run in which each reader has its own stream: sees(reader, {writer: what it wrote}) is the sum of what it gets of all writers."""
        rest, written = self.placed(mask), {("embedding", 0, 0): self.embedded(ids)}
        stream = lambda *reader: rest + sees(reader, written)
        for l in range(self.layers):
            first, second = self.norms(l)
            each = lambda what, index, heads: torch.stack(
                [self.split(self.projected(l, self.norm(first, stream(what, l, h)))[index], heads)[:, h] for h in range(heads)], 1)
            q, k, v = each("head_query_output", 0, self.heads), each("head_key_output", 1, self.groups), each("head_value_output", 2, self.groups)
            z = self.mixed(self.weights(l, q, k, mask), v)
            project, bias = self.out(l)
            heads = {("head_attention_value_output", l, h): z[:, h] @ project[h] for h in range(self.heads)}
            mlp = lambda: {("mlp_output", l, 0): self.mlp(l, self.norm(second, stream("mlp_input", l, 0)))}
            if self.parallel:
                written, rest = written | heads | mlp(), rest + bias
            else:
                written, rest = written | heads, rest + bias
                written = written | mlp()
        return self.read(self.norm(self.last, stream("final_norm", 0, 0)))

    def check(self, ids, mask):
        """Both runs say what transformers says."""
        theirs = AutoModelForCausalLM.from_pretrained(self.folder, dtype=torch.float64, attn_implementation="eager").eval()
        runs = [self.run(ids, mask)]
        if self.name != "gemma2":       # whose norms after heads and MLPs keep edges together
            runs.append(self.run_by_edges(ids, mask, lambda reader, written: sum(written.values())))
        for got in runs:
            for mine, example, real in zip(got, ids, mask.bool()):
                off = (mine[real] - theirs(example[None, real]).logits[0]).abs().max()
                assert off < (1e-12 if self.name == "gpt2" else 1e-5), off      # others have norms or angles in float32


class GPT2(Model):
    name, prefix, last = "gpt2", "transformer.", "ln_f"

    def norms(self, l):
        return f"h.{l}.ln_1", f"h.{l}.ln_2"

    def embedded(self, ids):
        return self.w["wte.weight"][ids]

    def placed(self, mask):
        return self.w["wpe.weight"][(mask.cumsum(-1) - 1).clamp(min=0)]

    def rotary(self, width):
        return 0

    def projected(self, l, x):
        """Queries, keys and values side by side, [batch, positions, width]."""
        return (x @ self.w[f"h.{l}.attn.c_attn.weight"] + self.w[f"h.{l}.attn.c_attn.bias"]).chunk(3, -1)

    def out(self, l):
        """The output projection [heads, head width, width] and what it adds besides."""
        return self.w[f"h.{l}.attn.c_proj.weight"].unflatten(0, (self.heads, -1)), self.w[f"h.{l}.attn.c_proj.bias"]

    def mlp(self, l, x):
        hidden = F.gelu(x @ self.w[f"h.{l}.mlp.c_fc.weight"] + self.w[f"h.{l}.mlp.c_fc.bias"], approximate="tanh")
        return hidden @ self.w[f"h.{l}.mlp.c_proj.weight"] + self.w[f"h.{l}.mlp.c_proj.bias"]

    def read(self, x):
        return x @ self.w["wte.weight"].T


class NeoX(Model):
    """Attention and MLP beside each other, and half of each head rotated."""
    name, prefix, last, parallel = "gpt_neox", "gpt_neox.", "final_layer_norm", True

    def norms(self, l):
        return f"layers.{l}.input_layernorm", f"layers.{l}.post_attention_layernorm"

    def embedded(self, ids):
        return self.w["embed_in.weight"][ids]

    def rotary(self, width):
        return width // 2

    def projected(self, l, x):
        return tuple(self.merged(*self.split(self.linear(f"layers.{l}.attention.query_key_value", x), self.heads).chunk(3, -1)))

    def out(self, l):
        return self.w[f"layers.{l}.attention.dense.weight"].T.unflatten(0, (self.heads, -1)), self.w[f"layers.{l}.attention.dense.bias"]

    def mlp(self, l, x):
        return self.linear(f"layers.{l}.mlp.dense_4h_to_h", F.gelu(self.linear(f"layers.{l}.mlp.dense_h_to_4h", x)))

    def read(self, x):
        return self.linear("embed_out", x)


class Llama(Model):
    """Rotated heads in groups, norms by the root mean square, gated MLPs."""
    name, prefix, last = "llama", "model.", "norm"

    def norm(self, name, x):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt() * self.w[f"{name}.weight"]

    def norms(self, l):
        return f"layers.{l}.input_layernorm", f"layers.{l}.post_attention_layernorm"

    def embedded(self, ids):
        return self.w["embed_tokens.weight"][ids]

    def rotary(self, width):
        return width

    def projected(self, l, x):
        return tuple(self.linear(f"layers.{l}.self_attn.{p}_proj", x) for p in "qkv")

    def out(self, l):
        return self.w[f"layers.{l}.self_attn.o_proj.weight"].T.unflatten(0, (self.heads, -1)), 0

    def mlp(self, l, x):
        gate, up = (self.linear(f"layers.{l}.mlp.{p}_proj", x) for p in ("gate", "up"))
        return self.linear(f"layers.{l}.mlp.down_proj", self.activation(gate) * up)

    def activation(self, x):
        return F.silu(x)

    def read(self, x):
        return self.linear("lm_head", x)


class Gemma2(Llama):
    """Norms after attention and MLPs, too, capped scores and logits, and windows in every other layer."""
    name = "gemma2"

    def norm(self, name, x):
        return x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt() * (1 + self.w[f"{name}.weight"])

    def norms(self, l):
        return f"layers.{l}.input_layernorm", f"layers.{l}.pre_feedforward_layernorm"

    def after(self, l, what, x):
        return self.norm(f"layers.{l}.post_{dict(attention='attention', mlp='feedforward')[what]}_layernorm", x)

    def embedded(self, ids):
        return super().embedded(ids) * self.c["hidden_size"] ** 0.5

    def scores(self, l, q, k, mask):
        cap = self.c["attn_logit_softcapping"]
        return cap * torch.tanh(super().scores(l, q, k, mask) * (q.shape[-1] / self.c["query_pre_attn_scalar"]) ** 0.5 / cap)

    def seen(self, l, columns):
        return super().seen(l, columns) & ((columns[:, None] - columns < self.c["sliding_window"]) | (l % 2 == 1))

    def activation(self, x):
        return F.gelu(x, approximate="tanh")

    def read(self, x):
        cap = self.c["final_logit_softcapping"]
        return cap * torch.tanh(x @ self.w["embed_tokens.weight"].T / cap)

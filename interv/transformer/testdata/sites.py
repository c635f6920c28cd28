"""Where the families of transformers have the activations that Govene calls sites, as hooks on their modules."""
from contextlib import contextmanager

import torch

# The parts of a block: what query, key and value projections (or the one that is all of them), the output projection, the MLP (where it
# enters and leaves), its activation function and the norm between attention and MLP are called.
LLAMA = dict(blocks="model.layers", embedding="model.embed_tokens", final="model.norm", projections=[f"self_attn.{p}_proj" for p in "qkv"],
             output="self_attn.o_proj", mlp=("mlp", "mlp"), activation="mlp.act_fn", middle="post_attention_layernorm")
GPT2 = dict(blocks="transformer.h", embedding="transformer.wte", final="transformer.ln_f", projections=["attn.c_attn"], output="attn.c_proj",
            mlp=("mlp", "mlp"), activation="mlp.act", middle="ln_2")
NEOX = dict(blocks="gpt_neox.layers", embedding="gpt_neox.embed_in", final="gpt_neox.final_layer_norm",
            projections=["attention.query_key_value"], output="attention.dense", mlp=("mlp", "mlp"), activation="mlp.act",
            middle="post_attention_layernorm")
PARTS = {
    "gpt2": GPT2,
    "gpt_neo": dict(GPT2, projections=[f"attn.attention.{p}_proj" for p in "qkv"], output="attn.attention.out_proj"),
    "gptj": dict(GPT2, projections=[f"attn.{p}_proj" for p in "qkv"], output="attn.out_proj"),
    "opt": dict(blocks="model.decoder.layers", embedding="model.decoder.embed_tokens", final="model.decoder.final_layer_norm",
                projections=[f"self_attn.{p}_proj" for p in "qkv"], output="self_attn.out_proj", mlp=("fc1", "fc2"),
                activation="activation_fn", middle="final_layer_norm"),
    "gpt_neox": NEOX,
    "phi": dict(LLAMA, final="model.final_layernorm", output="self_attn.dense", activation="mlp.activation_fn"),
    "falcon": dict(NEOX, blocks="transformer.h", embedding="transformer.word_embeddings", final="transformer.ln_f",
                   projections=["self_attention.query_key_value"], output="self_attention.dense"),
    "starcoder2": dict(LLAMA, activation="mlp.act"),
    "olmo2": dict(LLAMA, middle="mlp"),
    "gemma2": dict(LLAMA, middle="pre_feedforward_layernorm"),
    "gemma3_text": dict(LLAMA, middle="pre_feedforward_layernorm"),
    "mixtral": dict(LLAMA, mlp=("block_sparse_moe",) * 2, router="block_sparse_moe.gate"),
    **dict.fromkeys(["qwen3_moe", "olmoe"], dict(LLAMA, router="mlp.gate")),
    **dict.fromkeys(["llama", "mistral", "qwen2", "qwen3", "stablelm", "cohere", "granite", "smollm3", "olmo", "gemma"], LLAMA),
}
HEADS = ["head_query_output", "head_key_output", "head_value_output", "attention_weight", "head_attention_value_output"]
ORDER = ["embedding", "block_input", "attention_input", "query_output", "head_query_output", "key_output", "head_key_output", "value_output",
         "head_value_output", "attention_weight", "head_attention_value_output", "attention_value_output", "attention_output",
         "residual_middle", "mlp_input", "mlp_activation", "router_input", "router_scores", "expert_output", "mlp_output", "block_output",
         "final_norm"]
MIXED = ["router_input", "router_scores", "expert_output"]  # sites of mixtures alone; what each expert reads and gives, no module has for all tokens


class Sites:
    """The sites of one model."""

    def __init__(self, model):
        self.model, self.config = model, model.config
        self.parts = PARTS[self.config.model_type]
        self.heads = self.config.num_attention_heads
        self.key_heads = self._key_heads()
        self.count = self.config.num_hidden_layers

    def _key_heads(self):
        c = self.config
        if c.model_type == "falcon":
            return c.num_kv_heads if c.new_decoder_architecture else 1 if c.multi_query else c.num_attention_heads
        return getattr(c, "num_key_value_heads", None) or c.num_attention_heads

    def parallel(self):
        c = self.config
        return c.model_type in ("gptj", "phi", "cohere") or getattr(c, "use_parallel_residual", False) or getattr(c, "parallel_attn", False)

    def all(self):
        """(component, layer) in the order of Govene's catalogue."""
        for component in ORDER:
            if component == "residual_middle" and self.parallel():
                continue
            for layer in range(1 if component in ("embedding", "final_norm") else self.count):
                if component not in [*MIXED, "mlp_activation"] or self.mixes(layer) == (component in MIXED):
                    yield component, layer

    def mixes(self, layer):
        """Whether a layer has a mixture in place of an MLP."""
        mlp = self.module(self.parts["mlp"][0], layer)
        return hasattr(mlp, "experts")

    def module(self, path, layer=None):
        return self.model.get_submodule(path if layer is None else f"{self.parts['blocks']}.{layer}.{path}".rstrip("."))

    def places(self, component, layer):
        """Where to hook: (module, "in" or "out" or "in place", features of the value that are meant)."""
        parts, everything = self.parts, slice(None)
        component = component.removeprefix("head_")
        if component == "embedding":
            inner = getattr(getattr(self.model.model, "decoder", None), "project_in", None) if self.config.model_type == "opt" else None
            return [(inner or self.module(parts["embedding"]), "out", everything)]
        if component == "final_norm":
            if self.config.model_type == "opt" and self.model.model.decoder.final_layer_norm is None:
                return [(self.model.model.decoder.project_out or self.model.lm_head, "in", everything)]
            return [(self.module(parts["final"]), "out", everything)]
        if component in ("query_output", "key_output", "value_output"):
            which = ["query_output", "key_output", "value_output"].index(component)
            if len(parts["projections"]) == 3:
                return [(self.module(parts["projections"][which], layer), "out", everything)]
            return [(self.module(parts["projections"][0], layer), "out", self.fused(which))]
        if component == "attention_input":
            return [(self.module(p, layer), "in", everything) for p in parts["projections"]]
        if component == "residual_middle":
            if self.config.model_type == "opt" and not self.config.do_layer_norm_before:
                return [(self.module("self_attn_layer_norm", layer), "out", everything)]
            return [(self.module(parts["middle"], layer), "in place", everything)]
        where = {"block_input": ("", "in"), "block_output": ("", "out"), "attention_value_output": (parts["output"], "in"),
                 "attention_output": (parts["output"], "out"), "mlp_input": (parts["mlp"][0], "in"), "mlp_output": (parts["mlp"][1], "out"),
                 "mlp_activation": (parts["activation"], "out"), "router_input": (parts.get("router"), "in"),
                 "router_scores": (parts.get("router"), "out"), "expert_output": (parts["mlp"][1], "out")}[component]
        return [(self.module(where[0], layer), where[1], everything)]

    def fused(self, which):
        """Features of queries, keys or values among those of a projection to all three."""
        width = self.config.hidden_size // self.heads
        if self.config.model_type == "gpt2":
            return slice(which * self.config.hidden_size, (which + 1) * self.config.hidden_size)
        group = self.heads // self.key_heads
        first, count = [(0, group), (group, 1), (group + 1, 1)][which]
        return [(g * (group + 2) + first + head) * width + i for g in range(self.key_heads) for head in range(count) for i in range(width)]

    @contextmanager
    def tapped(self, component, layer, edit):
        """While it lasts, a site's activation [batch, positions, width] (or weights [batch, heads, positions, positions]) is what edit makes of it."""
        if component == "attention_weight":
            softmax, calls = torch.nn.functional.softmax, []

            def counted(*args, **kwargs):
                if kwargs.get("dim") != -1:  # a router's
                    return softmax(*args, **kwargs)
                calls.append(None)
                value = softmax(*args, **kwargs)
                return edit(value.clone()) if len(calls) == layer + 1 else value
            torch.nn.functional.softmax = counted
            try:
                yield
            finally:
                torch.nn.functional.softmax = softmax
            assert len(calls) == self.count, len(calls)
            return
        handles = []
        for module, way, features in self.places(component, layer):
            def changed(value, features=features):
                whole = value.reshape(self.batch, -1, value.shape[-1]).clone()
                whole[..., features] = edit(whole[..., features].clone())
                return whole.reshape(value.shape)

            def enter(_, args, kwargs, way=way, changed=changed):
                value = args[0] if args else kwargs["hidden_states"]
                if way == "in place":
                    value.copy_(changed(value))
                    return None
                if args:
                    return (changed(value), *args[1:]), kwargs
                return args, dict(kwargs, hidden_states=changed(value))

            def leave(_, args, value, changed=changed):
                return (changed(value[0]), *value[1:]) if isinstance(value, tuple) else changed(value)
            handles.append(module.register_forward_hook(leave) if way == "out" else module.register_forward_pre_hook(enter, with_kwargs=True))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def patched(self, run, base, source, positions, source_positions):
        """Logits of base [1, n], for each site with the source's activations at some positions; of a site with heads, of the last head."""
        self.batch = 1
        for component, layer in self.all():
            seen = []

            def note(value):
                seen.append(value.clone())
                return value

            def put(value):
                if component == "attention_weight":
                    value[:, -1, positions] = seen[0][:, -1, source_positions]
                elif component in HEADS:
                    heads = self.key_heads if component in ("head_key_output", "head_value_output") else self.heads
                    last = slice(-(value.shape[-1] // heads), None)
                    value[:, positions, last] = seen[0][:, source_positions, last]
                else:
                    value[:, positions] = seen[0][:, source_positions]
                return value
            with self.tapped(component, layer, note):
                run(source)
            with self.tapped(component, layer, put):
                logits = run(base)
            yield logits

"""The eight jobs with TransformerLens 4.3.0: its bridge to transformers, its caches, hooks and patching functions."""

import torch
import matplotlib.pyplot as plt
from safetensors.torch import save_file
from transformer_lens import patching
from transformer_lens.model_bridge import TransformerBridge
from transformer_lens.tools.analysis.attribution_patching import attribution_patch

import tiny


def patch():
    # begin patch
    model = TransformerBridge.boot_transformers("gpt2")
    _, clean = model.run_with_cache("The capital of France is")
    def put(value, hook):
        value[:, 4] = clean[hook.name][:, 4]
        return value
    hooks = [("blocks.1.hook_resid_post", put)]
    logits = model.run_with_hooks("The capital of Italy is", fwd_hooks=hooks)
    paris, rome = model.to_single_token(" Paris"), model.to_single_token(" Rome")
    print(logits[0, -1, paris] - logits[0, -1, rome])
    # end


def layers_positions():
    # begin map
    model = TransformerBridge.boot_transformers("gpt2")
    corrupted = model.to_tokens("The capital of Italy is")
    _, clean = model.run_with_cache("The capital of France is")
    paris, rome = model.to_single_token(" Paris"), model.to_single_token(" Rome")
    def difference(logits):
        return logits[0, -1, paris] - logits[0, -1, rome]
    result = patching.get_act_patch_resid_pre(model, corrupted, clean, difference)
    plt.imshow(result.detach())
    plt.xticks(range(corrupted.shape[1]), model.to_str_tokens(corrupted))
    plt.savefig("map.svg")
    # end


def heads():
    # begin heads
    model = TransformerBridge.boot_transformers("gpt2")
    corrupted = model.to_tokens("The capital of Italy is")
    _, clean = model.run_with_cache("The capital of France is")
    paris, rome = model.to_single_token(" Paris"), model.to_single_token(" Rome")
    def difference(logits):
        return logits[0, -1, paris] - logits[0, -1, rome]
    result = patching.get_act_patch_attn_head_out_all_pos(model, corrupted, clean, difference)
    plt.imshow(result.detach())
    plt.savefig("heads.svg")
    # end


def tracing():
    # begin tracing
    model = TransformerBridge.boot_transformers("gpt2")
    tokens = model.to_tokens("The capital of France is")
    _, clean = model.run_with_cache(tokens)
    paris = model.to_single_token(" Paris")
    subject = model.get_token_position(" France", tokens)
    level = 3 * model.W_E.std()
    def corrupt(value, hook):
        value[:, subject] += level * torch.randn_like(value[:, subject])
        return value
    def probability(logits):
        return logits[0, -1].softmax(-1)[paris]
    with model.hooks(fwd_hooks=[("hook_embed", corrupt)]):
        result = patching.get_act_patch_resid_pre(model, tokens, clean, probability)
    plt.imshow(result.detach())
    plt.xticks(range(tokens.shape[1]), model.to_str_tokens(tokens))
    plt.savefig("tracing.svg")
    # end


def steering():
    # begin steering
    model = TransformerBridge.boot_transformers("gpt2")
    _, pair = model.run_with_cache(["I love you", "I hate you"])
    love, hate = pair["blocks.1.hook_resid_post"][:, -1]
    def steer(value, hook):
        return value + 4 * (love - hate)
    with model.hooks(fwd_hooks=[("blocks.1.hook_resid_post", steer)]):
        print(model.generate("I think that you", max_new_tokens=10, do_sample=False))
    # end


def collecting():
    # begin collecting
    model = TransformerBridge.boot_transformers("gpt2")
    texts = ["The capital of France is", "I love you"]
    _, cache = model.run_with_cache(texts, names_filter=lambda name: "resid_post" in name)
    save_file(dict(cache), "activations.safetensors")
    # end


def attribution():
    # begin attribution
    model = TransformerBridge.boot_transformers("gpt2")
    corrupted = model.to_tokens("The capital of Italy is")
    clean = model.to_tokens("The capital of France is")
    paris, rome = model.to_single_token(" Paris"), model.to_single_token(" Rome")
    def difference(logits):
        return logits[0, -1, paris] - logits[0, -1, rome]
    result = attribution_patch(model, clean, corrupted, difference)
    effects = torch.zeros(model.cfg.n_layers, corrupted.shape[1])
    for node, effect in result.node_scores.items():
        if node.kind == "mlp_out":
            effects[node.layer, node.position] = effect
    plt.imshow(effects)
    plt.xticks(range(corrupted.shape[1]), model.to_str_tokens(corrupted))
    plt.savefig("attribution.svg")
    # end


def paths():
    # begin paths
    model = TransformerBridge.boot_transformers("gpt2")
    tokens = model.to_tokens("The capital of Italy is")
    _, corrupted = model.run_with_cache(tokens)
    _, clean = model.run_with_cache("The capital of France is")
    paris, rome = model.to_single_token(" Paris"), model.to_single_token(" Rome")
    def difference(logits):
        return logits[0, -1, paris] - logits[0, -1, rome]
    result = patching.get_act_patch_direct_path_all_sources(
        model, tokens, clean, corrupted, difference, component="q"
    )
    plt.imshow(result[:2, :, 2, 0].detach())
    plt.savefig("paths.svg")
    # end


JOBS = {"patch": patch, "map": layers_positions, "heads": heads, "tracing": tracing, "steering": steering, "collecting": collecting, "attribution": attribution, "paths": paths}

if __name__ == "__main__":
    tiny.run(JOBS)

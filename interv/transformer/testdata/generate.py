#!/usr/bin/env python
"""Checkpoints and the logits that transformers computes from them: python generate.py, with torch, transformers 4.57.6 and safetensors.

One folder per case, with a model in bfloat16 that differs from the golden cases' in what config.json asks for, and inputs.safetensors:
input_ids and attention_mask [3, 12], of which one example has padding on the right and one on the left, and logits, 0 where there is
padding. Positions count from the first token, as in generation.
"""
import os
import shutil

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification

LENGTH, VOCABULARY = 12, 11
common = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=1)
grouped = dict(common, num_key_value_heads=2)
gpt2 = dict(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=4, n_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=1)
gemma = dict(grouped, head_dim=8, sliding_window=4, query_pre_attn_scalar=6)
factors = dict(short_factor=[1.0, 1.5], long_factor=[2.0, 5.0])
longrope = dict(rope_type="longrope", **factors)
yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=8)

CASES = {
    "gpt2_bare": ("gpt2", dict(gpt2, n_inner=20, activation_function="relu")),
    "gpt2_classifier": ("gpt2", gpt2),
    "neox_sequential": ("gpt_neox", dict(common, use_parallel_residual=False, attention_bias=False, hidden_act="gelu_fast",
                                         rotary_pct=0.5, rotary_emb_base=300)),
    "neox_classifier": ("gpt_neox", dict(common, rotary_pct=1.0)),
    "llama3": ("llama", dict(grouped, rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                                        original_max_position_embeddings=8))),
    "llama_linear": ("llama", dict(grouped, rope_scaling=dict(rope_type="linear", factor=4.0))),
    "llama_yarn": ("llama", dict(grouped, rope_scaling=yarn)),
    "llama_biased": ("llama", dict(grouped, attention_bias=True, mlp_bias=True, head_dim=6, tie_word_embeddings=True)),
    "llama_classifier": ("llama", grouped),
    "mistral": ("mistral", dict(grouped, sliding_window=4, head_dim=6)),
    "phi3": ("phi3", dict(grouped, partial_rotary_factor=0.5, sliding_window=4)),
    "qwen2_windows": ("qwen2", dict(grouped, use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "qwen3_yarn": ("qwen3", dict(grouped, head_dim=8, attention_bias=True, rope_scaling=dict(yarn, attention_factor=1.3, truncate=False))),
    "olmo2_biased": ("olmo2", dict(grouped, attention_bias=True)),
    "gemma2_classifier": ("gemma2", dict(gemma, attn_logit_softcapping=None)),
    "gemma3": ("gemma3_text", dict(gemma, sliding_window_pattern=2, final_logit_softcapping=3.0,
                                   rope_scaling=dict(rope_type="linear", factor=8.0))),
    "gpt_oss": ("gpt_oss", dict(grouped, head_dim=8, num_local_experts=5, num_experts_per_tok=3, sliding_window=4)),
    "gpt2_scaled": ("gpt2", dict(gpt2, scale_attn_by_inverse_layer_idx=True, reorder_and_upcast_attn=True)),
    "gpt2_unscaled": ("gpt2", dict(gpt2, scale_attn_weights=False)),
    "llama_dynamic": ("llama", dict(grouped, max_position_embeddings=7, rope_scaling=dict(rope_type="dynamic", factor=2.0))),
    "neox_dynamic": ("gpt_neox", dict(common, rotary_pct=1.0, max_position_embeddings=7, rope_scaling=dict(rope_type="dynamic", factor=3.0))),
    "phi3_long": ("phi3", dict(grouped, original_max_position_embeddings=8, rope_scaling=dict(type="su", **factors))),
    "llama_long": ("llama", dict(grouped, max_position_embeddings=8, rope_scaling=dict(longrope, factor=4.0))),
    "llama_long_factor": ("llama", dict(grouped, original_max_position_embeddings=8, rope_scaling=dict(longrope, attention_factor=1.25))),
    "mixtral": ("mixtral", dict(grouped, num_local_experts=4, num_experts_per_tok=2)),
    "mixtral_windows": ("mixtral", dict(grouped, num_local_experts=8, num_experts_per_tok=3, sliding_window=4, head_dim=6, hidden_act="gelu",
                                        tie_word_embeddings=True)),
    "qwen3_moe": ("qwen3_moe", dict(grouped, num_experts=6, num_experts_per_tok=2, head_dim=8, moe_intermediate_size=6, norm_topk_prob=True,
                                    mlp_only_layers=[1]) | dict(num_hidden_layers=3)),
    "qwen3_moe_steps": ("qwen3_moe", dict(grouped, num_experts=4, num_experts_per_tok=3, moe_intermediate_size=6, decoder_sparse_step=2,
                                          attention_bias=True, use_sliding_window=True, sliding_window=4)),
    "olmoe": ("olmoe", dict(grouped, num_experts=8, num_experts_per_tok=3, clip_qkv=0.6)),
    "olmoe_normed": ("olmoe", dict(common, num_experts=4, num_experts_per_tok=2, norm_topk_prob=True, attention_bias=True)),
}


def padded(generator):
    ids, mask = torch.randint(2, VOCABULARY, (3, LENGTH), generator=generator), torch.ones(3, LENGTH, dtype=torch.long)
    mask[1, 7:] = 0
    mask[2, :4] = 0
    return ids * mask, mask


def write(folder, name, family, settings):
    classifier = name.endswith("classifier")
    config = AutoConfig.for_model(family, **settings, **({"num_labels": 3} if classifier else {}))
    kind = AutoModelForSequenceClassification if classifier else AutoModelForCausalLM
    generator = torch.Generator().manual_seed(sum(name.encode()))
    model = kind.from_config(config, attn_implementation="eager")
    for _, parameter in model.named_parameters():
        scale = 0.3 if parameter.dim() < 2 else 0.25
        parameter.data += torch.randn(parameter.shape, generator=generator) * scale
    model.to(torch.bfloat16).save_pretrained(folder)
    if os.path.exists(f"{folder}/generation_config.json"):
        os.remove(f"{folder}/generation_config.json")
    ids, mask = padded(generator)
    scaling = getattr(config, "rope_scaling", None) or {}
    alone = scaling.get("rope_type", scaling.get("type")) in ("dynamic", "longrope")  # there, examples of a batch influence each other
    logits = []
    for row in [[0], [1], [2]] if alone else [[0, 1, 2]]:
        model = kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        with torch.no_grad():
            logits.append(model(input_ids=ids[row], attention_mask=mask[row], position_ids=(mask[row].cumsum(-1) - 1).clamp(min=0)).logits)
    logits = torch.cat(logits)
    if not classifier:
        logits = logits * mask[..., None]
    save_file({"input_ids": ids.int(), "attention_mask": mask.int(), "logits": logits.contiguous()}, f"{folder}/inputs.safetensors")
    if name == "gpt2_bare":     # as the hub has GPT-2: without the names' base, and with the causal masks
        weights = {k.removeprefix("transformer."): v for k, v in load_file(f"{folder}/model.safetensors").items()}
        weights |= {f"h.{layer}.attn.bias": torch.tril(torch.ones(1, 1, 4, 4)) for layer in range(config.n_layer)}
        save_file(weights, f"{folder}/model.safetensors")


if __name__ == "__main__":
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "transformers")
    shutil.rmtree(root, ignore_errors=True)
    for name, (family, settings) in CASES.items():
        os.makedirs(os.path.join(root, name))
        write(os.path.join(root, name), name, family, settings)

#!/usr/bin/env python
"""Checkpoints and what transformers computes from them: python generate.py [names of cases], with torch, transformers 4.57.6 and safetensors.

One folder per case, with a model in bfloat16 that asks for what its config.json says, and inputs.safetensors:

- input_ids and attention_mask [3, 12], of which one example has padding on the right and one on the left, and logits, 0 where there is
  padding. Positions count from the first token, as in generation.
- prompts and prompts_mask [2, 5], padded on the left, and generated [2, 4] and generated_logits [2, 4, vocabulary]: greedy decoding with a
  cache.
- base and source [1, 5], and patched [sites, 2, vocabulary]: the base's logits at the last two positions when, at one site after the other,
  components in the order of the catalogue and their layers, its activations at positions 1 and 3 are the source's at 4 and 0 (sites.py); of sites with heads, those of
  the last head.
"""
import os
import shutil
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.modeling_utils import no_init_weights

from sites import PARTS, Sites

LENGTH, VOCABULARY = 12, 11
common = dict(vocab_size=VOCABULARY, hidden_size=16, intermediate_size=12, num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=1)
grouped = dict(common, num_key_value_heads=2)
gpt2 = dict(vocab_size=VOCABULARY, n_embd=16, n_layer=2, n_head=4, n_positions=16, pad_token_id=0, bos_token_id=1, eos_token_id=1)
gpt_neo = dict(vocab_size=VOCABULARY, hidden_size=16, num_layers=2, num_heads=4, max_position_embeddings=16, pad_token_id=0, bos_token_id=1,
               eos_token_id=1, intermediate_size=12)
opt = dict({k: v for k, v in common.items() if k != "intermediate_size"}, ffn_dim=12, max_position_embeddings=16)
falcon = dict({k: v for k, v in common.items() if k != "intermediate_size"}, ffn_hidden_size=12)
gemma = dict(grouped, head_dim=8, sliding_window=4, query_pre_attn_scalar=6)
factors = dict(short_factor=[1.0, 1.5], long_factor=[2.0, 5.0])
longrope = dict(rope_type="longrope", **factors)
yarn = dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=8)
linear = dict(rope_type="linear", factor=4.0)

CASES = {
    "gpt2_bare": ("gpt2", dict(gpt2, n_inner=20, activation_function="relu")),
    "gpt2_classifier": ("gpt2", gpt2),
    "neox_sequential": ("gpt_neox", dict(common, num_attention_heads=2, use_parallel_residual=False, attention_bias=False,
                                         hidden_act="gelu_fast", rotary_pct=0.5, rotary_emb_base=300)),
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
    "gemma3_multimodal": ("gemma3", dict(text_config=dict(gemma, sliding_window_pattern=2, rope_scaling=dict(rope_type="linear", factor=8.0)),
                                         vision_config=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
                                                            image_size=8, patch_size=4), mm_tokens_per_image=1, eos_token_id=1)),
    "gpt_neo": ("gpt_neo", dict(gpt_neo, attention_types=[[["global", "local"], 1]], window_size=3)),
    "gpt_neo_relu": ("gpt_neo", dict(gpt_neo, attention_types=[[["local"], 2]], window_size=4, activation_function="relu",
                                     tie_word_embeddings=False)),
    "gpt_neo_classifier": ("gpt_neo", dict(gpt_neo, attention_types=[[["global"], 2]])),
    "gptj": ("gptj", dict(gpt2, n_head=2, rotary_dim=4, n_inner=12)),
    "gptj_tied": ("gptj", dict(gpt2, n_head=2, rotary_dim=6, n_inner=20, activation_function="gelu", tie_word_embeddings=True)),
    "gptj_classifier": ("gptj", dict(gpt2, rotary_dim=4, n_inner=12)),
    "opt": ("opt", opt),
    "opt_after": ("opt", dict(opt, do_layer_norm_before=False, word_embed_proj_dim=8)),     # as OPT-350m
    "opt_galactica": ("opt", dict(opt, activation_function="gelu", enable_bias=False, layer_norm_elementwise_affine=False,
                                  tie_word_embeddings=False)),
    "opt_projected": ("opt", dict(opt, word_embed_proj_dim=24, _remove_final_layer_norm=True)),
    "opt_classifier": ("opt", dict(opt, word_embed_proj_dim=8)),
    "gemma": ("gemma", dict(grouped, head_dim=6)),
    "gemma_biased": ("gemma", dict(common, num_key_value_heads=1, head_dim=8, attention_bias=True, hidden_act="gelu",
                                   tie_word_embeddings=False, rope_theta=300.0)),
    "gemma_classifier": ("gemma", dict(grouped, head_dim=8)),
    "olmo": ("olmo", dict(grouped, clip_qkv=0.75)),
    "olmo_biased": ("olmo", dict(common, attention_bias=True, tie_word_embeddings=True, rope_scaling=dict(type="linear", factor=4.0))),
    "phi": ("phi", common),
    "phi_norms": ("phi", dict(grouped, qk_layernorm=True, partial_rotary_factor=1.0, hidden_act="gelu", tie_word_embeddings=True,
                              rope_scaling=linear)),
    "phi_classifier": ("phi", common),
    "falcon": ("falcon", falcon),                                                           # as Falcon 7B
    "falcon_grouped": ("falcon", dict(falcon, new_decoder_architecture=True, num_kv_heads=2)),              # 40B
    "falcon_shared": ("falcon", dict(falcon, new_decoder_architecture=True, num_kv_heads=2, num_ln_in_parallel_attn=1, bias=True,
                                     tie_word_embeddings=False, rope_theta=300.0)),                         # 2 11B
    "falcon_alibi": ("falcon", dict(falcon, alibi=True, multi_query=False, parallel_attn=False, bias=True)),  # RefinedWeb 1B
    "falcon_alibi_three": ("falcon", dict(falcon, alibi=True, num_attention_heads=3, hidden_size=12, activation="relu")),
    "falcon_sequential": ("falcon", dict(falcon, multi_query=False, parallel_attn=False)),
    "falcon_classifier": ("falcon", falcon),
    "stablelm": ("stablelm", dict(common, num_key_value_heads=4, partial_rotary_factor=0.5)),
    "stablelm_parallel": ("stablelm", dict(grouped, partial_rotary_factor=1.0, use_qkv_bias=True, qk_layernorm=True,
                                           use_parallel_residual=True, tie_word_embeddings=True)),
    "stablelm_norms": ("stablelm", dict(grouped, partial_rotary_factor=1.0, qk_layernorm=True, rope_theta=300.0)),
    "stablelm_classifier": ("stablelm", dict(grouped, partial_rotary_factor=0.5)),
    "starcoder2": ("starcoder2", dict(grouped, sliding_window=4)),
    "starcoder2_plain": ("starcoder2", dict(grouped, use_bias=False, hidden_act="gelu", tie_word_embeddings=False, rope_theta=300.0)),
    "starcoder2_classifier": ("starcoder2", grouped),
    "cohere": ("cohere", grouped),
    "cohere_norms": ("cohere", dict(grouped, use_qk_norm=True, attention_bias=True, logit_scale=0.5, tie_word_embeddings=False,
                                    rope_theta=300.0)),
    "granite": ("granite", dict(grouped, embedding_multiplier=3.0, attention_multiplier=0.4, residual_multiplier=0.6, logits_scaling=2.0)),
    "granite_biased": ("granite", dict(grouped, attention_bias=True, mlp_bias=True, tie_word_embeddings=True, rope_scaling=linear)),
    "smollm3": ("smollm3", dict(grouped, no_rope_layer_interval=2)),
    "smollm3_windows": ("smollm3", dict(grouped, no_rope_layers=[0, 1], use_sliding_window=True, sliding_window=4, attention_bias=True,
                                        mlp_bias=True, tie_word_embeddings=False)),
    "smollm3_classifier": ("smollm3", dict(grouped, no_rope_layer_interval=2)),
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


def positions(mask):
    return (mask.cumsum(-1) - 1).clamp(min=0)


def initialized(kind, config, generator, folder, gains=1):
    """A model that does something, saved in bfloat16 and loaded again. Gains of norms are about the given."""
    with no_init_weights():     # which transformers cannot do for OPT without weights of norms
        model = kind.from_config(config, attn_implementation="eager")
    for name, parameter in model.named_parameters():
        gain = gains * (parameter.dim() == 1 and name.endswith("weight"))
        parameter.data = gain + torch.randn(parameter.shape, generator=generator) * (0.3 if parameter.dim() < 2 else 0.25)
    model.tie_weights()
    model.to(torch.bfloat16).save_pretrained(folder)
    if os.path.exists(f"{folder}/generation_config.json"):
        os.remove(f"{folder}/generation_config.json")
    return kind.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


def runner(model):
    """Runs a model. Falcon's eager attention adds ALiBi twice, unless there is a mask of heads; its other implementation does not."""
    alibi = getattr(model.config, "alibi", False)
    once = dict(head_mask=torch.ones(model.config.num_hidden_layers, model.config.num_attention_heads)) if alibi else {}

    def run(ids, mask=None, **more):
        mask = torch.ones_like(ids) if mask is None else mask
        if not alibi and "FalconForSequenceClassification" != type(model).__name__:     # which take none; rotations need none
            more["position_ids"] = positions(mask)[:, -ids.shape[1]:]
        return model(input_ids=ids, attention_mask=mask, **once, **more)
    return run


def decoded(other, run, prompts, mask, steps=4):
    """Greedy tokens and their logits, which must be what another implementation of the model generates."""
    tokens, logits, past, ids = [], [], None, prompts
    for _ in range(steps):
        result = run(ids, mask, past_key_values=past, use_cache=True)
        past = result.past_key_values
        logits.append(result.logits[:, -1])
        ids = logits[-1].argmax(-1, keepdim=True)
        tokens.append(ids)
        mask = torch.cat([mask, torch.ones_like(ids)], -1)
    tokens, logits = torch.cat(tokens, -1), torch.stack(logits, 1)
    other.generation_config.eos_token_id = None
    own = other.generate(prompts, attention_mask=mask[:, :prompts.shape[1]], max_new_tokens=steps, do_sample=False, output_logits=True,
                         return_dict_in_generate=True)
    assert torch.equal(own.sequences[:, prompts.shape[1]:], tokens)
    assert (torch.stack(own.logits, 1) - logits).abs().max() < 1e-4
    return tokens, logits


@torch.no_grad()
def write(folder, name, family, settings):
    classifier = name.endswith("classifier")
    config = AutoConfig.for_model(family, **settings, **({"num_labels": 3} if classifier else {}))
    generator = torch.Generator().manual_seed(sum(name.encode()))
    model = initialized(AutoModelForSequenceClassification if classifier else AutoModelForCausalLM, config, generator, folder)
    run = runner(model)
    ids, mask = padded(generator)
    tensors = {"input_ids": ids.int(), "attention_mask": mask.int()}
    scaling = getattr(config, "rope_scaling", None) or {}
    if scaling.get("rope_type", scaling.get("type")) in ("dynamic", "longrope"):  # there, examples of a batch and earlier runs have influence
        fresh = [runner(type(model).from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()) for _ in ids]
        tensors["logits"] = torch.cat([each(ids[[i]], mask[[i]]).logits for i, each in enumerate(fresh)]) * mask[..., None]
    elif classifier:
        tensors["logits"] = run(ids, mask).logits
    else:
        tensors["logits"] = run(ids, mask).logits * mask[..., None]
        prompts, lengths = torch.randint(2, VOCABULARY, (2, 5), generator=generator), torch.ones(2, 5, dtype=torch.long)
        lengths[1, :2] = 0
        tensors["prompts"], tensors["prompts_mask"] = (prompts * lengths).int(), lengths.int()
        other = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa" if family == "falcon" else "eager")
        generated, tensors["generated_logits"] = decoded(other, run, prompts * lengths, lengths)
        tensors["generated"] = generated.int()
        if family in PARTS:
            base, source = torch.randint(2, VOCABULARY, (2, 1, 5), generator=generator)
            logits = Sites(model).patched(lambda ids: run(ids).logits, base, source, [1, 3], [4, 0])
            tensors |= {"base": base.int(), "source": source.int(), "patched": torch.cat([each[:, -2:] for each in logits])}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, f"{folder}/inputs.safetensors")
    if name == "gpt2_bare":     # as the hub has GPT-2: without the names' base, and with the causal masks
        weights = {k.removeprefix("transformer."): v for k, v in load_file(f"{folder}/model.safetensors").items()}
        weights |= {f"h.{layer}.attn.bias": torch.tril(torch.ones(1, 1, 4, 4)) for layer in range(config.n_layer)}
        save_file(weights, f"{folder}/model.safetensors")


if __name__ == "__main__":
    root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "transformers")
    for name, (family, settings) in CASES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        shutil.rmtree(os.path.join(root, name), ignore_errors=True)
        os.makedirs(os.path.join(root, name))
        write(os.path.join(root, name), name, family, settings)

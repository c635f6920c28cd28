"""Six of the eight jobs with pyvene 0.1.8: a config for each intervention, a call for each cell."""

import torch
import matplotlib.pyplot as plt
import pyvene as pv
from safetensors.torch import save_file

import tiny


def patch():
    # begin patch
    _, tokenizer, gpt2 = pv.create_gpt2_lm()
    patch = pv.IntervenableModel({"layer": 1, "component": "block_output"}, model=gpt2)
    base = tokenizer("The capital of Italy is", return_tensors="pt")
    source = tokenizer("The capital of France is", return_tensors="pt")
    _, output = patch(base, [source], {"sources->base": 3})
    paris, rome = (tokenizer.encode(word)[0] for word in (" Paris", " Rome"))
    print(output.logits[0, -1, paris] - output.logits[0, -1, rome])
    # end


def layers_positions():
    # begin map
    _, tokenizer, gpt2 = pv.create_gpt2_lm()
    base = tokenizer("The capital of Italy is", return_tensors="pt")
    source = tokenizer("The capital of France is", return_tensors="pt")
    paris, rome = (tokenizer.encode(word)[0] for word in (" Paris", " Rome"))
    tokens = tokenizer.tokenize("The capital of Italy is")
    result = torch.zeros(gpt2.config.n_layer, len(tokens))
    for layer in range(gpt2.config.n_layer):
        patch = pv.IntervenableModel({"layer": layer, "component": "block_output"}, model=gpt2)
        for position in range(len(tokens)):
            _, output = patch(base, [source], {"sources->base": position})
            logits = output.logits[0, -1]
            result[layer, position] = logits[paris] - logits[rome]
    plt.imshow(result.detach())
    plt.xticks(range(len(tokens)), tokens)
    plt.savefig("map.svg")
    # end


def heads():
    # begin heads
    _, tokenizer, gpt2 = pv.create_gpt2_lm()
    base = tokenizer("The capital of Italy is", return_tensors="pt")
    source = tokenizer("The capital of France is", return_tensors="pt")
    paris, rome = (tokenizer.encode(word)[0] for word in (" Paris", " Rome"))
    result = torch.zeros(gpt2.config.n_layer, gpt2.config.n_head)
    for layer in range(gpt2.config.n_layer):
        config = {"layer": layer, "component": "head_attention_value_output", "unit": "h"}
        patch = pv.IntervenableModel(config, model=gpt2)
        for head in range(gpt2.config.n_head):
            _, output = patch(base, [source], {"sources->base": head})
            logits = output.logits[0, -1]
            result[layer, head] = logits[paris] - logits[rome]
    plt.imshow(result.detach())
    plt.savefig("heads.svg")
    # end


def tracing():
    # begin tracing
    _, tokenizer, gpt2 = pv.create_gpt2_lm()
    base = tokenizer("The capital of France is", return_tensors="pt")
    paris, tokens = tokenizer.encode(" Paris")[0], tokenizer.tokenize("The capital of France is")
    subject, weights = tokens.index("ĠFrance"), gpt2.transformer.wte.weight
    noise = 3 * weights.std() * torch.randn(weights.shape[1])
    corrupt = {"layer": 0, "component": "block_input", "source_representation": noise,
               "intervention_type": pv.AdditionIntervention}
    result = torch.zeros(gpt2.config.n_layer, len(tokens))
    for layer in range(gpt2.config.n_layer):
        restore = {"layer": layer, "component": "block_output",
                   "intervention_type": pv.VanillaIntervention}
        trace = pv.IntervenableModel([corrupt, restore], model=gpt2)
        for position in range(len(tokens)):
            places = ([[[0]], [[position]]], [[[subject]], [[position]]])
            _, output = trace(base, [None, base], {"sources->base": places})
            result[layer, position] = output.logits[0, -1].softmax(-1)[paris]
    plt.imshow(result.detach())
    plt.xticks(range(len(tokens)), tokens)
    plt.savefig("tracing.svg")
    # end


def steering():
    # begin steering
    _, tokenizer, gpt2 = pv.create_gpt2_lm()
    pair = tokenizer(["I love you", "I hate you"], return_tensors="pt")
    love, hate = gpt2(**pair, output_hidden_states=True).hidden_states[2][:, -1].detach()
    config = {"layer": 1, "component": "block_output", "source_representation": 4 * (love - hate),
              "intervention_type": pv.AdditionIntervention}
    steer = pv.IntervenableModel(config, model=gpt2)
    _, output = steer.generate(tokenizer("I think that you", return_tensors="pt"), max_new_tokens=10)
    print(tokenizer.decode(output[0]))
    # end


def collecting():
    # begin collecting
    _, tokenizer, gpt2 = pv.create_gpt2_lm()
    tokenizer.pad_token = tokenizer.eos_token
    batch = tokenizer(["The capital of France is", "I love you"], padding=True, return_tensors="pt")
    positions = batch["input_ids"].shape[1]
    kind = {"component": "block_output", "intervention_type": pv.CollectIntervention,
            "max_number_of_units": positions}
    layers = [{"layer": layer, **kind} for layer in range(gpt2.config.n_layer)]
    collect = pv.IntervenableModel(layers, model=gpt2)
    (_, values), _ = collect(batch, unit_locations={"base": list(range(positions))})
    save_file({f"block {i}": value for i, value in enumerate(values)}, "activations.safetensors")
    # end


JOBS = {"patch": patch, "map": layers_positions, "heads": heads, "tracing": tracing, "steering": steering, "collecting": collecting}

if __name__ == "__main__":
    tiny.run(JOBS)

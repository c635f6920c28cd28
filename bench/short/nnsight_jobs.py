"""Seven of the eight jobs with nnsight 0.8.1: a trace for each run, with edits and gradients written in it."""

import nnsight
import torch
import matplotlib.pyplot as plt
from nnsight import TransformersModel
from safetensors.torch import save_file

import tiny


def patch():
    # begin patch
    model = TransformersModel("gpt2", task="text-generation", dispatch=True)
    with model.trace("The capital of France is"):
        clean = model.transformer.h[1].output[0].save()
    with model.trace("The capital of Italy is"):
        model.transformer.h[1].output[0][:, 3] = clean[:, 3]
        logits = model.output.logits[0, -1].save()
    paris, rome = (model.tokenizer.encode(word)[0] for word in (" Paris", " Rome"))
    print(logits[paris] - logits[rome])
    # end


def layers_positions():
    # begin map
    model = TransformersModel("gpt2", task="text-generation", dispatch=True)
    layers, tokens = model.transformer.h, model.tokenizer.tokenize("The capital of Italy is")
    paris, rome = (model.tokenizer.encode(word)[0] for word in (" Paris", " Rome"))
    with model.trace("The capital of France is"):
        clean = nnsight.save([layer.output[0] for layer in layers])
    result = torch.zeros(len(layers), len(tokens))
    for layer in range(len(layers)):
        for position in range(len(tokens)):
            with model.trace("The capital of Italy is"):
                layers[layer].output[0][:, position] = clean[layer][:, position]
                logits = model.output.logits[0, -1].save()
            result[layer, position] = logits[paris] - logits[rome]
    plt.imshow(result.detach())
    plt.xticks(range(len(tokens)), tokens)
    plt.savefig("map.svg")
    # end


def heads():
    # begin heads
    model = TransformersModel("gpt2", task="text-generation", dispatch=True)
    layers, heads = model.transformer.h, model.config.n_head
    size = model.config.n_embd // heads
    paris, rome = (model.tokenizer.encode(word)[0] for word in (" Paris", " Rome"))
    with model.trace("The capital of France is"):
        clean = nnsight.save([layer.attn.c_proj.input for layer in layers])
    result = torch.zeros(len(layers), heads)
    for layer in range(len(layers)):
        for head in range(heads):
            columns = slice(head * size, (head + 1) * size)
            with model.trace("The capital of Italy is"):
                layers[layer].attn.c_proj.input[:, :, columns] = clean[layer][:, :, columns]
                logits = model.output.logits[0, -1].save()
            result[layer, head] = logits[paris] - logits[rome]
    plt.imshow(result.detach())
    plt.savefig("heads.svg")
    # end


def tracing():
    # begin tracing
    model = TransformersModel("gpt2", task="text-generation", dispatch=True)
    layers, tokens = model.transformer.h, model.tokenizer.tokenize("The capital of France is")
    paris = model.tokenizer.encode(" Paris")[0]
    with model.trace("The capital of France is"):
        clean = nnsight.save([layer.output[0] for layer in layers])
    subject, weights = tokens.index("ĠFrance"), model.transformer.wte.weight
    noise = 3 * weights.std() * torch.randn(weights.shape[1])
    result = torch.zeros(len(layers), len(tokens))
    for layer in range(len(layers)):
        for position in range(len(tokens)):
            with model.trace("The capital of France is"):
                model.transformer.wte.output[:, subject] += noise
                layers[layer].output[0][:, position] = clean[layer][:, position]
                logits = model.output.logits[0, -1].save()
            result[layer, position] = logits.softmax(-1)[paris]
    plt.imshow(result.detach())
    plt.xticks(range(len(tokens)), tokens)
    plt.savefig("tracing.svg")
    # end


def steering():
    # begin steering
    model = TransformersModel("gpt2", task="text-generation", dispatch=True)
    with model.trace(["I love you", "I hate you"]):
        pair = model.transformer.h[1].output[0][:, -1].save()
    with model.generate("I think that you", max_new_tokens=10, min_new_tokens=10) as tracer:
        for step in tracer.iter[:10]:
            model.transformer.h[1].output[0][:] += 4 * (pair[0] - pair[1])
        ids = tracer.result.save()
    print(model.tokenizer.batch_decode(ids))
    # end


def collecting():
    # begin collecting
    model = TransformersModel("gpt2", task="text-generation", dispatch=True)
    with model.trace(["The capital of France is", "I love you"]):
        blocks = nnsight.save([layer.output[0] for layer in model.transformer.h])
    save_file({f"block {i}": block for i, block in enumerate(blocks)}, "activations.safetensors")
    # end


def attribution():
    # begin attribution
    model = TransformersModel("gpt2", task="text-generation", dispatch=True)
    layers, tokens = model.transformer.h, model.tokenizer.tokenize("The capital of Italy is")
    paris, rome = (model.tokenizer.encode(word)[0] for word in (" Paris", " Rome"))
    with model.trace("The capital of France is"):
        clean = nnsight.save([layer.mlp.output for layer in layers])
    with model.trace("The capital of Italy is"):
        base = nnsight.save([layer.mlp.output for layer in layers])
        logits = model.output.logits[0, -1]
        with (logits[paris] - logits[rome]).backward():
            gradients = nnsight.save([value.grad for value in reversed(base)])
    differences = zip(clean, base, reversed(gradients))
    effects = [((c - b) * gradient)[0].sum(-1) for c, b, gradient in differences]
    plt.imshow(torch.stack(effects).detach())
    plt.xticks(range(len(tokens)), tokens)
    plt.savefig("attribution.svg")
    # end


JOBS = {"patch": patch, "map": layers_positions, "heads": heads, "tracing": tracing, "steering": steering, "collecting": collecting, "attribution": attribution}

if __name__ == "__main__":
    tiny.run(JOBS)

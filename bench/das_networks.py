"""What of the training of a network of hierarchical equality decides whether its variables can be exchanged after the first layer: networks of
several settings are trained side by side in PyTorch, and one rotation is searched in each, by the exponential map.

    python das_networks.py '[{"rate": 3e-3, "decay": 0.1, "steps": 20000}]' NETWORKS > lines

prints a line of JSON for each setting, whose "inputs" are "normal" or "uniform" numbers."""
import json
import sys

import torch

WIDTH, LAYERS, HALF = 16, 3, 8


def runs(uniform, batch, generator):
    """Inputs [networks, batch, width], of which each pair is equal half of the time."""
    x = torch.randn(len(uniform), batch, WIDTH, generator=generator)
    x = torch.where(uniform[:, None, None], torch.rand(x.shape, generator=generator) * 2 - 1, x)
    equal = torch.randint(0, 2, (len(uniform), batch, 2), generator=generator).bool()
    for pair in range(2):
        first, second = slice(8 * pair, 8 * pair + 4), slice(8 * pair + 4, 8 * pair + 8)
        x[:, :, second] = torch.where(equal[:, :, pair : pair + 1], x[:, :, first], x[:, :, second])
    return x, equal


def label(equal):
    return (equal[..., 0] == equal[..., 1]).long()


def forward(weights, x, first=0, last=LAYERS + 1):
    for layer in range(first, last):
        w, b = weights[layer]
        x = torch.baddbmm(b[:, None], x, w)
        x = torch.relu(x) if layer < LAYERS else x
    return x


def loss_of(logits, labels, count):
    each = torch.nn.functional.cross_entropy(logits.reshape(-1, 2), labels.reshape(-1), reduction="none")
    return each.reshape(count, -1).mean(1).sum()


def train(uniform, rates, decays, steps, batch=1024):
    count, generator = len(uniform), torch.Generator().manual_seed(1)
    weights = []
    for layer in range(LAYERS + 1):
        outputs = WIDTH if layer < LAYERS else 2
        w, b = (torch.rand(count, *shape, generator=generator) / 2 - 0.25 for shape in ((WIDTH, outputs), (outputs,)))
        weights.append((w.requires_grad_(), b.requires_grad_()))
    parameters = [p for pair in weights for p in pair]
    means, squares = [torch.zeros_like(p) for p in parameters], [torch.zeros_like(p) for p in parameters]
    for step in range(steps):
        x, equal = runs(uniform, batch, generator)
        gradients = torch.autograd.grad(loss_of(forward(weights, x), label(equal), count), parameters)
        with torch.no_grad():
            for p, g, mean, square in zip(parameters, gradients, means, squares):
                mean.mul_(0.9).add_(g, alpha=0.1)
                square.mul_(0.999).addcmul_(g, g, value=0.001)
                shape = (-1,) + (1,) * (p.dim() - 1)
                rate = (rates * (1 - 0.99 * step / steps)).reshape(shape)
                if p.dim() == 3:
                    p.mul_(1 - rate * decays.reshape(shape))
                p.sub_(rate * (mean / (1 - 0.9 ** (step + 1))) / ((square / (1 - 0.999 ** (step + 1))).sqrt() + 1e-8))
    with torch.no_grad():
        accuracy = 0
        for _ in range(10):
            x, equal = runs(uniform, 5000, generator)
            accuracy = accuracy + (forward(weights, x).argmax(-1) == label(equal)).float().mean(1) / 10
    return [(w.detach(), b.detach()) for w, b in weights], accuracy


def counterfactuals(uniform, batch, generator):
    base, equal = runs(uniform, batch, generator)
    which = torch.randint(1, 4, (len(uniform), batch), generator=generator)
    after, sources = equal.clone(), []
    for v in range(2):
        x, other = runs(uniform, batch, generator)
        there = (which >> v & 1).bool()
        after[:, :, v] = torch.where(there, other[:, :, v], after[:, :, v])
        sources.append(torch.where(there[:, :, None], x, base))
    return sources, label(after)


def search(uniform, weights, steps=1000, batch=640, rate=1e-2):
    """The accuracies of exchanging both variables after the first layer, whose sources are all that it needs."""
    count, generator = len(uniform), torch.Generator().manual_seed(5)
    start = torch.linalg.qr(torch.randn(count, WIDTH, WIDTH, generator=generator))[0]
    skew = torch.zeros(count, WIDTH, WIDTH, requires_grad=True)
    optimizer = torch.optim.Adam([skew], rate)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)

    def logits(sources):
        r = start @ torch.matrix_exp(skew - skew.transpose(1, 2))
        first, second = (forward(weights, x, 0, 1) @ r for x in sources)
        return forward(weights, torch.cat([first[..., :HALF], second[..., HALF:]], -1) @ r.transpose(1, 2), 1)

    for _ in range(steps):
        sources, labels = counterfactuals(uniform, batch, generator)
        optimizer.zero_grad()
        loss_of(logits(sources), labels, count).backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        sources, labels = counterfactuals(uniform, 10_000, generator)
        return (logits(sources).argmax(-1) == labels).float().mean(1)


def main():
    settings, networks = json.loads(sys.argv[1]), int(sys.argv[2])
    for steps in sorted({s["steps"] for s in settings}):
        chosen = [s for s in settings if s["steps"] == steps]
        of = lambda name, default: [s.get(name, default) for s in chosen for _ in range(networks)]
        uniform = torch.tensor([x == "uniform" for x in of("inputs", "normal")])
        weights, accuracy = train(uniform, torch.tensor(of("rate", 3e-3)), torch.tensor(of("decay", 0.0)), steps)
        iia = search(uniform, weights)
        for i, setting in enumerate(chosen):
            these = slice(i * networks, (i + 1) * networks)
            print(json.dumps({"library": "pytorch", "name": "training", **setting, "accuracy": accuracy[these].tolist(), "iia": iia[these].tolist()}), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

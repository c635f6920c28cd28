"""Twin of bench/das in PyTorch, by hand. Without arguments it times a step of distributed alignment search on the network of hierarchical
equality. With a folder of networks that bench/das has trained it searches in each at the first layer with PyTorch's orthogonal parametrization, by the
exponential map and by Cayley's, and prints the accuracy on held-out examples. A second argument is the number of steps."""
import json
import statistics
import sys
import time
from pathlib import Path

import torch
from safetensors.torch import load_file

WIDTH, LAYERS, BATCH, HALF = 16, 3, 1280, 8


def run(generator, count):
    x = torch.randn(count, WIDTH, generator=generator)
    equal = torch.randint(0, 2, (count, 2), generator=generator).bool()
    for pair in range(2):
        first = slice(8 * pair, 8 * pair + 4)
        x[equal[:, pair], 8 * pair + 4 : 8 * pair + 8] = x[equal[:, pair], first]
    return x, equal


def counterfactuals(generator, count):
    base, equal = run(generator, count)
    which = torch.randint(1, 4, (count,), generator=generator)
    after, sources = equal.clone(), []
    for v in range(2):
        x, other = run(generator, count)
        there = (which >> v & 1).bool()
        after[there, v] = other[there, v]
        sources.append(torch.where(there[:, None], x, base))
    return base, sources[0], sources[1], (after[:, 0] == after[:, 1]).long()


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(WIDTH, WIDTH) for _ in range(LAYERS))
        self.score = torch.nn.Linear(WIDTH, 2)
        self.requires_grad_(False)

    def until(self, x, layer):
        for block in self.blocks[: layer + 1]:
            x = torch.relu(block(x))
        return x

    def after(self, x, layer):
        for block in self.blocks[layer + 1 :]:
            x = torch.relu(block(x))
        return self.score(x)


def searcher(by="matrix_exp"):
    linear = torch.nn.Linear(WIDTH, WIDTH, bias=False)
    torch.nn.init.orthogonal_(linear.weight)
    return torch.nn.utils.parametrizations.orthogonal(linear, orthogonal_map=by)


def logits(network, layer, rotation, base, first, second):
    r = rotation.weight
    b, s, t = (network.until(x, layer) @ r for x in (base, first, second))
    return network.after(torch.cat([s[:, :HALF], t[:, HALF:]], 1) @ r.T, layer)


def step(network, layer, rotation, optimizer, data):
    optimizer.zero_grad()
    loss = torch.nn.functional.cross_entropy(logits(network, layer, rotation, *data[:3]), data[3])
    loss.backward()
    optimizer.step()
    return loss.item()


def load(folder):
    values = load_file(folder / "model.safetensors")
    network = Network()
    network.load_state_dict({name.replace("mlp.h.", "blocks.").replace(".ff1", ""): t for name, t in values.items()})
    return network


def search(folder, steps, layer=0, seeds=3):
    network = load(folder)
    for by in ("matrix_exp", "cayley"):
        found = []
        for seed in range(seeds):
            generator = torch.Generator().manual_seed(seed)
            torch.manual_seed(seed)
            rotation = searcher(by)
            optimizer = torch.optim.Adam(rotation.parameters(), 1e-2)
            schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
            for _ in range(steps):
                step(network, layer, rotation, optimizer, counterfactuals(generator, BATCH))
                schedule.step()
            held = counterfactuals(generator, 10_000)
            with torch.no_grad():
                found.append((logits(network, layer, rotation, *held[:3]).argmax(1) == held[3]).float().mean().item())
        print(json.dumps({"library": "pytorch", "name": "equality", "network": folder.name, "by": by, "iia": found}), flush=True)


def time_steps(count=300):
    network, rotation, times = Network(), searcher(), []
    optimizer = torch.optim.Adam(rotation.parameters(), 1e-3)
    data = [counterfactuals(torch.Generator().manual_seed(i), BATCH) for i in range(20)]
    for i in range(count + 20):
        start = time.perf_counter()
        step(network, 0, rotation, optimizer, data[i % 20])
        times.append(time.perf_counter() - start)
    times = times[20:]
    print(json.dumps({"library": "pytorch", "backend": "PyTorch, by hand", "name": "step", "median_s": statistics.median(times), "min_s": min(times)}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    if len(sys.argv) > 1:
        for folder in sorted(Path(sys.argv[1]).iterdir()):
            search(folder, int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
    else:
        time_steps()

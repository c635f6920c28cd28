#!/usr/bin/env python
"""What patches, gradients, paths and circuits come to, by their definitions: python generate.py, with torch, transformers 4.57.6 and safetensors.

Writes cases.json, what is asked of models, and <model>.safetensors, what comes out, under the names that cases.json has. All is float64, of the
forward passes of models.py; every patch is a run of its own, with the whole activation replaced.
"""
import itertools
import json
import os
import statistics

import torch
from safetensors.torch import save_file

from models import GPT2, Gemma2, Llama, NeoX, same

HERE = os.path.dirname(os.path.abspath(__file__))

# What each model is asked: kinds or, of one, some cases.
MODELS = {
    GPT2: ["attribution", "sweep", "paths", "edges", "faithfulness", "metrics", "summaries", "agreements"],
    Llama: ["attribution", "sweep", "paths", "edges", "faithfulness", "metrics"],
    NeoX: ["paths", "edges", "faithfulness", "attribution/GradDrop"],
    Gemma2: ["paths", "attribution/softmax", "attribution/first order", "sweep/patches", "sweep/mean of sources"],
}


# Metrics, of the logits [pairs, tokens] that they read and those of the clean run; settings are those of Govene's JSON.

def measured(metric, logits, clean):
    logp, rows = logits.log_softmax(-1), torch.arange(len(logits))
    kind, metric = metric["metric"], metric.get("settings", {})
    pick = lambda tokens: torch.tensor(tokens).expand(len(logits))
    side = lambda lists: torch.stack([logits[i, torch.tensor(lists[i % len(lists)])].mean() for i in rows])
    match kind:
        case "logit": return logits[rows, pick(metric["tokens"])]
        case "log_probability": return logp[rows, pick(metric["tokens"])]
        case "probability": return logp[rows, pick(metric["tokens"])].exp()
        case "cross_entropy": return -logp[rows, pick(metric["labels"])]
        case "rank": return (logits > logits[rows, pick(metric["tokens"])][:, None]).sum(-1).double()
        case "accuracy": return (logits.argmax(-1) == pick(metric["labels"])).double()
        case "logit_difference": return side(metric["right"]) - side(metric["wrong"])
        case "kl": return (clean.softmax(-1) * (clean.log_softmax(-1) - logp)).sum(-1)
        case "recovered":
            clean_end, corrupted = (torch.tensor(metric[end]) for end in ("clean", "corrupted"))
            return (measured(metric["of"], logits, clean) - corrupted) / (clean_end - corrupted)
        case "top_tokens":
            values, ids = logp.exp().topk(metric["k"])
            return torch.stack([ids.double(), values], -1)
    raise ValueError(kind)


class Pairs:
    """Some pairs of inputs and a model that runs them."""

    def __init__(self, model, base, source, mask):
        self.model, self.base, self.source, self.mask = model, *(torch.tensor(x) for x in (base, source, mask))
        self.kept = {}

    def swapped(self):
        return Pairs(self.model, self.source.tolist(), self.base.tolist(), self.mask.tolist())

    def at(self, place=-1):
        """The column of a position, which counts from the end of what is no padding if it is below 0."""
        ends = self.mask.shape[1] - self.mask.flip(-1).argmax(-1)
        place = torch.tensor(place).expand(len(self.mask))
        return torch.where(place < 0, ends + place, place)

    def logits(self, ids, edit=same, at=-1):
        return self.last(self.model.run(ids, self.mask, edit), at)

    def last(self, logits, at=-1):
        return logits[torch.arange(len(self.mask)), self.at(at)]

    def metric(self, metric, logits, at=-1):
        return measured(metric, logits, self.logits(self.base, at=at))

    def clean(self, which):
        """All activations of the base's or the source's run."""
        if which not in self.kept:
            kept = {}
            def keep(component, layer, value):
                kept[component, layer] = value.detach()
                return value
            self.model.run(getattr(self, which), self.mask, keep)
            self.kept[which] = kept
        return self.kept[which]


def attribution(p, a, want):
    """a's effects, by site: (s − b) · gradient."""
    metric, at = a["measure"], [i[0] for i in a["measure"].get("at", [[-1]])]
    sites = [(s["component"], s["layer"]) for s in a["sites"]]
    base, source, steps, drops = p.clean("base"), p.clean("source"), a.get("steps", 1), a.get("drop", [])
    along = (a["along"]["component"], a["along"]["layer"]) if steps > 1 else None

    def gradients(dropped):
        total = {}
        for k in range(steps):
            leaves = {}

            def edit(component, layer, value):
                site = component, layer
                if site == along:       # where it is the base's
                    value = value + (k + 0.5) / steps * (source[site] - base[site])
                leaves[site] = torch.zeros_like(value, requires_grad=True)
                value = value + leaves[site]
                return value.detach() if component in drops and layer == dropped else value
            m = p.metric(metric, p.logits(p.base, edit, at), at).sum()
            found = torch.autograd.grad(m, list(leaves.values()), allow_unused=True)
            for site, g in zip(leaves, found):
                total[site] = total.get(site, 0) + (torch.zeros_like(leaves[site]) if g is None else g) / steps
        return total

    def effect(site, gradient):
        component, layer = site
        kind = component.removeprefix("head_")
        if a.get("softmax") and kind in ("query_output", "key_output"):
            q, k = base["head_query_output", layer], base["head_key_output", layer]
            A, g = base["attention_weight", layer], gradient["attention_weight", layer]
            effects = []
            for position in range(q.shape[2]):
                q2, k2 = q.clone(), k.clone()
                if kind == "query_output":
                    q2[:, :, position] = source["head_query_output", layer][:, :, position]
                else:
                    k2[:, :, position] = source["head_key_output", layer][:, :, position]
                each = ((p.model.weights(layer, q2, k2, p.mask) - A) * g).sum((-1, -2))        # of every query head
                effects.append(each if kind == "query_output" else each.unflatten(1, (p.model.groups, -1)).sum(-1))
            effects = torch.stack(effects, -1)                                          # [pair, head, position]
            return effects if component != kind else effects.sum(1, keepdim=True)
        e = ((source[site] - base[site]) * gradient[site]).sum(-1)
        return e if e.dim() == 3 else e[:, None]

    if drops:
        each = [gradients(l) for l in range(p.model.layers)]
        effects = [sum(effect(site, g).abs() for g in each) / (p.model.layers - 1) for site in sites]
    else:
        g = gradients(None)
        effects = [effect(site, g) for site in sites]
    for site, e in zip(sites, effects):
        want(f"{site[0]} {site[1]}", e)
    want("base", p.metric(metric, p.logits(p.base, at=at), at))
    if metric["metric"] != "kl":
        want("source", p.metric(metric, p.logits(p.source, at=at), at))


def replaced(p, cell, value, with_, mask=None):
    """value with the activation at a cell's place replaced."""
    value = value.clone()
    place = cell.get("place", {})
    for i in range(len(value)):
        real = p.mask[i].nonzero()[:, 0].tolist()
        pick = lambda lists: [j if j >= 0 else real[-1] + 1 + j for j in lists[i % len(lists)]]
        to = pick(place["at"]) if "at" in place else real
        of = pick(place["source"]) if "source" in place else to
        for a, b in zip(to, of):
            if value.dim() == 4:
                for h in cell.get("heads", range(value.shape[1])):
                    value[i, h, a] = with_[i, h, b]
            else:
                value[i, a] = with_[i, b]
    return value


def sweep(p, case, want):
    s, noise = case["sweep"], case.get("corrupt")
    base, source = p.clean("base"), None if case.get("sourceless") else p.clean("source")
    metric, at = s["metric"], [i[0] for i in s.get("read_at", [[-1]])]
    kind = s.get("from", "base" if source is None else "source")

    def read(site):
        if "intervention" in s:
            return torch.zeros_like(base[site])
        if kind == "mean":
            of = (source or base)[site]
            real = p.mask[:, None, :, None] if of.dim() == 4 else p.mask[..., None]
            axes = (0, 2) if of.dim() == 4 else (0, 1)
            return ((of * real).sum(axes, keepdim=True) / p.mask.sum()).expand_as(of)
        if kind == "other":
            return base[site].flip(0)       # of two pairs
        return (source if kind == "source" else base)[site]

    def corrupted(component, layer, value):
        if noise and (component, layer) == (noise["component"], noise["layer"]):
            return replaced(p, noise, value, value + torch.tensor(case["noise"]))
        return value

    def patched(cell):
        window = s.get("window", 1)
        low = cell["layer"] - window // 2
        layers = range(max(0, low), min(p.model.layers, low + window))

        def edit(component, layer, value):
            value = corrupted(component, layer, value)
            return replaced(p, cell, value, read((component, layer))) if component == cell["component"] and layer in layers else value
        return edit

    ends = {"base": p.logits(p.base, at=at)}
    if source or kind == "other":
        ends["source"] = p.logits(p.source if source else p.base.flip(0), at=at)
    if noise:
        ends["corrupted"] = p.logits(p.base, corrupted, at=at)
    ends = {name: p.metric(metric, logits, at) for name, logits in ends.items()}
    values = torch.stack([p.metric(metric, p.logits(p.base, patched(cell), at), at) for cell in s["cells"]])
    want("values", values)
    if metric["metric"] == "kl":
        ends.pop("source", None)
    for name, value in ends.items():
        want(name, value)
    if noise and not source:
        want("recovered", (values - ends["corrupted"]) / (ends["base"] - ends["corrupted"]))
    elif "source" in ends:
        want("recovered", (values - ends["base"]) / (ends["source"] - ends["base"]))


def paths(p, s, want):
    """Wang et al.'s two runs: one with the sender's source and all between frozen, which receivers are read from; one with these put in."""
    base, source, at = p.clean("base"), p.clean("source"), [i[0] for i in s.get("read_at", [[-1]])]
    order = {"embedding": -1, "head_attention_value_output": 0, "attention_value_output": 0, "attention_output": 0, "mlp_output": 1}
    values = []
    for cell in s["senders"]:
        when, seen = (cell["layer"], order[cell["component"]]), {}

        def between(component, layer, value):
            if component == cell["component"] and layer == cell["layer"]:
                return replaced(p, cell, value, source[component, layer])
            seen[component, layer] = value
            frozen = ["attention_output"] + (["mlp_output"] if not s.get("throughmlps") else [])
            later = component in order and (layer, order[component]) > when
            return base[component, layer] if component in frozen and later else value
        p.model.run(p.base, p.mask, between)

        def received(component, layer, value):
            for r in s["receivers"]:
                if (component, layer) == (r["component"], r["layer"]):
                    value = replaced(p, {"heads": r["heads"]} if "heads" in r else {}, value, seen[component, layer])
            return value
        values.append(p.metric(s["metric"], p.logits(p.base, received, at), at))
    want("values", torch.stack(values))
    want("base", p.metric(s["metric"], p.logits(p.base, at=at), at))
    if s["metric"]["metric"] != "kl":
        want("source", p.metric(s["metric"], p.logits(p.source, at=at), at))


def written(p, which):
    """What every writer adds to the stream in a clean run."""
    kept = {}
    def all_(reader, w):
        kept.update(w)
        return sum(w.values())
    p.model.run_by_edges(getattr(p, which), p.mask, all_)
    return kept


def edges(p, s, want):
    """EAP and EAP-IG: scores [edges, pairs], in the order of readers and, for each, of writers."""
    base, source, metric, steps = written(p, "base"), written(p, "source"), s["measure"], s.get("steps", 1)
    gradients, before = {}, {}
    for k in range(steps):
        leaves = {}

        def sees(reader, w):
            before[reader] = list(w)
            w = dict(w)
            if steps > 1:
                embedding = ("embedding", 0, 0)
                w[embedding] = base[embedding] + (k + 0.5) / steps * (source[embedding] - base[embedding])
            leaves[reader] = torch.zeros_like(base["embedding", 0, 0], requires_grad=True)
            return sum(w.values()) + leaves[reader]
        m = p.metric(metric, p.last(p.model.run_by_edges(p.base, p.mask, sees))).sum()
        for reader, g in zip(leaves, torch.autograd.grad(m, list(leaves.values()))):
            gradients[reader] = gradients.get(reader, 0) + g / steps
    names, scores = [], []
    for reader, writers in before.items():
        for u in writers:
            names.append([list(u), list(reader)])
            scores.append(((source[u] - base[u]) * gradients[reader]).sum((-1, -2)))
    want("edges", torch.tensor([[LIST.index(n[0]), n[1], n[2], LIST.index(m[0]), m[1], m[2]] for n, m in names], dtype=torch.half))
    want("scores", torch.stack(scores))


LIST = ["embedding", "head_attention_value_output", "mlp_output", "head_query_output", "head_key_output", "head_value_output", "mlp_input",
        "final_norm"]


def faithfulness(p, s, want):
    """Every circuit's metric, the model's and that of no edges, and (m(circuit) − m(∅)) / (m(model) − m(∅)) of means."""
    source, at = written(p, "source"), [i[0] for i in s.get("read_at", [[-1]])]
    outside = s.get("outside", "")
    node = lambda n: (n["component"], n["layer"], n.get("head", 0))

    def ablated(u):
        if outside == "zero":
            return torch.zeros_like(source[u])
        if outside == "mean":       # at each position, over the sources that have one there
            return ((source[u] * p.mask[..., None]).sum(0) / p.mask.sum(0).clamp(min=1)[:, None]).expand_as(source[u])
        return source[u]

    def value(inside):
        sees = lambda reader, w: sum(z if inside(u, reader) else ablated(u) for u, z in w.items())
        return p.metric(s["metric"], p.last(p.model.run_by_edges(p.base, p.mask, sees), at), at)

    def inside(circuit):
        if "edges" in circuit:
            chosen = {(node(e["from"]), node(e["to"])) for e in circuit["edges"]}
            return lambda u, v: (u, v) in chosen
        chosen = {node(n) for n in circuit["nodes"]}
        return lambda u, v: u in chosen
    values = torch.stack([value(inside(c)) for c in s["circuits"]])
    model, empty = value(lambda u, v: True), value(lambda u, v: False)
    want("values", values)
    want("model", model)
    want("empty", empty)
    want("faithfulness", (values.mean(-1) - empty.mean()) / (model.mean() - empty.mean()))


def metrics(p, s, want):
    """A metric of the run in which a patch acts at all positions, and of the clean run."""
    site, at = (s["patch"]["component"], s["patch"]["layer"]), [i[0] for i in s["measure"].get("at", [[-1]])]
    edit = lambda component, layer, value: replaced(p, {}, value, p.clean("source")[site]) if (component, layer) == site else value
    want("value", p.metric(s["measure"], p.logits(p.base, edit, at), at))
    want("base", p.metric(s["measure"], p.logits(p.base, at=at), at))


def summaries(p, s, want):
    """Mean, its standard error, and the bootstrap interval by all samples of n values that there are, each as likely."""
    values, level = s["values"], s["level"]
    means = sorted(statistics.fmean(x) for x in itertools.product(values, repeat=len(values)))
    cut = lambda share: means[int(share * len(means))]
    want("mean", torch.tensor(statistics.fmean(values)))
    want("standard_error", torch.tensor(statistics.stdev(values) / len(values) ** 0.5))
    want("interval", torch.tensor([cut((1 - level) / 2), cut((1 + level) / 2)]))


def agreements(p, s, want):
    """How well estimates say what was measured: errors, and Spearman's rank correlation, equal values sharing the mean of their ranks."""
    lists = [torch.tensor(s[which]) for which in ("estimates", "measured")]
    ranks = [(x[:, None] > x).sum(-1) + ((x[:, None] == x).sum(-1) + 1) / 2 for x in lists]
    errors = (lists[0] - lists[1]).abs()
    want("agreement", torch.stack([errors.max(), errors.mean(), torch.corrcoef(torch.stack(ranks))[0, 1]]))


KINDS = dict(attribution=attribution, sweep=sweep, paths=paths, edges=edges, faithfulness=faithfulness, metrics=metrics, summaries=summaries,
             agreements=agreements)


def asked():
    """What is asked of both models: inputs of three pairs, of which one is padded on the left and one on the right, and settings by kind."""
    generator, layers, last, second = torch.Generator().manual_seed(7), range(3), 2, 1
    mask = torch.tensor([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0]])
    draw = lambda: (torch.randint(2, 31, mask.shape, generator=generator) * mask).tolist()
    inputs = dict(base=draw(), source=draw(), mask=mask.tolist())
    metric = lambda kind, **settings: dict(metric=kind, **(dict(settings=settings) if settings else {}))
    difference = metric("logit_difference", right=[[3], [5, 11], [7]], wrong=[[4], [6], [8, 2]])
    logp, kl = metric("log_probability", tokens=[9, 2, 4]), metric("kl")
    every = lambda *components: [dict(layer=l, component=c) for c in components for l in layers]
    outputs = every("block_output", "head_attention_value_output", "mlp_output")
    embedding = dict(layer=0, component="embedding")
    qk = every("head_query_output", "head_key_output", "query_output", "key_output")
    cell = lambda component, layer, at=None, **more: dict(component=component, layer=layer, **(dict(place=dict(at=[at])) if at else {}), **more)
    head = "head_attention_value_output"
    cells = [cell("block_output", 0, [2]), cell("block_output", 1, [4]), cell("block_output", 1, [-1]), cell("block_output", 1),
             cell("mlp_output", 2), cell("mlp_output", 0, [3, 2]), cell(head, 1, heads=[2]), cell(head, 1, [-2], heads=[0, 2]), cell(head, 2),
             cell("attention_output", 0, [-2]), cell("embedding", 0, [3]), cell("head_value_output", 2, heads=[second]),
             cell("residual_middle", 1, [2])]
    noise = torch.randn(6, 24, generator=generator).round(decimals=3).tolist()
    subject = dict(component="embedding", layer=0, place=dict(at=[[2, 3], [2], [1, 2]]))
    corrupt = dict(sourceless=True, corrupt=subject, noise=noise)
    senders = [cell(head, l, heads=[h]) for l, h in ((0, 0), (0, 2), (1, 2))] + [cell(head, 0, [2], heads=[1, 2]), cell("attention_output", 1, [3]),
               cell("attention_value_output", 0), cell("mlp_output", 0), cell("mlp_output", 1, [-1]), cell("mlp_output", 1, [3, 2]),
               cell("embedding", 0), cell("embedding", 0, [2])]
    to = lambda component, layer, *heads: dict(component=component, layer=layer, **(dict(heads=list(heads)) if heads else {}))
    node = lambda component, layer=0, h=0: dict(component=component, layer=layer, head=h)
    nodes = [[node("embedding"), node(head, 0, 1), node(head, 1, 2), node("mlp_output", 1)], [node(head, 0, h) for h in range(3)],
             [node("embedding")] + [node("mlp_output", l) for l in layers]]
    circuit = [[node("embedding"), node("head_query_output", 0, 1)], [node("embedding"), node("head_value_output", 0, second)],
               [node("embedding"), node("mlp_input", 0)], [node(head, 0, 1), node("head_key_output", 2, 0)],
               [node("mlp_output", 0), node("head_query_output", 2, 0)], [node("mlp_output", 0), node("head_value_output", 2, second)],
               [node(head, 2, 0), node("final_norm")], [node(head, 1, 2), node("mlp_input", 2)], [node("mlp_output", 2), node("final_norm")],
               [node("embedding"), node("final_norm")]]
    edged = [dict(edges=[{"from": a, "to": b} for a, b in circuit]), dict(edges=[{"from": a, "to": b} for a, b in circuit[2:7]])]
    level = dict(base=draw(), source=draw(), mask=[[0, 1, 1, 1, 1, 1]] * 3)        # of one length
    two = {k: v[:2] for k, v in level.items()}
    patch = dict(component="block_output", layer=1)
    labels = [9, 2, 4]
    ask = {
        "attribution": {
            "first order": dict(sites=outputs, measure=difference),
            "first order of a log-probability, read elsewhere": dict(sites=outputs, measure=logp | dict(at=[[4], [3], [-2]])),
            "integrated, of KL": dict(sites=outputs + [embedding], measure=kl, steps=4, along=embedding),
            "integrated along a block": dict(sites=outputs, measure=difference, steps=3, along=dict(layer=1, component="block_output")),
            "GradDrop": dict(sites=outputs + every("attention_output"), measure=difference, drop=["attention_output", "mlp_output"]),
            "softmax": dict(sites=qk + every("head_value_output"), measure=difference, softmax=True),
            "without softmax": dict(sites=qk[:6], measure=difference),
            "softmax with GradDrop": dict(sites=qk, measure=logp, softmax=True, drop=["mlp_output"]),
            "softmax, integrated": dict(sites=qk, measure=kl, softmax=True, steps=2, along=embedding),
        },
        "sweep": {
            "patches": dict(sweep=dict(cells=cells, metric=difference)),
            "noising, by KL": dict(sweep=dict(cells=cells[:7], metric=kl), swap=True),
            "elsewhere": dict(sweep=dict(metric=logp, read_at=[[4], [3], [4]],
                                         cells=[cell("block_output", 1, [3]), cell("mlp_output", 1, [4]), cell("block_output", 2, [2])])),
            "from other positions": dict(sweep=dict(metric=difference, cells=[
                dict(component="block_output", layer=l, place=dict(at=[[3]], source=[[4]])) for l in (0, 1)])),
            "zero": dict(sweep=dict(cells=cells, metric=difference, intervention=dict(intervention_type="zero")), sourceless=True),
            "mean of sources": dict(sweep=dict(cells=cells, metric=difference, **{"from": "mean"})),
            "mean of bases": dict(sweep=dict(cells=cells[:8], metric=logp, **{"from": "mean"}), sourceless=True),
            "other": dict(sourceless=True, inputs=two, sweep={"cells": cells[:8], "from": "other", "metric": metric(
                "logit_difference", right=[[3, 5], [9]], wrong=[[4], [6, 8]])}),
            "causal tracing": dict(sweep=dict(cells=[cell(c, l, at) for c in ("mlp_output", "attention_output") for l in layers
                                                     for at in ([3], [-1])], metric=difference, window=2), **corrupt),
            "causal tracing, of three": dict(sweep=dict(cells=[cell("mlp_output", l) for l in layers], metric=logp, window=3), **corrupt),
            "causal tracing of states": dict(sweep=dict(cells=[cell("block_output", l, at) for l in layers for at in ([2], [-1])],
                                                        metric=difference), **corrupt),
        },
        "paths": {
            "queries": dict(senders=senders, receivers=[to("head_query_output", last, 1)], metric=difference),
            "queries through MLPs": dict(senders=senders, receivers=[to("head_query_output", last, 1)], throughmlps=True, metric=difference),
            "keys": dict(senders=senders, receivers=[to("head_key_output", last, second)], metric=difference),
            "values": dict(senders=senders, receivers=[to("head_value_output", last, 0)], metric=logp, read_at=[[4], [5], [3]]),
            "an MLP": dict(senders=senders, receivers=[to("mlp_input", last)], metric=kl),
            "logits": dict(senders=senders, receivers=[to("final_norm", 0)], metric=difference),
            "logits through MLPs": dict(senders=senders, receivers=[to("final_norm", 0)], throughmlps=True, metric=difference, swap=True),
            "several": dict(senders=senders[:4] + senders[6:7], metric=difference, receivers=[
                to("head_query_output", 1, 0), to("head_value_output", 2, 1), to("mlp_input", 1), to("mlp_input", 2), to("final_norm", 0)]),
            "several through MLPs": dict(senders=senders[:4] + senders[6:7], metric=difference, throughmlps=True,
                                         receivers=[to("head_query_output", 1, 0), to("head_value_output", 2, 1), to("mlp_input", 2)]),
            "a stream": dict(senders=senders, receivers=[to("block_input", last)], metric=difference),
            "the middle": dict(senders=senders, receivers=[to("residual_middle", last)], metric=difference),
            "a block's output": dict(senders=senders, receivers=[to("block_output", 1)], metric=difference),
            "what attention reads": dict(senders=senders, receivers=[to("attention_input", last), to("query_output", 1)], metric=difference),
        },
        "edges": {"EAP": dict(measure=difference), "EAP-IG": dict(measure=kl, steps=3)},
        "faithfulness": {
            f"{kind} of {what}": dict(circuits=circuits, outside=outside, metric=metric, **(dict(inputs=level) if kind == "mean" else {}))
            for what, circuits, metric in (("nodes", [dict(nodes=n) for n in nodes], difference), ("edges", edged, logp))
            for kind, outside in (("resample", ""), ("mean", "mean"), ("zero", "zero"))
        },
        "metrics": {
            each["metric"]: dict(patch=patch, measure=each) for each in (
                difference, logp | dict(at=[[4], [3], [-2]]), kl, metric("rank", tokens=labels), metric("top_tokens", k=5),
                metric("cross_entropy", labels=labels), metric("probability", tokens=labels), metric("logit", tokens=labels),
                metric("accuracy", labels=labels), metric("recovered", of=logp, clean=[2, -1, 0.5], corrupted=[-3]))
        },
    }
    ask["summaries"] = {"of four": dict(values=[0.25, 1.5, -0.75, 3.125], level=0.9), "of six": dict(values=[0.1, 0.4, 2, 0, -1, 5], level=0.95)}
    ask["agreements"] = {"with ties": dict(estimates=[0.5, 0.5, -2, 3, 0, 0.5, 7], measured=[1, 0, -2, 2.5, 0, -1, 0])}
    return inputs, ask


if __name__ == "__main__":
    inputs, ask = asked()
    for model in (kind() for kind in MODELS):
        pairs = lambda i: Pairs(model, i["base"], i["source"], i["mask"])
        model.check(pairs(inputs).base, pairs(inputs).mask)
        tensors = {}
        for kind, cases in ask.items():
            for title, settings in cases.items():
                wanted = {kind, f"{kind}/{title}"} & set(MODELS[type(model)])
                if not wanted or model.parallel and "residual_middle" in json.dumps(settings):
                    continue
                p = pairs(settings.get("inputs", inputs))
                KINDS[kind](p.swapped() if settings.get("swap") else p, settings,
                            lambda what, value: tensors.update({f"{kind}/{title}/{what}": value.detach().contiguous()}))
        save_file(tensors, f"{HERE}/{model.name}.safetensors")
    with open(f"{HERE}/cases.json", "w") as f:
        f.write(json.dumps(dict(inputs=inputs, cases=ask), separators=(",", ":")) + "\n")

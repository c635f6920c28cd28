"""Draws random cases in the golden format: what to intervene on, with which inputs, at which locations. What comes out is not said here.

Only what pyvene 0.1.8 does rightly one example at a time is drawn. Left out, because pyvene does otherwise than it says, or fails:

- links between sites: the second takes over the first's result; here linked interventions are at one site and one location
- links in serial mode: a source run's value is replaced with that result when it is read
- a second view of one value, head_query_output beside query_output: pyvene edits them in the order listed, Govene in network order
- units h and h.pos of attention weights: they fail when written; the unit pos, which takes heads there, is used for h
- collect or zero in a group, or in serial mode: pyvene reads a source for them, and fails, or leaves them out
- a constant source of a trainable intervention: silently no intervention
- the recurrent model: steps that are not located become zero
- a whole batch at a time: subspaces, locations and boundless masks of one example reach others
- gradients where an edit in place destroys what backward needs (autoencoders; edits of a ReLU's or a softmax's result): no loss then
"""

import numpy as np

ROTATIONS = ("rotated_space", "low_rank_rotated_space", "boundless_rotated_space", "sigmoid_mask_rotated_space")
PLAIN = ("vanilla", "addition", "subtraction")
OTHERS = ("sigmoid_mask", "pca_rotated_space", "autoencoder", "jumprelu_autoencoder", "skip")
SOURCED = PLAIN + ROTATIONS + OTHERS
SOURCELESS = ("zero", "collect", "noise")
TRAINABLE = ROTATIONS + ("sigmoid_mask", "autoencoder", "jumprelu_autoencoder")
NO_SUBSPACE = ("boundless_rotated_space", "sigmoid_mask_rotated_space", "sigmoid_mask", "noise")


class Question:
    """One case under construction: the dict of case.json and the tensors that it names."""

    def __init__(self, name, model, generator):
        self.name, self.model, self.random = name, model, generator
        self.tensors = {}
        self.interventions, self.locations, self.subspaces = [], [], []
        self.batch = int(generator.integers(2, 5))
        self.serial = bool(generator.random() < 0.2)
        self.padded = model.family == "gpt2" and bool(generator.random() < 0.15)
        # Whole heads and attention weights of one run fit into another only if both are equally long.
        self.length = int(generator.integers(4, 8)) if generator.random() < 0.5 else None

    def draw(self):
        count = int(self.random.integers(2, 4) if self.serial else self.random.integers(1, 5))
        # The run that each intervention reads: its own, or that of its group. pyvene wants groups in ascending order.
        self.reads, self.grouped = list(range(count)), not self.serial and count > 1 and self.chance(0.2)
        if self.grouped:
            self.reads = [int(group) for group in np.cumsum([0] + [self.chance(0.5) for _ in range(count - 1)])]
        self.sources = [self.run(f"sources.{i}") for i in range(self.reads[-1] + 1)]
        self.base = self.run("base")
        while len(self.interventions) < count:
            self.intervention()
            if not self.serial and not self.grouped and 0 < len(self.interventions) < count and self.chance(0.25):
                self.link()
        return self.case()

    def chance(self, p):
        return self.random.random() < p

    def pick(self, options):
        return options[int(self.random.integers(len(options)))]

    def some(self, n, count):
        """count of the numbers below n, in any order."""
        return [int(i) for i in self.random.permutation(n)[:count]]

    def shuffled(self, ids):
        return [int(i) for i in self.random.permutation(ids)]

    def normal(self, *shape):
        return self.random.normal(size=shape).astype(np.float32)

    def run(self, name):
        """The inputs of one run, and how many positions each example has."""
        if self.model.family == "mlp_classifier":
            self.tensors[f"{name}.inputs_embeds"] = self.normal(self.batch, 1, self.model.config["h_dim"])
            return {"inputs": {"inputs_embeds": f"{name}.inputs_embeds"}, "lengths": [1] * self.batch}
        length = self.length or int(self.random.integers(4, 8))
        ids = self.random.integers(self.model.config["vocab_size"], size=(self.batch, length)).astype(np.int32)
        self.tensors[f"{name}.input_ids"] = ids
        run = {"inputs": {"input_ids": f"{name}.input_ids"}, "lengths": [length] * self.batch}
        if self.padded:
            run["lengths"] = [int(n) for n in self.random.integers(3, length + 1, size=self.batch)]
            self.tensors[f"{name}.attention_mask"] = np.array([[i < n for i in range(length)] for n in run["lengths"]], np.int32)
            run["inputs"]["attention_mask"] = f"{name}.attention_mask"
        return run

    def intervention(self):
        """Adds one intervention with parameters, location and subspaces."""
        i = len(self.interventions)
        sourced = self.serial or self.grouped
        kind = self.pick(SOURCED if sourced else SOURCED + SOURCELESS)
        site = self.pick([site for site in self.model.sites if self.allowed(kind, site)])
        unit = self.pick([unit for unit in site.units if unit != "h" or self.length])
        taken = {(other["layer"], self.site(other).view): other["component"] for other in self.interventions}
        layer = int(self.random.integers(self.model.layers))
        if taken.get((layer, site.view), site.component) != site.component:
            return
        there = {"type": kind, "layer": layer, "component": site.component, "unit": unit, "params": {}}
        flat = kind in ROTATIONS and unit == "pos" and self.chance(0.3)
        units = self.units(unit, at_least=2 if flat else 1)
        if flat and len(units[0]) > 1:
            there["flatten_units"] = True
        constant = kind in PLAIN and site.width is not None and not sourced and self.chance(0.25)
        off = kind in SOURCED and not sourced and not constant and kind not in TRAINABLE and i > 0 and self.chance(0.15)
        width = site.width and site.width * (len(units[0]) if "flatten_units" in there else 1)
        features = self.parameters(i, there, width, len(units[0]), constant)
        reads = kind in SOURCED and not constant
        if self.grouped:
            there["group"] = self.reads[i]
        self.interventions.append(there)
        self.locations.append(None if off else {
            "source": self.located(unit, units, self.sources[self.reads[i]]) if reads else None,
            "base": self.located(unit, units, self.sources[i + 1] if self.serial and i + 1 < len(self.sources) else self.base)})
        self.subspaces.append(self.subspace(there, features) if features and self.chance(0.5) else None)
        self.sources[self.reads[i]]["read"] = reads and not off

    def allowed(self, kind, site):
        if self.padded and site.units != ("pos",):
            return False
        if site.width is None:
            return self.length is not None and kind in PLAIN + ("zero", "collect")
        return (kind != "skip" or site.component in self.model.skippable) and (kind != "noise" or site.units == ("pos",))

    def site(self, intervention):
        return next(site for site in self.model.sites if site.component == intervention["component"])

    def units(self, unit, at_least):
        """How many heads and positions are located: (heads, positions), or positions alone, each as a list of that length."""
        shortest = min(min(run["lengths"]) for run in [*self.sources, self.base])
        positions = range(int(self.random.integers(min(at_least, shortest), min(3, shortest) + 1)))
        heads = range(int(self.random.integers(1, self.model.heads + 1))) if unit != "pos" else None
        return {"pos": (positions,), "h": (heads,), "h.pos": (positions, heads)}[unit]

    def located(self, unit, units, run):
        """Units of a run for each example, as many as units says."""
        if unit == "h.pos":
            return [{"heads": self.some(self.model.heads, len(units[1])), "positions": self.some(length, len(units[0]))}
                    for length in run["lengths"]]
        return [self.some(length if unit == "pos" else self.model.heads, len(units[0])) for length in run["lengths"]]

    def parameters(self, i, there, width, units, constant):
        """Draws parameters; returns how many features a subspace may choose from."""
        kind, latents = there["type"], int(self.random.integers(3, 10))

        def add(role, value):
            self.tensors[f"params.{i}.{role}"] = np.asarray(value, np.float32)
            there["params"][role] = f"params.{i}.{role}"

        if constant:
            shapes = [(width,), (units, width), (self.batch, units, width)]
            add("constant", self.normal(*self.pick(shapes if there["unit"] == "pos" else shapes[:1])))
        if kind == "noise":
            add("noise", self.normal(units, width))
            add("noise_level", self.random.uniform(0.1, 1))
        if kind == "low_rank_rotated_space":
            there["rank"] = int(self.random.integers(1, width + 1))
        if kind in ROTATIONS:
            add("rotation", np.linalg.qr(self.random.normal(size=(width, width)))[0][:, :there.get("rank", width)])
        if kind == "boundless_rotated_space":
            add("boundary", [self.random.uniform(0.2, 0.8)])
        if kind.startswith("sigmoid_mask"):
            add("mask", self.normal(width))
        if kind.startswith(("boundless", "sigmoid_mask")):
            add("temperature", self.random.uniform(0.3, 3))
        if kind == "pca_rotated_space":
            latents = int(self.random.integers(1, width + 1))
            add("components", np.linalg.qr(self.random.normal(size=(width, width)))[0][:latents])
            add("mean", self.normal(width))
            add("std", self.random.uniform(0.5, 2, size=width))
        if kind == "autoencoder":
            add("encoder_weight", self.normal(latents, width) / np.sqrt(width))
            add("encoder_bias", self.normal(latents))
            add("decoder_weight", self.normal(width, latents) / np.sqrt(latents))
            add("decoder_bias", self.normal(width))
        if kind == "jumprelu_autoencoder":
            add("W_enc", self.normal(width, latents) / np.sqrt(width))
            add("b_enc", self.normal(latents))
            add("threshold", self.random.uniform(0, 0.5, size=latents))
            add("W_dec", self.normal(latents, width) / np.sqrt(latents))
            add("b_dec", self.normal(width))
        if kind in NO_SUBSPACE or width is None:
            return 0
        if kind in ("pca_rotated_space", "autoencoder", "jumprelu_autoencoder"):
            return latents
        return there.get("rank", width)

    def subspace(self, there, features):
        """Ids for each example, of features or of parts of a partition."""
        count = features
        if self.chance(0.5):
            there["subspace_partition"] = self.partition(features)
            count = len(there["subspace_partition"])
        if there["type"] == "collect":  # as many features from every example
            ids = self.some(count, int(self.random.integers(1, count + 1)))
            return [self.shuffled(ids) for _ in range(self.batch)]
        return [self.some(count, int(self.random.integers(1, count + 1))) for _ in range(self.batch)]

    def partition(self, features):
        """Disjoint parts of some of the features: ranges [start, end), or lists of any length but two, which would be ranges."""
        cuts = sorted({0, *self.some(features, int(self.random.integers(0, min(3, features)))), features})
        if self.chance(0.5):
            return [[start, end] for start, end in zip(cuts, cuts[1:])]
        order = self.some(features, features)
        parts = [order[start:end] for start, end in zip(cuts, cuts[1:])]
        return [part if len(part) != 2 else part[:1] for part in parts]

    def link(self):
        """Repeats the last intervention at the same place, with the same parameters, another source and other subspaces."""
        first, location, rows = self.interventions[-1], self.locations[-1], self.subspaces[-1]
        if location is None or location["source"] is None:
            return
        first.setdefault("link", sum("link" in other for other in self.interventions[:-1]))
        i = len(self.interventions)
        self.interventions.append(dict(first))
        one = location["source"][0]
        units = (one["positions"], one["heads"]) if isinstance(one, dict) else (one,)
        self.locations.append({"source": self.located(first["unit"], units, self.sources[i]), "base": location["base"]})
        parts = first.get("subspace_partition")
        if first["type"] == "autoencoder":  # pyvene's keeps the latents to exchange in the shared object
            self.subspaces.append(rows)
        else:
            self.subspaces.append(rows and [self.some(len(parts), len(row)) if parts else self.shuffled(row) for row in rows])
        self.sources[i]["read"] = True

    def case(self):
        """The content of case.json, without expectations."""
        sources = [run["inputs"] if run["read"] else None for run in self.sources]
        used = {name for inputs in [*sources, self.base["inputs"]] if inputs for name in inputs.values()}
        used.update(name for intervention in self.interventions for name in intervention["params"].values())
        self.tensors = {name: value for name, value in self.tensors.items() if name in used}
        model = {"family": self.model.family, "config": self.model.config}
        if self.model.family == "gpt2":
            model["checkpoint"] = f"../checkpoints/{self.model.name}"
        trains = any(intervention["type"] in TRAINABLE for intervention in self.interventions)
        return {
            "name": self.name, "description": ", ".join(intervention["type"] for intervention in self.interventions),
            "model": model, "mode": "serial" if self.serial else "parallel", "interventions": self.interventions,
            "inputs": {"base": self.base["inputs"], "sources": sources}, "locations": self.locations, "subspaces": self.subspaces,
            "loss": "sum of output" if trains and not self.padded else None,
        }

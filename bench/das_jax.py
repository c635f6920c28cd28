"""Twin of bench/das in JAX, by hand: one jitted function takes the step, retraction included, on data that lie on the device, and on new data
from the host."""

import json
import os
import statistics
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=" + str(os.environ.get("OMP_NUM_THREADS", "1") != "1").lower()

import jax
import jax.numpy as jnp
import numpy as np

WIDTH, BATCH, HALF = 16, 1280, 8


def network(random):
    def linear(out):
        return (
            jnp.asarray(random.uniform(-0.25, 0.25, (out, WIDTH)), jnp.float32),
            jnp.asarray(random.uniform(-0.25, 0.25, out), jnp.float32),
        )

    return [linear(WIDTH) for _ in range(3)] + [linear(2)]


def main(count=1000):
    random = np.random.default_rng(0)
    (first, *blocks, score) = network(random)

    def block(x, layer):
        return jax.nn.relu(x @ layer[0].T + layer[1])

    def loss(r, base, source, other, labels):
        b, s, t = (block(x, first) for x in (base, source, other))
        chosen = jnp.arange(WIDTH) < HALF
        x = jnp.where(chosen, s @ r, b @ r) @ r.T
        x = jnp.where(chosen, x @ r, t @ r) @ r.T
        for layer in blocks:
            x = block(x, layer)
        logs = jax.nn.log_softmax(x @ score[0].T + score[1])
        return -jnp.mean(jnp.take_along_axis(logs, labels[:, None], 1))

    def tangent(r, g):
        product = r.T @ g
        return g - r @ ((product + product.T) / 2)

    def retract(x):
        gram = x.T @ x
        largest = jnp.max(jnp.sum(jnp.abs(gram), 1))

        def go_on(state):
            i, _, gram = state
            return (jnp.sum((gram - jnp.eye(WIDTH)) ** 2) > 2.5e-7) & (i < 40)

        def once(state):
            i, x, gram = state
            x = 1.5 * x - 0.5 * x @ gram
            return i + 1, x, x.T @ x

        _, x, gram = jax.lax.while_loop(go_on, once, (0, x / jnp.sqrt(largest), gram / largest))
        return 1.5 * x - 0.5 * x @ gram

    @jax.jit
    def step(r, mean, square, number, *data):
        value, g = jax.value_and_grad(loss)(r, *data)
        g = tangent(r, g)
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        update = (mean / (1 - 0.9**number)) / (jnp.sqrt(square / (1 - 0.999**number)) + 1e-8)
        return retract(r - 1e-3 * tangent(r, update)), mean, square, number + 1, value

    def normal():
        return random.normal(size=(BATCH, WIDTH)).astype("float32")

    new = [(normal(), normal(), normal(), random.integers(0, 2, BATCH).astype("int32")) for _ in range(20)]
    device = [tuple(map(jnp.asarray, batch)) for batch in new]
    zeros = jnp.zeros((WIDTH, WIDTH))
    state = (jnp.asarray(np.linalg.qr(random.normal(size=(WIDTH, WIDTH)))[0], jnp.float32), zeros, zeros, jnp.float32(1))
    for name, batches in (("step on a new call", new), ("step on a prepared call", device)):
        times = []
        for i in range(count + 20):
            start = time.perf_counter()
            *state, value = step(*state, *batches[i % 20])
            float(value)
            times.append(time.perf_counter() - start)
        times = times[20:]
        line = {"library": "jax " + jax.__version__, "backend": "JAX, by hand", "name": name}
        print(json.dumps({**line, "median_s": statistics.median(times), "min_s": min(times)}))


main()

"""Levenberg-Marquardt on a neural differential equation, and the Hessian of the fit.

    python examples/uncertainty.py

Residuals and second derivatives through the solve, with the default options: how well the data
determine the rates of a reaction.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix

import sciml_lux as lux
from sciml_lux import nn, ode, training

NOISE = 1e-3
TRUTH = np.asarray([[-0.8, 0.3], [0.8, -0.3]])
TIMES = np.linspace(0.0, 4.0, 17)


def residuals(model, ps, st, data):
    """What Levenberg-Marquardt squares and adds, and the Hessian is of."""
    start, observed = data
    return (model(start, ps, st)[0] - observed) / NOISE


def main(arguments: list[str] | None = None) -> np.ndarray:
    parser = argparse.ArgumentParser(description="A fit and its uncertainty")
    parser.add_argument("--steps", type=int, default=50)
    options = parser.parse_args(arguments)

    start = np.asarray([1.0, 0.2])
    node = ode.NeuralODE(
        nn.Dense(2, 2, use_bias=False), (0.0, 4.0), saveat=TIMES, rtol=1e-8, atol=1e-8
    )
    ps, st = lux.setup(jax.random.key(0), node, dtype=jnp.float64)
    exact, _ = node(start, lux.Record(weight=jnp.asarray(TRUTH)), st)
    data = (start, exact + NOISE * np.random.default_rng(0).normal(size=exact.shape))

    method = optimistix.LevenbergMarquardt(rtol=1e-10, atol=1e-10)
    tstate = training.TrainState(node, ps, st, optax.identity())
    result = training.minimise(
        tstate, training.LeastSquares(residuals), data, method, steps=options.steps
    )
    best = lux.ComponentArray(result.tstate.parameters)

    def half_squares(flat):
        return jnp.sum(residuals(node, flat, st, data) ** 2) / 2

    hessian = jax.jit(jax.hessian(half_squares))(best)
    errors = np.sqrt(np.diag(np.linalg.inv(np.asarray(hessian.vector))))
    for value, error, true in zip(best.vector, errors, TRUTH.ravel(), strict=True):
        print(f"{value:+.4f} ± {error:.4f}   ({true})")
    return (np.asarray(best.vector) - TRUTH.ravel()) / errors


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()

"""Many short recordings at times of their own: mini-batches, a mask, and a horizon that grows.

    python examples/trajectories.py

A network learns the field of a damped oscillator from trajectories that were each observed at other
times, some of which are missing. It is trained on their beginnings first, then on all of them,
without a new compilation.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax

import sciml_lux as lux
from sciml_lux import losses, nn, ode, training

MATRIX = np.asarray([[-0.3, 2.0], [-2.0, -0.3]])


def recordings(count: int, length: int) -> tuple[ode.Problem, np.ndarray]:
    """Initial states, times and masks of each trajectory, and states (count, length, 2)."""
    generator = np.random.default_rng(0)
    u0 = generator.uniform(-1.0, 1.0, (count, 2))
    ts = np.sort(generator.uniform(0.0, 2.0, (count, length)), axis=1)
    seen = generator.uniform(size=ts.shape) < 0.8
    rates, vectors = np.linalg.eig(MATRIX)
    coordinates = np.linalg.solve(vectors, u0.T).T[:, None] * np.exp(rates * ts[..., None])
    states = np.where(seen[..., None], (coordinates @ vectors.T).real, np.nan)
    return ode.Problem(u0, ts=ts, mask=seen), states


def up_to(horizon: float, problem: ode.Problem, states: np.ndarray) -> tuple:
    """The data with all later times masked, as `MSELoss` takes them: input, target and mask."""
    mask = problem.mask & (problem.ts <= horizon)
    shorter = ode.Problem(problem.u0, ts=problem.ts, mask=mask)
    return shorter, states, np.broadcast_to(mask[..., None], states.shape)


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description="Trajectories at times of their own")
    parser.add_argument("--epochs", type=int, default=60, help="of each of three horizons")
    parser.add_argument("--trajectories", type=int, default=64)
    options = parser.parse_args(arguments)

    node = ode.NeuralODE(nn.Dense(2, 2, use_bias=False), (0.0, 2.0), rtol=1e-6, atol=1e-6)
    ps, st = lux.setup(jax.random.key(0), node, dtype=jnp.float64)
    tstate = training.TrainState(node, ps, st, optax.adam(3e-2))
    problem, states = recordings(options.trajectories, 12)
    for horizon in (0.5, 1.0, 2.0):
        batches = training.Batches(up_to(horizon, problem, states), 16, key=1)
        result = training.fit(tstate, losses.MSELoss(), batches, epochs=options.epochs)
        tstate = result.tstate
        print(f"up to t = {horizon}: loss {result.losses[-1]:.1e}")
    error = float(jnp.abs(tstate.parameters.weight - MATRIX).max())
    print(f"largest error of the field: {error:.1e}")
    return error


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()

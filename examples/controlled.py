"""A controlled universal differential equation, trained on a batch of signals.

    python examples/controlled.py

The velocity of a vehicle under throttle signals: the mass is unknown, and so is the drag, which a
network learns.
"""

import argparse

import jax
import jax.numpy as jnp
import numpy as np
import optax

import sciml_lux as lux
from sciml_lux import losses, nn, ode, training

TIMES = np.linspace(0.0, 3.0, 31)


def known(t, v, physics, terms, inputs):
    return (inputs.throttle(t) - terms.drag(v)) / physics.mass


def truth(t, v, args, inputs):
    return (inputs.throttle(t) - 0.5 * v * jnp.abs(v)) / 1.6


def signals(count: int) -> ode.Interpolated:
    """Throttle of each drive, (count, 31) times and (count, 31, 1) values."""
    generator = np.random.default_rng(0)
    pedal = np.repeat(generator.uniform(0.0, 3.0, (count, 6, 1)), 6, axis=1)[:, : len(TIMES)]
    return ode.Interpolated(np.broadcast_to(TIMES, (count, len(TIMES))).copy(), pedal)


def main(arguments: list[str] | None = None) -> float:
    parser = argparse.ArgumentParser(description="A controlled universal differential equation")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--drives", type=int, default=16)
    options = parser.parse_args(arguments)

    start = np.zeros((options.drives, 1))
    problem = ode.Problem(start, inputs={"throttle": signals(options.drives)})
    saved = ode.Problem(start, ts=TIMES, inputs=problem.inputs)
    velocities = np.asarray(ode.solve(truth, saved).ys)

    drag = nn.Chain(nn.Dense(1, 8, nn.tanh), nn.Dense(8, 1))
    model = ode.UDE(
        known, {"drag": drag}, (0.0, 3.0), {"mass": ode.Bounded(1.0, 0.5, 5.0)}, saveat=TIMES
    )
    ps, st = lux.setup(jax.random.key(0), model, dtype=jnp.float64)
    tstate = training.TrainState(model, ps, st, optax.adam(2e-2))
    result = training.fit(tstate, losses.MSELoss(), (problem, velocities), steps=options.steps)
    mass = model.physical_parameters(result.tstate.parameters).mass
    print(f"loss {result.losses[0]:.1e} -> {result.losses[-1]:.1e}, mass {mass:.2f} (1.6)")
    return float(mass)


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()

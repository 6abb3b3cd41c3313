"""Hare and lynx: a universal ODE on the pelts of the Hudson Bay Company, 1900-1920.

Growth of the hares and decay of the lynxes are known in form; their interaction is learned by a
small network, which starts at the bilinear interaction of Lotka and Volterra. Trained in float64 on
1900-1915; 1916-1920 is forecast and compared with two baselines fitted on the same years.

    python examples/lynx_hare.py [--resume] [--steps N] [--output FOLDER]
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from scipy.integrate import solve_ivp
from scipy.optimize import least_squares

import sciml_lux as lux
from sciml_lux import initializers, nn, ode, training

DATA = Path(__file__).parent / "data" / "hudson_bay_lynx_hare.csv"
SPECIES = ("hare", "lynx")
TRAINING_YEARS = 16  # 1900-1915
STEPS = 3000

# Chosen on rolling forecasts within 1900-1915 and before any look at 1916-1920.
CORRECTION_PENALTY = 0.1
WEIGHT_PENALTY = 1e-5


def load() -> tuple[np.ndarray, np.ndarray]:
    """Years since 1900, (21,), and pelts of hare and lynx in thousands, (21, 2)."""
    table = np.loadtxt(DATA, delimiter=",", comments="#", skiprows=3)
    return table[:, 0] - 1900.0, table[:, 1:]


class Interaction(lux.Layer):
    """The effect of the species on each other, per head and year, for u = (hare, lynx) / scale.

    Hares change by -predation * lynx + n_1(u) and lynxes by conversion * hare + n_2(u). With the
    correction n = 0 this is Lotka and Volterra's interaction.
    """

    correction: nn.Chain
    predation: float
    conversion: float

    def initial_parameters(self, key, dtype):
        rates = jnp.log(jnp.asarray([self.predation, self.conversion], dtype))
        return lux.Record(
            log_rates=rates, correction=self.correction.initial_parameters(key, dtype)
        )

    def __call__(self, u, ps, st):
        n, _ = self.correct(u, ps, st)
        predation, conversion = jnp.exp(ps.log_rates)
        bilinear = jnp.stack([-predation * u[..., 1], conversion * u[..., 0]], axis=-1)
        return bilinear + n, st

    def correct(self, u, ps, st):
        """n(u): inputs are centred so that tanh sees about (-1, 2)."""
        return self.correction((u - 0.4) / 0.3, ps.correction, st.correction)


def known(t, z, physics, terms):
    """d(log u)/dt: known growth and decay, learned interaction. Logarithms keep u positive."""
    return jnp.stack([physics.growth, -physics.decay]) + terms.interaction(jnp.exp(z))


def build_model(years: np.ndarray, pelts: np.ndarray) -> ode.UDE:
    """The universal ODE, started from rates that match the logarithmic slopes of the data."""
    u = pelts / pelts.max(axis=0)
    slopes = np.gradient(np.log(u), years, axis=0)[1:-1]
    hare, lynx = u[1:-1].T
    one = np.ones_like(hare)
    growth, predation = np.linalg.lstsq(np.stack([one, -lynx], 1), slopes[:, 0])[0]
    decay, conversion = np.linalg.lstsq(np.stack([-one, hare], 1), slopes[:, 1])[0]
    zero = initializers.zeros
    correction = nn.Chain(
        nn.Dense(2, 8, nn.tanh, init_weight=initializers.kaiming_uniform(gain=1.0), init_bias=zero),
        nn.Dense(8, 8, nn.tanh, init_weight=initializers.kaiming_uniform(gain=1.0), init_bias=zero),
        nn.Dense(8, 2, use_bias=False, init_weight=initializers.kaiming_uniform(gain=0.3)),
    )
    return ode.UDE(
        known,
        {"interaction": Interaction(correction, float(predation), float(conversion))},
        (years[0], years[-1]),
        physics={
            "growth": ode.Positive(float(growth)),
            "decay": ode.Positive(float(decay)),
            # The initial state is learned too: the first count is as noisy as the others.
            "hare_1900": ode.Positive(float(u[0, 0])),
            "lynx_1900": ode.Positive(float(u[0, 1])),
        },
        saveat=years,
        dt0=0.1,
        max_steps=1024,
    )


def predict(model: ode.UDE, ps, st, scale):
    """Pelts in thousands at the model's times, (n, 2)."""
    start = jnp.stack([ps.physics.hare_1900, ps.physics.lynx_1900])
    z, st = model(start, ps, st)
    return jnp.exp(z) * scale, st


def objective(model, ps, st, data):
    """Squared error in one unit for both species, with penalties on correction and weights."""
    pelts, scale, grid = data
    predicted, st = predict(model, ps, st, scale)
    error = jnp.mean(((predicted - pelts) / scale[0]) ** 2)
    ((name, interaction),) = model.terms
    term = getattr(ps.terms, name)
    n, _ = interaction.correct(grid, term, getattr(st.terms, name))
    weights = sum(jnp.sum(layer.weight**2) for layer in term.correction.values())
    loss = error + CORRECTION_PENALTY * jnp.mean(n**2) + WEIGHT_PENALTY * weights
    return loss, st, {"error": error}


def learning_rate(step):
    """From 2e-2 to 1e-3 along a half cosine, in float64."""
    part = jnp.minimum(step, STEPS).astype(jnp.float64) / STEPS
    return 1e-3 + (2e-2 - 1e-3) * 0.5 * (1.0 + jnp.cos(jnp.pi * part))


def lotka_volterra(parameters: np.ndarray, years: np.ndarray) -> np.ndarray:
    """Pelts (n, 2) of hare' = a h - b h l, lynx' = -c l + d h l; parameters are logarithms."""
    a, b, c, d = np.exp(parameters[:4])

    def slope(t, z):
        return [a - b * np.exp(z[1]), -c + d * np.exp(z[0])]

    solution = solve_ivp(
        slope, (years[0], years[-1]), parameters[4:], "LSODA", years, rtol=1e-8, atol=1e-8
    )
    return np.exp(solution.y.T)


def fit_lotka_volterra(years: np.ndarray, pelts: np.ndarray, starts: int = 8) -> np.ndarray:
    """Least squares for four rates and the initial state, the best of several starting points."""
    first = np.log([0.5, 0.025, 0.9, 0.027, 30.0, 4.0])

    def residuals(parameters):
        predicted = lotka_volterra(parameters, years)
        if predicted.shape != pelts.shape:
            return np.full(pelts.size, 1e3)
        return (predicted - pelts).ravel()

    def solve(seed):
        noise = 0.3 * np.random.default_rng(seed).normal(size=6) * (seed > 0)
        return least_squares(residuals, first + noise, x_scale=0.1, max_nfev=300)

    return min(map(solve, range(starts)), key=lambda fit: fit.cost).x


def errors(predicted: np.ndarray, pelts: np.ndarray) -> dict[str, float]:
    """Root mean square errors in thousand pelts: both species together, and each."""
    squares = np.asarray((predicted - pelts) ** 2)
    each = dict(zip(SPECIES, np.sqrt(squares.mean(axis=0)).tolist(), strict=True))
    return {"both": float(np.sqrt(squares.mean()))} | each


def score(predicted: np.ndarray, pelts: np.ndarray) -> dict[str, dict[str, float]]:
    """Errors in training and hold-out years; predictions cover the last rows of `pelts`."""
    split = TRAINING_YEARS - len(pelts) + len(predicted)
    return {
        "train": errors(predicted[:split], pelts[-len(predicted) : TRAINING_YEARS]),
        "hold_out": errors(predicted[split:], pelts[TRAINING_YEARS:]),
    }


def persistence(pelts: np.ndarray) -> np.ndarray:
    """Last year's pelts; for the forecast, those of the last training year. From 1901 on."""
    forecast = np.repeat(pelts[TRAINING_YEARS - 1 : TRAINING_YEARS], len(pelts) - TRAINING_YEARS, 0)
    return np.concatenate([pelts[: TRAINING_YEARS - 1], forecast])


def report(scores: dict[str, dict[str, dict[str, float]]]) -> str:
    """The table of errors, and the best model in each period."""
    head = f"{'RMSE, thousand pelts':24s}" + "".join(
        f"{years + ' ' + what:>16s}"
        for years in ("train", "hold-out")
        for what in ("both", *SPECIES)
    )
    lines = [head]
    for name, score in scores.items():
        cells = [*score["train"].values(), *score["hold_out"].values()]
        lines.append(f"{name:24s}" + "".join(f"{cell:16.2f}" for cell in cells))
    for years, label in (("train", "Training years"), ("hold_out", "Forecast 1916-1920")):
        winner = min(scores, key=lambda name: scores[name][years]["both"])
        verdict = (
            "the universal ODE wins"
            if winner == "universal ODE"
            else (f"the baseline wins: {winner}")
        )
        lines.append(f"{label}: {verdict}.")
    return "\n".join(lines)


def draw(folder: Path, years, pelts, times, curves, interaction) -> None:
    """Three pictures: fit and forecast, phase portrait, learned interaction."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("matplotlib is not installed: no pictures (pip install sciml_lux[plots])")
        return
    colors = ("tab:brown", "tab:blue")
    universal, classical = curves
    split = 1900 + years[TRAINING_YEARS - 1] + 0.5

    figure, axes = plt.subplots(2, 1, sharex=True, figsize=(8, 5), layout="constrained")
    for i, (axis, name) in enumerate(zip(axes, SPECIES, strict=True)):
        axis.axvspan(split, 1920.5, color="0.93")
        axis.plot(1900 + times, universal[:, i], color=colors[i], label="universal ODE")
        axis.plot(1900 + times, classical[:, i], "--", color="0.5", label="Lotka-Volterra")
        axis.plot(1900 + years, pelts[:, i], "o", color="k", ms=4, label="pelts")
        axis.set_ylabel(f"{name}, thousand pelts")
    axes[0].set_ylim(0, 98)
    axes[0].legend(loc="upper right", ncols=3)
    axes[0].set_title("Trained on 1900-1915; the grey years are forecast")
    figure.savefig(folder / "forecast.png", dpi=130)

    figure, axis = plt.subplots(figsize=(5, 5), layout="constrained")
    axis.plot(*universal.T, color="tab:purple", label="universal ODE")
    axis.plot(*classical.T, "--", color="0.5", label="Lotka-Volterra")
    axis.plot(*pelts[:TRAINING_YEARS].T, "o", color="k", ms=4, label="pelts, training")
    axis.plot(*pelts[TRAINING_YEARS:].T, "o", mfc="w", color="k", ms=5, label="pelts, hold-out")
    axis.set_xlabel("hare, thousand pelts")
    axis.set_ylabel("lynx, thousand pelts")
    axis.legend()
    figure.savefig(folder / "phase_portrait.png", dpi=130)

    figure, axes = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    signs = (("hare", "-β h l"), ("lynx", "δ h l"))
    for i, (axis, (name, formula)) in enumerate(zip(axes, signs, strict=True)):
        bilinear, learned = interaction
        axis.plot(bilinear[:, i], learned[:, i], ".", color=colors[i], ms=4)
        axis.axline((0.0, 0.0), slope=1.0, color="0.5", lw=1)
        axis.set_xlabel(f"{formula} of the fitted Lotka-Volterra, thousand per year")
        axis.set_ylabel(f"learned interaction of the {name}, thousand per year")
    figure.savefig(folder / "interaction.png", dpi=130)
    plt.close("all")


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description="Hare-lynx universal ODE")
    parser.add_argument("--resume", action="store_true", help="resume from the checkpoint")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--output", type=Path, default=Path("runs/lynx_hare"))
    options = parser.parse_args(arguments)
    began = time.monotonic()

    years, pelts = load()
    train = slice(0, TRAINING_YEARS)
    model = build_model(years[train], pelts[train])
    ps, st = lux.setup(jax.random.key(0), model, dtype=jnp.float64)
    print(model)

    scale = jnp.asarray(pelts[train].max(axis=0))
    side = np.linspace(0.0, 1.2, 13)
    grid = jnp.asarray(np.stack(np.meshgrid(side, side), -1).reshape(-1, 2))
    tstate = training.TrainState(model, ps, st, optax.adam(learning_rate))
    checkpoint = options.output / "checkpoint.ckpt"
    if not options.resume:
        checkpoint.unlink(missing_ok=True)
    try:
        result = training.fit(
            tstate,
            objective,
            (jnp.asarray(pelts[train]), scale, grid),
            steps=options.steps,
            checkpoint=checkpoint,
            resume=options.resume,
        )
    except KeyboardInterrupt:
        sys.exit(f"interrupted; {checkpoint} is complete. Resume with: make demo RESUME=1")
    ps, st = result.tstate.parameters, result.tstate.states

    times = np.union1d(years, np.linspace(0.0, 20.0, 401))
    both = dataclasses.replace(model, tspan=(0.0, 20.0), saveat=times)
    universal = np.asarray(predict(both, ps, st, scale)[0])
    yearly = np.searchsorted(times, years)
    rates = fit_lotka_volterra(years[train], pelts[train])
    classical = lotka_volterra(rates, times)
    scores = {
        "universal ODE": score(universal[yearly], pelts),
        "Lotka-Volterra": score(classical[yearly], pelts),
        "persistence": score(persistence(pelts), pelts),
    }

    u = universal / np.asarray(scale)
    learned = np.asarray(both.term("interaction", jnp.asarray(u), ps, st)) * universal
    _, b, _, d = np.exp(rates[:4])
    bilinear = np.stack([-b, d]) * np.prod(universal, axis=1, keepdims=True)
    draw(options.output, years, pelts, times, (universal, classical), (bilinear, learned))

    metrics = {
        "rmse_thousand_pelts": scores,
        "loss": float(result.losses[-1]),
        "steps": len(result.losses),
        "physics": {k: float(v) for k, v in model.physical_parameters(ps).items()},
        "lotka_volterra": dict(zip("abcd", np.exp(rates[:4]).tolist(), strict=True)),
    }
    (options.output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    print(report(scores))
    print(f"Written to {options.output}; {time.monotonic() - began:.0f} s.")
    return metrics


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main()

"""Differential equations as layers."""

from sciml_lux import nn, ode

from ._entry import LayerEntry


def _logistic(t, u, physics, terms):
    return physics.growth * u - terms.loss(u)


_MLP = nn.Chain(nn.Dense(2, 4, nn.tanh), nn.Dense(4, 2))

# A solve is dear to compile: one solver, few steps, and only what float16 can hold.
SOLVES = [
    LayerEntry(
        ode.NeuralODE(_MLP, (0.0, 1.0), saveat=(0.0, 0.5, 1.0)),
        (2,),
        (3, 2),
        22,
        batched=False,
        gradient_error=1e-5,
        dtypes=("float32", "float64"),
    ),
    LayerEntry(
        ode.UDE(
            _logistic,
            {"loss": nn.Dense(2, 2)},
            (0.0, 1.0),
            {"growth": ode.Positive(0.5)},
        ),
        (2,),
        (2,),
        7,
        batched=False,
        gradient_error=1e-5,
        dtypes=("float32", "float64"),
    ),
]

"""Losses."""

import dataclasses
import operator
from typing import Any

import jax
import jax.numpy as jnp

from sciml_lux import losses

from ._entry import example_input


@dataclasses.dataclass(frozen=True)
class LossEntry:
    """A loss, and the interval in which its predictions and targets lie; `widens` as for layers."""

    loss: losses.LossFunction
    interval: tuple[float, float] = (-2.0, 2.0)
    widens: bool = True

    @property
    def name(self) -> str:
        """The test's identifier."""
        return repr(self.loss)

    def inputs(self, dtype: Any) -> Any:
        """Predictions and targets, (4, 3)."""
        low, high = self.interval
        inputs = example_input(((4, 3), (4, 3)), jnp.float32)
        return jax.tree.map(lambda a: (low + (high - low) * (a + 2.0) / 4.0).astype(dtype), inputs)


_UNIT = (0.1, 0.9)

LOSSES = [
    LossEntry(losses.MSELoss()),
    LossEntry(losses.MSELoss(agg=losses.total)),
    LossEntry(losses.MSELoss(agg=None)),
    LossEntry(losses.MAELoss()),
    LossEntry(losses.HuberLoss()),
    LossEntry(losses.HuberLoss(delta=0.3)),
    LossEntry(losses.MSLELoss(), (0.5, 2.0)),
    LossEntry(losses.PoissonLoss(), (0.5, 2.0)),
    LossEntry(losses.BinaryCrossEntropyLoss(), _UNIT),
    LossEntry(losses.BinaryCrossEntropyLoss(label_smoothing=0.1), _UNIT),
    LossEntry(losses.BinaryCrossEntropyLoss(logits=True)),
    LossEntry(losses.BinaryCrossEntropyLoss(class_weights=(0.5, 2.0)), _UNIT),
    LossEntry(losses.BinaryFocalLoss(), _UNIT),
    LossEntry(losses.BinaryFocalLoss(class_weights=(0.5, 2.0)), _UNIT),
    LossEntry(losses.BinaryFocalLoss(gamma=1.5), _UNIT),
    LossEntry(losses.CrossEntropyLoss(), _UNIT),
    LossEntry(losses.CrossEntropyLoss(label_smoothing=0.1, logits=True)),
    LossEntry(losses.CrossEntropyLoss(axis=0), _UNIT),
    LossEntry(losses.CrossEntropyLoss(class_weights=(0.5, 1.0, 2.0)), _UNIT),
    LossEntry(losses.FocalLoss(), _UNIT),
    LossEntry(losses.FocalLoss(class_weights=(0.5, 1.0, 2.0)), _UNIT),
    LossEntry(losses.KLDivergenceLoss(), _UNIT),
    LossEntry(losses.DiceCoeffLoss()),
    LossEntry(losses.HingeLoss()),
    LossEntry(losses.SquaredHingeLoss()),
    LossEntry(losses.SiameseContrastiveLoss()),
    LossEntry(losses.GenericLossFunction(operator.mul)),
]

"""Layers made of layers: compact, frozen, tied, watched."""

import jax
import jax.numpy as jnp

from sciml_lux import nn, ops, precision

from ._entry import LayerEntry, OpEntry


def _drawn(key, dtype):
    return jax.random.uniform(key, (2,), dtype, 0.5, 1.5)


def _twice(x):
    return jnp.concatenate([x, x], -1)


@nn.compact(
    first=nn.Dense(3, 2, nn.tanh),
    blocks=[nn.Dense(2, 2), nn.Dense(2, 2)],
    scale=nn.init_fn(_drawn),
    calls=0,
    widen=_twice,
)
def _compact(m, x):
    m.calls += 1
    x = m.first(x)
    for block in m.blocks:
        x = block(x)
    return m.widen(precision.broadcasting(jnp.multiply, x, m.scale))


def _mixed(m, x, ps):
    for scale in (*m.scales, ps.other):
        x = precision.broadcasting(jnp.multiply, x, scale)
    return x


COMPACT = [
    LayerEntry(_compact, (4, 3), (4, 4), 22, 1, typed=False),
    LayerEntry(
        nn.compact(
            _mixed,
            scales=(nn.init_fn(_drawn), nn.init_fn(_drawn)),
            other=nn.init_fn(_drawn),
            name="Mixed",
        ),
        (4, 2),
        (4, 2),
        6,
        typed=False,
    ),
]

LAYERS: list[LayerEntry] = [*COMPACT]

OPS: list[OpEntry] = []

_CODER = nn.Chain(nn.Dense(3, 2, nn.tanh), nn.Dense(2, 3))
_TWO = nn.Chain(nn.Dense(2, 2, nn.tanh), nn.Dense(2, 2))

LAYERS += [
    LayerEntry(nn.FrozenLayer(nn.Dense(3, 2), ("weight",)), (4, 3), (4, 2), 2, 6),
    LayerEntry(nn.freeze(_TWO, which="layer_1"), (4, 2), (4, 2), 6, 6),
    LayerEntry(nn.tie(_TWO, [("layer_1", "layer_2")]), (4, 2), (4, 2), 6),
    LayerEntry(nn.tie(_CODER, [("layer_1.weight", "layer_2.weight.T")]), (4, 3), (4, 3), 11),
    LayerEntry(nn.DebugLayer(nn.Dense(3, 2, nn.tanh)), (4, 3), (4, 2), 8),
]

ANY_SHAPE = {"CompactLuxLayer", "FrozenLayer", "TiedLayer", "DebugLayer"}


def _no_cause(x):
    return ops.raise_if(x, 0, ())


def _watched(x):
    return ops.watch_cotangent(x, "not finite")


OPS += [OpEntry(ops.raise_if, call=_no_cause), OpEntry(ops.watch_cotangent, call=_watched)]

"""Dense and the containers."""

import operator

from sciml_lux import nn
from sciml_lux.precision.internal import x64_enabled

from ._entry import LayerEntry

_MLP = nn.Chain(nn.Dense(2, 4, nn.tanh), nn.Dense(4, 2))

LAYERS = [
    LayerEntry(nn.Dense(3, 2), (4, 3), (4, 2), 8, bad=(4, 2)),
    LayerEntry(nn.Dense(3, 2, nn.tanh, use_bias=False), (4, 3), (4, 2), 6),
    LayerEntry(nn.Dense(3, 2, nn.gelu), (4, 5, 3), (4, 5, 2), 8, widens=True),
    LayerEntry(_MLP, (4, 2), (4, 2), 22),
    LayerEntry(nn.Chain(first=nn.Dense(2, 3), then=nn.relu), (4, 2), (4, 3), 9),
    LayerEntry(nn.Chain(), (4, 2), (4, 2), 0),
    LayerEntry(nn.NoOpLayer(), (4, 2), (4, 2), 0),
    LayerEntry(nn.WrappedFunction(nn.softplus), (4, 2), (4, 2), 0),
    LayerEntry(nn.SkipConnection(nn.Dense(2, 2, nn.tanh), operator.add), (4, 2), (4, 2), 6),
    LayerEntry(
        nn.SkipConnection(
            nn.Dense(2, 2), nn.Parallel(operator.sub, nn.Dense(2, 3), nn.Dense(2, 3))
        ),
        (4, 2),
        (4, 3),
        24,
    ),
    LayerEntry(
        nn.Parallel(None, nn.Dense(2, 3), nn.NoOpLayer()),
        (4, 2),
        ((4, 3), (4, 2)),
        9,
        bad=((4, 2), (4, 2), (4, 2)),
    ),
    LayerEntry(
        nn.Parallel(operator.mul, a=nn.Dense(2, 3), b=nn.Dense(4, 3)), ((5, 2), (5, 4)), (5, 3), 24
    ),
    LayerEntry(
        nn.Parallel(
            nn.Parallel(operator.add, nn.Dense(3, 1), nn.Dense(3, 1)),
            nn.Dense(2, 3),
            nn.Dense(2, 3),
        ),
        (4, 2),
        (4, 1),
        26,
    ),
    LayerEntry(nn.BranchLayer(nn.Dense(2, 3), nn.NoOpLayer()), (4, 2), ((4, 3), (4, 2)), 9),
    LayerEntry(
        nn.BranchLayer(
            a=nn.Dense(2, 3),
            b=nn.Dense(2, 3),
            fusion=nn.Parallel(operator.mul, nn.tanh, nn.sigmoid),
        ),
        (4, 2),
        (4, 3),
        18,
    ),
    LayerEntry(
        nn.PairwiseFusion(operator.sub, nn.Dense(2, 3), nn.Dense(3, 1)),
        ((4, 2), (4, 3), (4, 1)),
        (4, 1),
        13,
        bad=((4, 2), (4, 3)),
    ),
    LayerEntry(nn.Maxout(nn.Dense(2, 3), nn.Dense(2, 3, nn.tanh)), (4, 2), (4, 3), 18),
    LayerEntry(nn.RepeatedLayer(nn.Dense(2, 2, nn.tanh), 3), (4, 2), (4, 2), 6),
    LayerEntry(
        nn.RepeatedLayer(
            nn.Parallel(operator.add, nn.Dense(2, 2, nn.tanh), nn.NoOpLayer()),
            2,
            input_injection=True,
            checkpoint=True,
        ),
        (4, 2),
        (4, 2),
        6,
    ),
    LayerEntry(
        nn.AlternatePrecision("float64" if x64_enabled() else "float32", nn.Dense(2, 3)),
        (4, 2),
        (4, 3),
        9,
        converts=True,
    ),
]

ANY_SHAPE = {
    "Chain",
    "NoOpLayer",
    "WrappedFunction",
    "SkipConnection",
    "BranchLayer",
    "Maxout",
    "RepeatedLayer",
    "AlternatePrecision",
}

"""Compact layers: how they print."""

import jax
import jax.numpy as jnp
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.nn.compact.test_compact import decorated, plain

pytestmark = pytest.mark.any_precision
X = jnp.ones(2, jnp.float32)


def normal(key, dtype):
    return jax.random.normal(key, (3, 2), dtype)


DECORATED = '''\
@compact(                                       # 2 parameters of its own
    inner=Dense(2, 2),                          # 6 parameters
    w=float32[2],
    kinds=('a', 1),
)
def decorated(m, x):
    """Found by name when it is pickled."""
    return m.inner(x) * jnp.broadcast_to(m.w, x.shape)  # Total: 8 parameters,
                                                #        plus 0 states.'''

NESTED = """\
Chain(
    layer_1=compact(lambda m, x: m.a[0](x),
        a.layer_(1-2)=Dense(2, 2),              # 12 (6 x 2) parameters
        n=non_trainable(0),
        w=init_fn(normal, 'state'),
    ),
    layer_2=Named(2),                           # 2 parameters
    layer_3=@compact(                           # 2 parameters of its own
        w=float32[2],
        takes_indices=True,
    )
    def plain(m, x):
        return x * m.w
)                                               # Total: 16 parameters,
                                                #        plus 7 states."""


def test_layer_prints_as_the_source_it_was_made_from():
    assert str(decorated) == DECORATED
    first = nn.compact(
        lambda m, x: m.a[0](x),
        a=[nn.Dense(2, 2)] * 2,
        n=nn.non_trainable(0),
        w=nn.init_fn(normal, "state"),
    )
    named = nn.compact(plain, w=X, name="Named(2)")
    assert str(nn.Chain(first, named, nn.compact(plain, w=X, takes_indices=True))) == NESTED
    assert str(named) == "Named(2)                                        # 2 parameters"
    assert repr(named) == "Named(2)"
    assert (
        repr(nn.compact(plain, a={"b": nn.Dense(2, 2)})) == "compact(plain, a={'b': Dense(2, 2)})"
    )


def test_function_without_source_prints_its_name():
    names = {}
    exec("f = lambda m, x: x", names)
    assert str(nn.compact(names["f"], o={"a": 1})).startswith(
        "compact(<lambda>,\n    o={'a': 1},\n)"
    )


def test_summary_has_rows_for_the_layers_and_the_name_for_the_total():
    table = lux.summary(decorated, jnp.ones((3, 2), jnp.float32))
    assert [row.path for row in table.rows] == ["inner"]
    assert table.total.layer == "decorated" and table.total.parameters == 8

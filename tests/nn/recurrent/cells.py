"""The cases of torch as our trees, and cells written by hand."""

import jax
import jax.numpy as jnp
import numpy as np

import sciml_lux as lux
from tests.references import load

LENGTHS = jnp.asarray([5, 3, 1, 4])
WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def weights(case, suffix=""):
    return lux.Record({name: jnp.asarray(case[name + suffix]) for name in WEIGHTS})


def carries(case):
    """The start as torch has it: h, and c beside it for an LSTM."""
    return tuple(jnp.asarray(case[name]) for name in ("carry_0", "carry_1") if name in case)


def check(name, run, ps, places):
    """Values and gradients of `run(x, carry, ps) -> outputs` against a case of torch.

    `places` says where each of our parameter trees lies: {name in ps: suffix in torch}, or a
    suffix alone for one tree.
    """
    case = load(f"recurrent/{name}")
    inputs = (jnp.asarray(case["x"]), carries(case), ps(case))

    def loss(inputs):
        outputs = run(*inputs)
        weigh = lambda y: jnp.cos(jnp.arange(y.size, dtype=y.dtype)).reshape(y.shape)
        return sum(jnp.sum(weigh(y) * y) for y in outputs), outputs

    grads, outputs = jax.jit(jax.grad(loss, has_aux=True))(inputs)
    for i, y in enumerate(outputs):
        np.testing.assert_allclose(y, case[f"out_{i}"], rtol=1e-12, atol=1e-13)
    of_x, of_carry, of_ps = grads
    want = {"x": of_x} | {f"carry_{i}": grad for i, grad in enumerate(of_carry)}
    for place, suffix in places.items():
        tree = of_ps[place] if place else of_ps
        want |= {weight + suffix: grad for weight, grad in tree.items()}
    assert {f"grad_{name}" for name in want} == {name for name in case if name.startswith("grad_")}
    for entry, grad in want.items():
        np.testing.assert_allclose(
            grad, case[f"grad_{entry}"], rtol=1e-12, atol=1e-12, err_msg=entry
        )


class Sum(lux.Layer):
    """A cell without `initial_carry` or parameters: the sum of all inputs so far, and a count."""

    def initial_states(self, key, dtype):
        return lux.Record(steps=jnp.zeros((), jnp.int32))

    def __call__(self, x, ps, st):
        x, total = x if isinstance(x, tuple) else (x, jnp.zeros_like(x))
        return (x + total, x + total), st | {"steps": st.steps + 1}

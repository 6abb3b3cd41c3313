"""Lowered for CUDA, which needs no GPU, a function with a kernel is one call of it."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux.ops.kernels import _availability, _launch, with_kernel
from sciml_lux.ops.kernels._unavailable import Unavailable

from .lowered import calls, replace_nvrtc, stand_in, text_for
from .recurrence import Forward, differentiable, linear, plain, recurrence
from .test_rules import DTYPE, OWN, PUSH, RATES, START, VALUES, X

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
NAMES = {
    "jit": ["forward"],
    "vmap of all": ["forward"],
    "vmap of vmap": ["forward"],
    "scan": ["forward"],
    "while of vmap": ["forward"],
    "cond": ["forward"],
    "an empty batch": [],
}
OF_DERIVATIVES = {
    "grad": ["forward", "transposed"],
    "vmap of grad": ["forward", "transposed"],
    "grad of scan": ["forward", "transposed"],
    "jacobian by reverse mode": ["transposed"],  # It is linear.
}


@pytest.fixture
def compiled(monkeypatch):
    return replace_nvrtc(monkeypatch)


def names(text):
    return [call["name"] for call in calls(text)]


@pytest.mark.parametrize("case", NAMES)
def test_one_call_for_a_batch(case, compiled):
    assert names(text_for(lambda: VALUES[case](recurrence))) == NAMES[case]


@pytest.mark.parametrize("case", OF_DERIVATIVES)
def test_one_call_forward_and_one_backward(case, compiled):
    assert names(text_for(lambda: OWN[case](differentiable))) == OF_DERIVATIVES[case]


def test_derivative_of_the_linear_function_alone_is_its_kernel(compiled):
    def squares(push):
        return jnp.sum(linear([RATES[0]], [X[0, 0], push])[0] ** 2)

    assert names(text_for(jax.grad(squares), PUSH)) == ["transposed"]
    # As has the gradient of a gradient by what it is linear in.
    assert "transposed" in names(text_for(jax.jacrev(jax.grad(squares)), PUSH))


def batch(x):
    return jax.vmap(recurrence, (0, None, None, None))(x, RATES[0], PUSH, START)


def test_attributes_are_those_that_xla_reads(compiled):
    x = jnp.zeros(130, DTYPE)
    [call] = calls(text_for(batch, x))
    want = {"grid_x": 3, "block_x": 64, "shared_mem_bytes": 0}
    want |= {f"{name}_{axis}": 1 for name in ("grid", "block") for axis in "yz"}
    assert {name: call[name] for name in want} == {n: (v, "i32") for n, v in want.items()}
    assert call["kernel_type"] == "ptx"
    text = Forward(DTYPE.__name__).source((True, False, False, False)).text
    assert call["kernel_data"].replace(r"\0A", "\n").replace(r"\09", "\t") == stand_in(text, 75)
    known = {*want, "kernel_type", "kernel_data", "name"}
    assert set(call) - {"operands", "rest"} <= {*known, "backend_config"}


def test_size_comes_first_and_arrays_are_row_major(compiled):
    text = text_for(batch, jnp.zeros(130, DTYPE))
    [call] = calls(text)
    size = call["operands"][0]
    assert f"{size} = stablehlo.constant dense<130> : tensor<i32>" in text
    kind = {"float32": "f32", "float64": "f64"}[DTYPE.__name__]
    types = f"(tensor<i32>, tensor<130x{kind}>, tensor<{kind}>, tensor<3x{kind}>, tensor<i32>)"
    assert f"{types} -> (tensor<3x130x{kind}>, tensor<130xi32>)" in call["rest"]
    assert "result_layouts = [dense<[1, 0]> : tensor<2xindex>, dense<0>" in call["rest"]


def test_on_cpu_nothing_is_compiled(compiled):
    assert not calls(text_for(batch, X[0], platforms=("cpu",)))
    assert not compiled


def test_lowered_for_two_platforms_each_has_its_own(compiled):
    text = text_for(batch, X[0], platforms=("cpu", "cuda"))
    assert names(text) == ["forward"]
    assert "stablehlo.while" in text


def test_without_nvrtc_it_is_plain_and_the_reason_is_told_once(monkeypatch):
    def missing():
        raise Unavailable("NVRTC is not there")

    monkeypatch.setattr(_launch, "architecture", missing)
    monkeypatch.setattr(_availability, "_told", set())
    message = r"The kernel `forward` is replaced .* plain JAX: NVRTC is not there\.$"
    with pytest.warns(UserWarning, match=message):
        text = text_for(batch, X[0])
    assert not calls(text) and "stablehlo.while" in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        text_for(batch, X[:, 0])


REFUSED = {
    "half precision": (
        jnp.float16,
        {},
        "kernels take float32, float64, int32, got float16",
    ),
    "another name": (None, {"entry": "backward"}, "its text has no .* function of this name"),
    "more pointers": (
        None,
        {"text": "void forward(const int* size)"},
        "it takes 1 pointers, and its call has 7 arrays",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_launched_is_plain(case, compiled, monkeypatch):
    dtype, changed, reason = REFUSED[case]
    monkeypatch.setattr(_availability, "_told", set())

    class Changed(Forward):
        def source(self, mapped):
            return super().source(mapped)._replace(**changed)

    x = X[0].astype(dtype or DTYPE)
    others = (RATES[0].astype(x.dtype), PUSH.astype(x.dtype), START)
    one = lambda x: with_kernel(plain, Changed(DTYPE.__name__), x, *others)
    with pytest.warns(UserWarning, match=reason):
        assert not calls(text_for(jax.vmap(one), x))


def test_too_many_entries_to_count_are_refused():
    shape = jax.ShapeDtypeStruct((3, 2**30), np.float32)
    with pytest.raises(Unavailable, match=r"count entries in int32, got the shape \(3, 1073741824"):
        _launch._require_plain([shape])


def test_export_is_told_of_the_target(compiled):
    exported = jax.export.export(
        jax.jit(batch),
        platforms=["cuda"],
        disabled_checks=[jax.export.DisabledSafetyCheck.custom_call("__gpu$xla.gpu.ptx")],
    )(X[0])
    assert names(exported.mlir_module()) == ["forward"]
    with pytest.raises(ValueError, match=r"__gpu\$xla\.gpu\.ptx"):
        jax.export.export(jax.jit(batch), platforms=["cuda"])(X[0])

"""Weights, masks and class weights of losses, against their formulas in NumPy."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from sciml_lux.losses._weights import checked_count
from tests.catalogue import LOSSES
from tests.conftest import needs_x32
from tests.training.models import line_data, tiny_state

any_precision = pytest.mark.any_precision

MEANS = [
    entry
    for entry in LOSSES
    if entry.loss.agg is losses.mean and not getattr(entry.loss, "class_weights", None)
]
each = pytest.mark.parametrize("entry", MEANS, ids=lambda entry: entry.name)


def with_agg(loss, agg):
    """The same loss with another `agg`."""
    twin = object.__new__(type(loss))
    twin.__dict__.update(loss.__dict__ | {"agg": agg})
    return twin


def given(entry, dtype):
    """Prediction, target, the loss of each in float64, and as many weights."""
    y_pred, y = entry.inputs(dtype)
    alone = np.asarray(with_agg(entry.loss, None)(y_pred, y), np.float64)
    weights = np.linspace(0.5, 2.0, alone.size).reshape(alone.shape)
    return y_pred, y, alone, jnp.asarray(weights, dtype)


@each
def test_weighted_mean_total_and_terms_are_those_of_numpy(entry, dtype):
    y_pred, y, alone, weights = given(entry, dtype)
    w = np.asarray(weights, np.float64)
    tolerance = {"rtol": 1e-12 if dtype == jnp.float64 else 2e-5}
    found = entry.loss(y_pred, y, weights=weights)
    assert found.dtype == dtype and found.shape == ()
    np.testing.assert_allclose(found, (w * alone).sum() / w.sum(), **tolerance)
    total = with_agg(entry.loss, losses.total)(y_pred, y, weights=weights)
    np.testing.assert_allclose(total, (w * alone).sum(), **tolerance)
    terms = with_agg(entry.loss, None)(y_pred, y, weights=weights)
    np.testing.assert_allclose(terms, w * alone, **tolerance)


@any_precision
@each
def test_mask_hides_nan_from_the_loss_and_its_gradient(entry, dtype):
    y_pred, y, alone, _ = given(entry, dtype)
    where = np.arange(alone.size).reshape(alone.shape) % 3 != 1
    over = np.asarray(entry.loss.over_entries(jnp.asarray(where), y_pred))
    broken, target = (jnp.where(over, a, jnp.nan) for a in (y_pred, y))
    masked = lambda p: entry.loss(p, target, where=jnp.asarray(where))
    unmasked = lambda p: jnp.sum(with_agg(entry.loss, None)(p, y))

    @jax.jit
    def computed(broken, y_pred):
        tangent = jax.jvp(masked, (broken,), (y,))[1]
        return *jax.value_and_grad(masked)(broken), jax.grad(unmasked)(y_pred), tangent

    value, gradient, plain, tangent = computed(broken, y_pred)
    tolerance = {"rtol": 1e-12 if dtype == jnp.float64 else 2e-5}
    np.testing.assert_allclose(value, alone[where].mean(), **tolerance)
    assert np.all(np.asarray(gradient)[~over] == 0) and np.all(np.isfinite(gradient))
    expected = np.asarray(plain, np.float64)[over] / where.sum()
    np.testing.assert_allclose(np.asarray(gradient)[over], expected, rtol=1e-4, atol=1e-7)
    assert np.isfinite(tangent)


@any_precision
@pytest.mark.parametrize("loss", [losses.MSELoss(), losses.CrossEntropyLoss(logits=True)])
def test_second_derivatives_of_a_masked_loss_are_finite_and_zero_where_hidden(loss, dtype):
    y_pred = jnp.asarray([[0.5, jnp.nan], [1.0, 2.0]], dtype)
    where = jnp.asarray([[True, False], [True, True]])
    if isinstance(loss, losses.ClassLoss):
        where = jnp.asarray([False, True])
    hessian = jax.jit(jax.hessian(lambda p: loss(p, jnp.ones_like(p), where=where)))(y_pred)
    assert np.all(np.isfinite(hessian))
    assert np.all(np.asarray(hessian)[0, 1] == 0) and np.any(np.asarray(hessian)[1] != 0)


def test_weights_of_samples_go_along_the_leading_axes(dtype):
    y_pred = jnp.asarray(np.arange(12.0).reshape(2, 3, 2), dtype)
    y, loss = jnp.zeros_like(y_pred), losses.MSELoss()
    squares = np.arange(12.0).reshape(2, 3, 2) ** 2
    weights = np.asarray([1.0, 3.0])
    expected = (squares.mean((1, 2)) * weights).sum() / 4
    found = loss(y_pred, y, weights=jnp.asarray(weights, dtype))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    mask = np.asarray([[True, True, False], [True, False, False]])
    found = loss(y_pred, y, where=jnp.asarray(mask))
    np.testing.assert_allclose(found, squares[mask].mean(), rtol=1e-6)


def test_weights_and_mask_go_together_and_compile(dtype):
    y_pred, y = jnp.asarray([1.0, 2.0, jnp.inf], dtype), jnp.zeros(3, dtype)
    weights, where = jnp.asarray([2, 1, 5], jnp.int32), jnp.asarray([True, True, False])
    loss = jax.jit(losses.MSELoss())
    found = loss(y_pred, y, weights=weights, where=where)
    assert found.dtype == dtype and found.item() == 2.0
    rows = jax.vmap(lambda w: losses.MSELoss()(y_pred, y, weights=weights, where=w))
    assert rows(jnp.stack([where, where])).tolist() == [2.0, 2.0]


def test_weights_and_masks_of_numpy_are_taken(dtype):
    y_pred, y = jnp.asarray([1.0, 2.0, jnp.nan], dtype), jnp.zeros(3, dtype)
    where = np.asarray([True, True, False])
    assert losses.MSELoss()(y_pred, y, where=where).item() == 2.5
    found = losses.MSELoss()(y_pred, y, weights=np.asarray([3, 1, 9]), where=where)
    assert found.dtype == dtype and found.item() == 1.75


def test_weights_have_gradients_at_zero_too(dtype):
    y_pred, y = jnp.asarray([1.0, 2.0], dtype), jnp.zeros(2, dtype)
    weights = jnp.asarray([1.0, 0.0], dtype)
    slope = jax.grad(lambda w: losses.MSELoss()(y_pred, y, weights=w))(weights)
    assert slope.tolist() == [0.0, 3.0]  # (l - mean) / Σ w


def test_mean_without_any_weight_is_nan_and_total_is_zero(dtype):
    y_pred, where = jnp.ones(2, dtype), jnp.zeros(2, bool)
    assert np.isnan(losses.MSELoss()(y_pred, y_pred, where=where))
    value, slope = jax.value_and_grad(losses.MSELoss(losses.total))(
        jnp.full(2, jnp.nan, dtype), y_pred, where=where
    )
    assert value == 0 and slope.tolist() == [0, 0]


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_weighted_sums_of_half_precision_are_taken_in_float32(half):
    y_pred = jnp.ones((300, 300), half)
    weights = jnp.full((300, 300), 2, half)
    loss = losses.MSELoss()
    found = loss(y_pred, 0 * y_pred, weights=weights)
    assert found.dtype == half and found == 1
    assert loss(y_pred, 0 * y_pred, where=weights > 0) == 1
    wide = loss(y_pred, 0 * y_pred, weights=weights.astype(jnp.float32))
    assert wide.dtype == jnp.float32 and wide == 1
    # One number for thousands of rows: its gradient is a sum too.
    many = jnp.ones((5000, 1), half)

    def of_scale(scale):
        return losses.MSELoss(losses.total)(many, 0 * many, weights=scale)

    slope = jax.grad(of_scale)(jnp.ones((), half))
    np.testing.assert_allclose(float(slope), 5000, rtol=float(jnp.finfo(half).eps))


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_loss_that_squares_in_float32_comes_back_in_half_precision(half):
    class Wide(losses.LossFunction):
        def elementwise(self, y_pred, y):
            return (y_pred.astype(jnp.float32) - y.astype(jnp.float32)) ** 2

    y_pred = jnp.asarray([300.0, 0.0, 0.0, 0.0], half)  # 300² is no float16.
    weights = jnp.asarray([1, 3, 3, 3], half)
    found = Wide()(y_pred, 0 * y_pred, weights=weights)
    assert found.dtype == half
    np.testing.assert_allclose(float(found), 9000, rtol=float(jnp.finfo(half).eps))


LOGITS = np.asarray([[0.2, -1.0, 0.5], [1.5, 0.3, -0.7], [0.1, 0.2, 0.3], [-2.0, 1.0, 0.4]])
LABELS = np.asarray([2, 0, 1, 1])
CLASS_WEIGHTS = (0.2, 1.0, 3.0)
LOG_P = LOGITS - np.log(np.exp(LOGITS).sum(1, keepdims=True))


@pytest.mark.parametrize("alpha", [None, 0.3])
def test_class_weights_of_labels_are_those_of_torch(alpha, dtype):
    # torch.nn.CrossEntropyLoss(weight=w, label_smoothing=alpha): sums over samples of
    # -(1 - alpha) w_y log p_y - alpha / K Σ_c w_c log p_c, divided by Σ w_y.
    w = np.asarray(CLASS_WEIGHTS)
    of_label = -(w * LOG_P)[np.arange(4), LABELS]
    smooth = -(w * LOG_P).mean(1)
    terms = of_label if alpha is None else (1 - alpha) * of_label + alpha * smooth
    options = {"logits": True, "class_weights": CLASS_WEIGHTS, "label_smoothing": alpha}
    loss = losses.CrossEntropyLoss(**options)
    args = jnp.asarray(LOGITS, dtype), jnp.asarray(LABELS, jnp.int32)
    found = loss(*args)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, terms.sum() / w[LABELS].sum(), rtol=1e-5)
    each = losses.CrossEntropyLoss(None, **options)(*args)
    np.testing.assert_allclose(each, terms, rtol=1e-5)
    axes = losses.CrossEntropyLoss(axis=0, **options)(args[0].T, args[1])
    np.testing.assert_allclose(axes, found, rtol=1e-6)


def test_class_weights_sample_weights_and_ignored_labels_go_together(dtype):
    w = np.asarray(CLASS_WEIGHTS)
    labels, samples = LABELS.copy(), np.asarray([1.0, 2.0, 0.5, 4.0])
    labels[3] = -1
    loss = losses.CrossEntropyLoss(logits=True, class_weights=CLASS_WEIGHTS)
    args = jnp.asarray(LOGITS, dtype), jnp.asarray(labels, jnp.int32)
    found, slope = jax.value_and_grad(loss)(
        *args, weights=jnp.asarray(samples, dtype), where=args[1] >= 0
    )
    u = (samples * w[labels])[:3]
    terms = -LOG_P[np.arange(3), labels[:3]]
    np.testing.assert_allclose(found, (u * terms).sum() / u.sum(), rtol=1e-5)
    assert np.all(np.isfinite(slope)) and np.all(np.asarray(slope)[3] == 0)


def test_class_weights_of_distributions_divide_by_their_mean_weight(dtype):
    p = np.exp(LOG_P)
    y = np.asarray([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    w = np.asarray(CLASS_WEIGHTS)
    args = jnp.asarray(p, dtype), jnp.asarray(y, dtype)
    cross = losses.CrossEntropyLoss(epsilon=0, class_weights=CLASS_WEIGHTS)(*args)
    expected = -(w * y * LOG_P).sum() / (w * y).sum()
    np.testing.assert_allclose(cross, expected, rtol=1e-5)
    focal = losses.FocalLoss(epsilon=0, class_weights=CLASS_WEIGHTS)(*args)
    expected = -(w * y * (1 - p) ** 2 * LOG_P).sum() / (w * y).sum()
    np.testing.assert_allclose(focal, expected, rtol=1e-5)


def test_class_weights_of_two_classes(dtype):
    z, y = np.asarray([0.5, -1.0, 2.0]), np.asarray([1.0, 0.0, 0.25])
    p = 1 / (1 + np.exp(-z))
    w = 1.5 * (1 - y) + 4.0 * y
    terms = -4.0 * y * np.log(p) - 1.5 * (1 - y) * np.log(1 - p)
    args = jnp.asarray(z, dtype), jnp.asarray(y, dtype)
    logits = losses.BinaryCrossEntropyLoss(logits=True, class_weights=(1.5, 4))(*args)
    np.testing.assert_allclose(logits, terms.sum() / w.sum(), rtol=1e-5)
    args = jnp.asarray(p, dtype), args[1]
    plain = losses.BinaryCrossEntropyLoss(epsilon=0, class_weights=(1.5, 4))(*args)
    np.testing.assert_allclose(plain, terms.sum() / w.sum(), rtol=1e-5)
    q = y * p + (1 - y) * (1 - p)
    focal = losses.BinaryFocalLoss(epsilon=0, class_weights=(1.5, 4))(*args)
    np.testing.assert_allclose(focal, -(w * (1 - q) ** 2 * np.log(q)).sum() / w.sum(), rtol=1e-5)


def test_class_weights_of_numpy_are_numbers_of_python():
    loss = losses.CrossEntropyLoss(class_weights=np.asarray([1, 2], np.float32))
    assert loss == losses.CrossEntropyLoss(class_weights=(1.0, 2.0))
    assert loss.class_weights == (1.0, 2.0) and hash(loss)
    for build in (losses.FocalLoss, losses.BinaryFocalLoss):
        assert build(class_weights=[1, 2]).class_weights == (1.0, 2.0)


@any_precision
def test_weights_and_mask_are_a_third_entry_of_the_data(dtype):
    tstate, (x, y) = tiny_state(dtype), line_data(dtype)
    loss = losses.MSELoss()
    y_pred = tstate.model(x, tstate.parameters, tstate.states)[0]
    weights = jnp.asarray(np.linspace(0, 1, 8), dtype)
    given = (tstate.model, tstate.parameters, tstate.states)
    found = loss(*given, (x, y, weights))[0]
    np.testing.assert_allclose(found, loss(y_pred, y, weights=weights), rtol=1e-6)
    mask = jnp.arange(8) < 5
    broken = jnp.where(mask[:, None], y, jnp.nan)
    result = training.fit(tstate, loss, (x, broken, mask), steps=3, progress=False)
    np.testing.assert_allclose(result.losses[0], loss(y_pred[:5], y[:5]), rtol=1e-6)
    assert np.all(np.isfinite(result.tstate.parameters.layer_1.weight))


@pytest.mark.parametrize("agg", [losses.mean, losses.total])
def test_weighted_residuals_make_the_same_loss(agg, dtype):
    model, (x, y) = nn.Dense(1, 1), line_data(dtype)
    ps, st = lux.setup(0, model, dtype=dtype)
    loss = losses.MSELoss(agg)
    mask = jnp.arange(8) % 3 != 0
    broken = jnp.where(mask[:, None], y, jnp.nan)
    for data in ((x, y, jnp.asarray(np.linspace(0, 2, 8), dtype)), (x, broken, mask)):
        r = loss.residuals(model, ps, st, data)
        np.testing.assert_allclose(jnp.sum(r * r), loss(model, ps, st, data)[0], rtol=1e-5)


@any_precision
def test_levenberg_marquardt_does_not_see_what_is_masked():
    model, (x, y) = nn.Dense(1, 1), line_data(jnp.float32)
    mask = jnp.arange(8) % 3 != 0
    data = x, jnp.where(mask[:, None], y, jnp.nan), mask
    tstate = training.TrainState(model, *lux.setup(0, model), optax.adam(1e-2))
    solver = optimistix.LevenbergMarquardt(rtol=1e-5, atol=1e-5)
    result = training.minimise(tstate, losses.MSELoss(), data, solver, progress=False)
    np.testing.assert_allclose(result.tstate.parameters.weight, [[2]], rtol=1e-3)


ONE = jnp.ones((2, 3), jnp.float32)


def test_weights_of_another_shape_are_an_error():
    text = r"`MSELoss` expects `weights` of the shape \(2, 3\) of the losses, .* got shape \(3,\)"
    with pytest.raises(ValueError, match=text):
        losses.MSELoss()(ONE, ONE, weights=ONE[0])
    with pytest.raises(ValueError, match=r"`where` of the shape \(2,\) .* got shape \(2, 3\)"):
        losses.CrossEntropyLoss()(ONE, ONE, where=ONE > 0)


def test_weights_and_masks_of_the_wrong_kind_are_errors():
    with pytest.raises(TypeError, match=r"`weights` to be an array of real numbers, got bool"):
        losses.MSELoss()(ONE, ONE, weights=ONE > 0)
    with pytest.raises(TypeError, match=r"`weights` to be an array of real numbers, got float"):
        losses.MSELoss()(ONE, ONE, weights=2.0)
    with pytest.raises(TypeError, match=r"`where` to be an array of bool, got float32\[2,3\]"):
        losses.MSELoss()(ONE, ONE, where=ONE)


def test_weights_that_would_be_cut_are_an_error_with_float64_off():
    text = "`MSELoss`: `weights`, .* is float64, but jax_enable_x64 is off"
    one = np.ones((2, 3), np.float32)
    with jax.enable_x64(False), pytest.raises(TypeError, match=text):
        losses.MSELoss()(one, one, weights=np.ones((2, 3)))


def test_weights_with_an_own_aggregation_are_an_error():
    with pytest.raises(ValueError, match="`agg` to be mean, total or None where there are weights"):
        losses.MSELoss(jnp.max)(ONE, ONE, where=ONE > 0)


def test_weights_beside_a_model_are_an_error():
    with pytest.raises(TypeError, match="got 4 arguments and `weights`. .* third entry of the dat"):
        losses.MSELoss()(nn.NoOpLayer(), lux.Record(), lux.Record(), (ONE, ONE), weights=ONE)


def test_class_weights_that_are_wrong_are_errors():
    for build in (losses.CrossEntropyLoss, losses.FocalLoss, losses.BinaryFocalLoss):
        for bad in (-1, True, math.inf, math.nan):
            with pytest.raises(ValueError, match=r"a finite number of at least 0 for .* got \(1, "):
                build(class_weights=(1, bad))
    with pytest.raises(ValueError, match=r"a number for each of 3 classes, got 2"):
        losses.FocalLoss(class_weights=(1, 1))(ONE, ONE)
    with pytest.raises(ValueError, match=r"two numbers, those of the labels 0 and 1, got 3"):
        losses.BinaryFocalLoss(class_weights=(1, 1, 1))


def test_weights_and_predictions_have_memory_of_their_own():
    given = []

    class Watched(losses.LossFunction):
        def elementwise(self, y_pred, y):
            given.extend([y_pred, y])
            return y_pred * y

    x = np.ones(64, np.float32)
    Watched()(x, x)
    count = checked_count("loss", (64,), x, None)
    x[:] = -5.0
    for array in (*given, count.weights):
        np.testing.assert_array_equal(array, 1.0)


@needs_x32
def test_integer_weights_that_jax_would_cut_are_an_error():
    x = jnp.ones(1, jnp.float32)
    text = r"`MSELoss`: `weights` has int64 numbers that int32 cannot hold"
    with pytest.raises(TypeError, match=text):
        losses.MSELoss()(x, x, weights=np.asarray([2**40]))

"""Every example of Lux's documentation and tests (1.31), and what the formulas say elsewhere."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn
from tests.conftest import X64, needs_x32, needs_x64

any_precision = pytest.mark.any_precision

FLOAT = jnp.float64 if X64 else jnp.float32
RTOL = 1e-7 if X64 else 2e-5


def array(*values):
    return jnp.asarray(values, FLOAT)


Y123 = array(1, 2, 3)
Y_BINARY = jnp.asarray([[0, 1, 0], [1, 0, 1]], jnp.int32)
P_BINARY = jnp.asarray([[0.268941, 0.5, 0.268941], [0.731059, 0.5, 0.731059]], FLOAT)
# Lux has features first: its 3 classes by 5 samples are 5 by 3 here.
Y_CLASSES = jnp.asarray([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]], jnp.int32)
LABELS = jnp.asarray([0, 1, 2, 1, 0], jnp.int32)
LOGITS = jnp.arange(-7, 8, dtype=FLOAT).reshape(5, 3)
P_CLASSES = jax.nn.softmax(LOGITS)
SIGNS = array(1, -1, 1, 1)
MARGINS = array(0.1, 0.3, 1, 1.5)
SEQUENCE = array(1, 2, 3, 4), array(5, 6, 7, 8)  # y_pred and y of the tests of Lux
SIAMESE = array(0.5, 1.5, 2.5)
PAIR = jnp.asarray([[1, 0], [0, 1]], jnp.int32)
HALF = jnp.full((2, 2), 0.5, FLOAT)

EXAMPLES = [
    (losses.MSELoss(), array(1.1, 1.9, 3.1), Y123, 0.01),
    (losses.MAELoss(), array(1.1, 1.9, 3.1), Y123, 0.1),
    (losses.L1Loss(), array(1.1, 1.9, 3.1), Y123, 0.1),
    (losses.MSLELoss(), array(1.1, 2.2, 3.3), Y123, 0.009084041),
    (losses.MSLELoss(), array(0.9, 1.8, 2.7), Y123, 0.011100831),
    (losses.HuberLoss(), array(1.1, 2.1, 3.1), Y123, 0.005),
    (losses.HuberLoss(delta=0.05), array(1.1, 2.1, 3.1), Y123, 0.00375),
    (losses.HuberLoss(delta=1), array(1.1, 2.1, 5.0), Y123, (0.005 + 0.005 + 1.5) / 3),
    (losses.PoissonLoss(), array(1, 3, 3), Y123, 0.502312852219817),
    (losses.DiceCoeffLoss(), array(1.1, 2.1, 3.1), Y123, 0.000992391663909964),
    (losses.DiceCoeffLoss(), array(1.1, 2.1, 3.1)[None], Y123[None], 0.000992391663909964),
    (losses.HingeLoss(), MARGINS, SIGNS, 0.55),
    (losses.SquaredHingeLoss(), MARGINS, SIGNS, 0.625),
    (losses.SiameseContrastiveLoss(), SIAMESE, Y123, -4.833333333333333),
    (losses.SiameseContrastiveLoss(margin=2), SIAMESE, Y123, -4.0),
    (losses.BinaryFocalLoss(), P_BINARY, Y_BINARY, 0.0728675615927385),
    (losses.CrossEntropyLoss(), P_CLASSES, Y_CLASSES, 1.60760596),
    (losses.CrossEntropyLoss(agg=losses.total), P_CLASSES, Y_CLASSES, 5 * 1.60760596),
    (losses.CrossEntropyLoss(label_smoothing=0.15), P_CLASSES, Y_CLASSES, 1.57760596),
    (losses.CrossEntropyLoss(logits=True), LOGITS, Y_CLASSES, 1.60760596),
    (losses.CrossEntropyLoss(), P_CLASSES, LABELS, 1.60760596),
    (losses.CrossEntropyLoss(axis=0), P_CLASSES.T, LABELS, 1.60760596),
    (losses.FocalLoss(), P_CLASSES, Y_CLASSES, 1.1277556),
    (losses.FocalLoss(), P_CLASSES, LABELS, 1.1277556),
    (losses.KLDivergenceLoss(), HALF, PAIR, 0.6931471805599453),
    (losses.KLDivergenceLoss(agg=losses.total), HALF, PAIR, 2 * 0.6931471805599453),
    (losses.KLDivergenceLoss(epsilon=0), HALF, HALF, 0.0),
    (losses.KLDivergenceLoss(epsilon=0), jnp.asarray(PAIR, FLOAT), HALF, np.inf),
    (losses.GenericLossFunction(lambda p, y: (p - y) ** 2), array(1.1, 1.9, 3.1), Y123, 0.01),
]


@pytest.mark.parametrize(("loss", "y_pred", "y", "expected"), EXAMPLES)
def test_example_of_the_documentation(loss, y_pred, y, expected):
    found = loss(y_pred, y)
    assert found.dtype == FLOAT
    # Their figures are of float32 in part.
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)


def test_binary_cross_entropy_of_logits_and_of_probabilities_agree():
    logits, y = array(2, -1, np.pi), jnp.asarray([1, 0, 1], jnp.int32)
    of_logits = losses.BinaryCrossEntropyLoss(logits=True)
    np.testing.assert_allclose(of_logits(logits, y), 0.160832, rtol=1e-5)
    plain, p = losses.BinaryCrossEntropyLoss(), jax.nn.sigmoid(logits)
    np.testing.assert_allclose(plain(p, y), of_logits(logits, y), rtol=1e-5)
    smooth = losses.BinaryCrossEntropyLoss(label_smoothing=0.1)
    assert smooth(p, y) > plain(p, y)
    smooth_logits = losses.BinaryCrossEntropyLoss(label_smoothing=0.1, logits=True)
    np.testing.assert_allclose(smooth_logits(logits, y), smooth(p, y), rtol=1e-5)


def test_binary_cross_entropy_takes_one_label_for_all():
    p = array(0.1, 0.2, 0.9)
    expected = -jnp.mean(jnp.log(p))
    for one in (1, 1.0, jnp.asarray(1, jnp.int32)):
        found = losses.BinaryCrossEntropyLoss()(p, one)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@needs_x64
@pytest.mark.parametrize("kind", [np.asarray, np.float64, jnp.asarray])
def test_one_label_for_all_keeps_its_digits_if_it_is_an_array(kind):
    p, one = jnp.asarray([0.25, 0.5], jnp.float32), 0.1
    expected = losses.BinaryCrossEntropyLoss(epsilon=0)(p, jnp.full(2, one, jnp.float64))
    found = losses.BinaryCrossEntropyLoss(epsilon=0)(p, kind(one))
    assert found.dtype == jnp.float64 and found == expected
    assert losses.BinaryCrossEntropyLoss()(p, one).dtype == jnp.float32


@needs_x32
def test_one_label_for_all_in_float64_needs_x64():
    with pytest.raises(TypeError, match="is float64, but jax_enable_x64 is off"):
        losses.BinaryCrossEntropyLoss()(array(0.25), np.float64(0.1))


@pytest.mark.parametrize("agg", [losses.mean, losses.total])
def test_numpy_losses_in_float64_need_x64(agg):
    text = f"`{agg.__name__}`: `values`, a NumPy array, is float64, but jax_enable_x64 is off"
    with jax.enable_x64(False), pytest.raises(TypeError, match=text):
        agg(np.ones(2))


@pytest.mark.parametrize("logit", [20.0, 200.0])
@pytest.mark.parametrize("kind", [jnp.float16, jnp.float32])
def test_binary_focal_loss_of_a_sure_and_wrong_prediction_is_finite(logit, kind):
    sure = jax.nn.sigmoid(jnp.asarray([logit, -logit], kind))
    label, loss = jnp.asarray([0, 1], jnp.int32), losses.BinaryFocalLoss(agg=None)
    np.testing.assert_allclose(loss(sure, label), -np.log(jnp.finfo(kind).eps), rtol=0.02)
    slope = jax.grad(lambda p: jnp.sum(loss(p, label)))(sure)
    assert np.isfinite(slope).all() and slope[0] > 0 > slope[1]


def test_focal_losses_without_gamma_are_cross_entropies():
    binary = losses.BinaryFocalLoss(gamma=0)(P_BINARY, Y_BINARY)
    expected = losses.BinaryCrossEntropyLoss()(P_BINARY, Y_BINARY)
    np.testing.assert_allclose(binary, expected, rtol=1e-6)
    classes = losses.FocalLoss(gamma=0)(P_CLASSES, Y_CLASSES)
    expected = losses.CrossEntropyLoss()(P_CLASSES, Y_CLASSES)
    np.testing.assert_allclose(classes, expected, rtol=1e-6)


def test_values_of_the_tests_of_lux():
    y_pred, y = array(0.1, 0.2, 0.3), array(1, 2, 3) / 10
    np.testing.assert_allclose(losses.HuberLoss()(y_pred, y), 0.0, atol=1e-12)
    assert losses.MSELoss(agg=None)(array(1, 3), array(3, 1)).tolist() == [4, 4]
    assert losses.MSELoss(agg=losses.total)(jnp.asarray(1, FLOAT), jnp.asarray(1, FLOAT)) == 0
    assert losses.SiameseContrastiveLoss()(array(0, 0, 1), array(0, 0, 1)) == 0


@needs_x64
@pytest.mark.parametrize("huge", [1e4, 1e200, np.inf])
def test_logits_may_be_huge(huge):
    loss = losses.BinaryCrossEntropyLoss(logits=True, agg=None)
    y = jnp.asarray([1, 0, 1, 0], jnp.int32)
    value = loss(array(huge, -huge, 30, -30), y)
    np.testing.assert_allclose(value[:2], 0.0)
    np.testing.assert_allclose(value[2:], np.log1p(np.exp(-30)), rtol=1e-13)
    if np.isfinite(huge):
        classes = losses.CrossEntropyLoss(logits=True, agg=None)
        rows = array(huge, 0, 0)[None], array(0, huge, 0)[None]
        label = jnp.asarray([0], jnp.int32)
        assert classes(rows[0], label)[0] == 0 and classes(rows[1], label)[0] == huge
        assert np.isfinite(jax.grad(lambda r: classes(r, label)[0])(rows[1])).all()


def test_gradient_at_a_logit_of_zero_is_half_the_way():
    loss = losses.BinaryCrossEntropyLoss(logits=True, agg=losses.total)
    gradient = jax.grad(loss)(array(0, 0), jnp.asarray([0, 1], jnp.int32))
    np.testing.assert_allclose(gradient, [0.5, -0.5], rtol=1e-6)


def test_class_shut_out_by_an_infinite_logit_costs_nothing():
    logits, label = array(0, 0, -np.inf)[None], jnp.asarray([0], jnp.int32)
    loss = losses.CrossEntropyLoss(logits=True)
    np.testing.assert_allclose(loss(logits, label), np.log(2), rtol=1e-6)
    gradient = jax.grad(loss)(logits, label)
    np.testing.assert_allclose(gradient, [[-0.5, 0.5, 0.0]], atol=1e-6)


@pytest.mark.parametrize("label", [-1, 3])
def test_label_that_is_no_class_gives_nan(label):
    labels = jnp.asarray([0, label], jnp.int32)
    per_sample = losses.CrossEntropyLoss(agg=None, logits=True)(LOGITS[:2], labels)
    assert np.isnan(per_sample).tolist() == [False, True]


@pytest.mark.parametrize(("kind", "most"), [("uint8", 255), ("int8", 127), ("int16", 299)])
@pytest.mark.parametrize("module", [np, jnp])
def test_labels_of_a_dtype_too_short_for_the_number_of_classes(kind, most, module):
    logits = jax.random.normal(jax.random.key(0), (2, 300), FLOAT)
    loss = losses.CrossEntropyLoss(logits=True, agg=None)
    expected = loss(logits, jnp.asarray([3, most], jnp.int32))
    np.testing.assert_array_equal(loss(logits, module.asarray([3, most], kind)), expected)
    if kind != "uint8":
        assert np.isnan(loss(logits, module.asarray([3, -1], kind))).tolist() == [False, True]


def test_labels_longer_than_int32_are_not_cut():
    labels = np.asarray([0, 2**32], np.int64)
    per_sample = losses.CrossEntropyLoss(agg=None, logits=True)(LOGITS[:2], labels)
    assert np.isnan(per_sample).tolist() == [False, True]


def test_gradient_of_hinge_has_the_factor_of_the_label():
    slope = jax.grad(losses.HingeLoss(agg=losses.total))(MARGINS, SIGNS)
    np.testing.assert_allclose(slope, [-1, 1, 0, 0])
    slope = jax.grad(losses.SquaredHingeLoss(agg=losses.total))(MARGINS, SIGNS)
    np.testing.assert_allclose(slope, [2 * (0.1 - 1), 2 * (1 + 0.3), 0, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("loss", "y_pred", "y"),
    [
        (losses.MAELoss(), 0.5, 0.5),
        (losses.HuberLoss(), 1e30, 0.0),
        (losses.BinaryCrossEntropyLoss(), 0.0, 0.0),
        (losses.BinaryCrossEntropyLoss(), 1.0, 1.0),
        (losses.BinaryFocalLoss(gamma=1.5), 1.0, 1.0),
        (losses.BinaryFocalLoss(), 0.0, 1.0),
        (losses.BinaryFocalLoss(), 1.0, 0.0),
        (losses.PoissonLoss(), 0.0, 0.0),
        (losses.SiameseContrastiveLoss(), 1.0, 1.0),
        (losses.HingeLoss(), 1.0, 1.0),
    ],
)
def test_gradients_are_finite_at_the_edges(loss, y_pred, y):
    y_pred, y = array(y_pred, y_pred), array(y, y)
    assert np.isfinite(loss(y_pred, y))
    slope = jax.grad(loss)
    both = jax.jit(lambda *at: (slope(*at), jax.jvp(slope, at, at)[1]))(y_pred, y)
    assert all(np.isfinite(found).all() for found in both)


@pytest.mark.parametrize(("loss", "y_pred"), [(losses.MAELoss(), 3 + 4j), (losses.HuberLoss(), 0j)])
def test_absolute_errors_of_complex_numbers_are_real_and_smooth_at_zero(loss, y_pred):
    y_pred = jnp.asarray([y_pred], jnp.complex64)
    y = jnp.zeros_like(y_pred)
    assert loss(y_pred, y) == abs(y_pred[0]) and loss(y_pred, y).dtype == jnp.float32
    assert np.isfinite(jax.grad(loss)(y_pred, y)).all()


@pytest.mark.parametrize("kind", [FLOAT, jnp.complex64])
def test_absolute_error_has_slope_zero_where_both_are_equal(kind):
    loss, y = losses.MAELoss(agg=losses.total), jnp.asarray([2, 0, -1], kind)
    y_pred = y + jnp.asarray([0, 1, -2], kind)
    for gradient in (jax.grad(loss)(y_pred, y), jax.jit(jax.grad(loss))(y_pred, y)):
        assert gradient.tolist() == [0, 1, -1]
    assert jax.grad(loss, 1)(y_pred, y).tolist() == [0, -1, 1]
    assert jax.jvp(loss, (y_pred, y), (jnp.ones_like(y), 3 * jnp.ones_like(y)))[1] == 0
    along = jax.jvp(losses.MAELoss(agg=None), (y_pred, y), (jnp.ones_like(y), jnp.zeros_like(y)))
    assert along[1].tolist() == [0, 1, -1]
    nested = jax.jvp(lambda p: jax.grad(loss)(p, y), (y_pred,), (jnp.ones_like(y),))[1]
    assert nested.tolist() == [0, 0, 0]


def test_absolute_error_passes_nan_on():
    value, gradient = jax.value_and_grad(losses.MAELoss())(array(np.nan, 1), array(1, 1))
    assert np.isnan(value) and np.isnan(gradient[0]) and gradient[1] == 0


@pytest.mark.parametrize("error", [1e30, 1e-30])
def test_absolute_error_of_complex_numbers_neither_overflows_nor_vanishes(error):
    y_pred = jnp.asarray([3j * error], jnp.complex64)
    found = losses.MAELoss()(y_pred, jnp.zeros_like(y_pred))
    np.testing.assert_allclose(found, 3 * error, rtol=1e-6)


@pytest.mark.parametrize("kind", [FLOAT, jnp.complex64])
def test_curvature_of_huber_where_both_are_equal_is_one(kind):
    zero, one = jnp.zeros(1, kind), jnp.ones(1, kind)
    slope = jax.grad(lambda p: losses.HuberLoss()(p, zero))
    assert jax.jvp(slope, (zero,), (one,))[1].tolist() == [1]


def test_epsilon_is_that_of_the_dtype_or_as_given():
    zero, one = jnp.zeros(1, jnp.float32), jnp.ones(1, jnp.float32)
    loss = losses.BinaryCrossEntropyLoss()(zero, one)
    np.testing.assert_allclose(loss, -np.log(np.finfo(np.float32).eps), rtol=1e-6)
    loss = losses.BinaryCrossEntropyLoss(epsilon=1e-3)(zero, one)
    np.testing.assert_allclose(loss, -np.log(1e-3), rtol=1e-6)


@any_precision
def test_classes_lie_along_the_axis_given():
    images = jax.random.normal(jax.random.key(0), (2, 3, 4, 5), FLOAT)
    labels = jnp.asarray(np.arange(2 * 4 * 5).reshape(2, 4, 5) % 3, jnp.int32)
    loss = losses.CrossEntropyLoss(axis=1, logits=True, label_smoothing=0.2, agg=None)
    found = loss(images, labels)
    p = jax.nn.log_softmax(images, axis=1)
    hot = jax.nn.one_hot(labels, 3, dtype=FLOAT, axis=1)
    expected = -jnp.sum((0.8 * hot + 0.2 / 3) * p, axis=1)
    assert found.shape == (2, 4, 5)
    np.testing.assert_allclose(found, expected, rtol=RTOL, atol=1e-6)


def test_dice_is_taken_over_each_sample():
    y_pred, y = array(*range(12)).reshape(3, 2, 2) / 12, jnp.ones((3, 2, 2), FLOAT)
    whole = losses.DiceCoeffLoss(agg=None)(y_pred, y)
    each = [losses.DiceCoeffLoss()(p.reshape(-1), t.reshape(-1)) for p, t in zip(y_pred, y)]  # noqa: B905
    np.testing.assert_allclose(whole, each, rtol=1e-6)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_dice_of_many_half_precision_pixels_sums_in_float32(kind):
    masks = jnp.ones((2, 400, 400), kind).at[:, :100].set(0)
    loss = losses.DiceCoeffLoss(agg=None)
    found = loss(jnp.ones_like(masks), masks)
    assert found.dtype == kind
    np.testing.assert_allclose(np.asarray(found, float), 1 - 6 / 7, rtol=4e-3)
    wide, narrow = (
        jax.grad(lambda p: jnp.sum(loss(p, masks.astype(p.dtype))))(jnp.ones(masks.shape, at))
        for at in (jnp.float32, kind)
    )
    np.testing.assert_allclose(np.asarray(narrow, float), wide, rtol=1e-2, atol=6e-8)


@any_precision
def test_loss_of_a_model_with_labels():
    model = nn.Dense(2, 3)
    ps, st = lux.setup(jax.random.key(0), model)
    x = jnp.ones((4, 2), jnp.float32)
    loss, _, stats = losses.CrossEntropyLoss(logits=True)(
        model, ps, st, (x, jnp.asarray([0, 1, 2, 0], jnp.int32))
    )
    assert loss.shape == () and loss.dtype == jnp.float32 and len(stats) == 0


SMOOTHED = (losses.BinaryCrossEntropyLoss, losses.CrossEntropyLoss, losses.KLDivergenceLoss)


@pytest.mark.parametrize("loss", SMOOTHED)
@pytest.mark.parametrize("fraction", [-0.1, 1.5])
def test_smoothing_outside_the_unit_interval_is_an_error(loss, fraction):
    name = loss.__name__
    text = rf"`{name}` expects `label_smoothing` to be a number in \[0, 1\], got {fraction}"
    with pytest.raises(ValueError, match=text):
        loss(label_smoothing=fraction)


INTEGERS = jnp.ones((2, 3), jnp.int32)
NAMED = [getattr(losses, name) for name in dir(losses) if name.endswith("Loss")]


@pytest.mark.parametrize("loss", [loss for loss in NAMED if loss is not losses.ClassLoss])
@pytest.mark.parametrize("y", [INTEGERS, jnp.ones((2, 3), FLOAT), INTEGERS[:, 0], 1])
def test_prediction_of_integers_is_an_error_that_names_the_loss(loss, y):
    text = rf"`{loss.__name__}` expects `y_pred` to be a floating or complex array, got int32"
    with pytest.raises(TypeError, match=text):
        loss()(INTEGERS, y)


def test_margin_below_zero_is_an_error():
    with pytest.raises(ValueError, match="`margin` to be a number of at least 0, got -0.5"):
        losses.SiameseContrastiveLoss(margin=-0.5)


def test_delta_of_zero_is_an_error():
    with pytest.raises(ValueError, match="`delta` to be a number above 0, got 0"):
        losses.HuberLoss(delta=0)


def test_axis_that_is_not_there_is_an_error():
    with pytest.raises(ValueError, match=r"`FocalLoss` expects `y_pred` with an axis 2, got"):
        losses.FocalLoss(axis=2)(P_CLASSES, Y_CLASSES)


def test_labels_of_another_length_are_an_error():
    with pytest.raises(
        ValueError, match="`CrossEntropyLoss` expects `y_pred` and `y` of one shape"
    ):
        losses.CrossEntropyLoss()(P_CLASSES, LABELS[:4])


def test_function_that_aggregates_is_an_error():
    with pytest.raises(ValueError, match=r"a function that keeps the shape \(3,\), got \(\)"):
        losses.GenericLossFunction(lambda p, y: jnp.sum(p - y))(Y123, Y123)


def test_batch_of_none_is_empty_and_its_mean_is_refused():
    empty = jnp.zeros((0, 3), FLOAT)
    assert losses.MSELoss(agg=None)(empty, empty).shape == (0, 3)
    with pytest.raises(ValueError, match="`mean` of an empty batch"):
        losses.MSELoss()(empty, empty)

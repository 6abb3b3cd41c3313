"""Where batches come from: order, resumption and what is refused, against a NumPy account."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import Record, io, losses, precision, training
from tests.conftest import needs_x32, needs_x64
from tests.training.models import AD, assert_same_bits, line_data, tiny_state

any_precision = pytest.mark.any_precision

MSE = losses.MSELoss()
start = functools.cache(tiny_state)  # One optimiser, so that one compiled loop serves many tests.


def fit(tstate, data, steps, **options):
    return training.fit(tstate, MSE, data, steps=steps, **({"progress": False} | options))


def numpy_rows(n, size, steps, key, shuffle, wrap):
    """Rows of each batch, from the orders alone: one stream that "drop" cuts at each pass."""
    orders = [
        np.asarray(jax.random.permutation(jax.random.fold_in(key, e), n)) if shuffle else range(n)
        for e in range(steps + 2)
    ]
    kept = [list(order) if wrap else list(order)[: n // size * size] for order in orders]
    stream = [row for order in kept for row in order]
    return [stream[i * size : (i + 1) * size] for i in range(steps)]


CASES = [
    (7, 3, True, "drop"),
    (7, 3, True, "wrap"),
    (7, 3, False, "wrap"),
    (6, 3, True, "wrap"),
    (5, 5, True, "wrap"),
    (7, 4, False, "drop"),
]


def rows_as_digits(model, ps, st, data):
    digits = 10.0 ** jnp.arange(len(data), dtype=data.dtype)
    return jnp.sum(digits * data) + 0.0 * jnp.sum(ps.layer_1.weight), st, Record()


def seen_rows(tstate, batches, steps):
    """What the compiled loop trains on, told by the loss: the rows as digits of one number."""
    found = training.fit(tstate, rows_as_digits, batches, steps=steps, progress=False).losses
    size = batches.feed(0).reader.batch_size
    return [[int(value) // 10**i % 10 for i in range(size)] for value in found]


@any_precision
@pytest.mark.parametrize(("n", "size", "shuffle", "last"), CASES)
def test_batches_come_in_the_order_that_numpy_says(dtype, n, size, shuffle, last):
    key = jax.random.key(3)
    batches = training.Batches(
        jnp.arange(n, dtype=dtype), size, key=key, shuffle=shuffle, last_batch=last
    )
    steps = 3 * len(batches) + 1
    expected = numpy_rows(n, size, steps, key, shuffle, last == "wrap")
    assert [batches.batch(i).astype(int).tolist() for i in range(steps)] == expected
    assert seen_rows(start(dtype), batches, steps) == expected
    middle = start(dtype).replace(step=jnp.asarray(2, jnp.int32))
    assert seen_rows(middle, batches, steps - 2) == expected[2:]


@any_precision
def test_batches_show_every_sample_once_in_a_pass():
    rows = jnp.arange(10)
    drop = training.Batches(rows, 4, key=1)
    first = [int(i) for step in range(drop.steps(1)) for i in drop.batch(step)]
    assert len(first) == len(set(first)) == 8 and drop.steps(3) == 6 and len(drop) == 2
    wrap = training.Batches(rows, 4, key=1, last_batch="wrap")
    stream = [int(i) for step in range(wrap.steps(2)) for i in wrap.batch(step)]
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))
    assert stream[:10] != stream[10:] and wrap.steps(1) == len(wrap) == 3 and wrap.steps(2) == 5


@any_precision
def test_batches_of_another_key_come_in_another_order():
    orders = [training.Batches(jnp.arange(50), 50, key=k).batch(0).tolist() for k in (0, 1)]
    assert orders[0] != orders[1]
    same = training.Batches(jnp.arange(50), 50, key=jax.random.key(1)).batch(0).tolist()
    assert orders[1] == same


def test_batches_far_on_do_not_overflow():
    batches = training.Batches(jnp.arange(7), 3, last_batch="wrap", shuffle=False)
    step = 2**31 - 7
    rows = [(step * 3 + i) % 7 for i in range(3)]
    assert batches.batch(step).tolist() == rows


def test_fit_in_epochs_trains_as_single_steps_do(dtype):
    batches, tstate = training.Batches(line_data(dtype), 3, key=5), start(dtype)
    result = training.fit(tstate, MSE, batches, epochs=3, progress=False)
    assert len(result.losses) == 6
    for step in range(6):
        _, loss, _, tstate = training.single_train_step(AD, MSE, batches.batch(step), tstate)
        np.testing.assert_allclose(result.losses[step], loss, rtol=1e-4)
    whole = training.fit(start(dtype), MSE, line_data(dtype), epochs=2, progress=False)
    assert len(whole.losses) == 2


def test_data_are_arguments_of_the_compiled_loop(dtype):
    reader = training.Batches(line_data(dtype), 3).feed(0).reader
    again = training.Batches(jax.tree.map(lambda a: a + 1, line_data(dtype)), 3).feed(0).reader
    assert reader == again and hash(reader) == hash(again)  # One program for both.
    assert not jax.tree.leaves(reader)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (({"x": np.zeros((4, 1)), "y": np.zeros(3)}, 2), r"got 4 at `data\['x'\]`, 3 at `data\["),
        (((np.zeros(4), np.zeros(())), 2), r"got 4 at `data\[0\]`, no axis at `data\[1\]`"),
        (((), 2), "one leading axis of samples in `data`, got no array"),
        ((np.zeros((0, 2)), 1), "at least one sample in `data`, got a length of 0"),
        ((np.zeros((4, 2)), 5), "`batch_size` of at most 4, the number of samples, got 5"),
        ((np.zeros((4, 2)), 0), "`batch_size` to be an integer of at least 1, got 0"),
        ((np.zeros((4, 2)), 2.0), r"`batch_size` to be an integer of at least 1, got 2\.0"),
    ],
)
def test_batches_of_bad_data_are_an_error(arguments, text):
    data = jax.tree.map(lambda a: a.astype(np.float32), arguments[0])
    with pytest.raises((TypeError, ValueError), match=text):
        training.Batches(data, arguments[1])


def test_batches_of_a_bad_option_are_an_error():
    with pytest.raises(ValueError, match='`last_batch` to be "drop" or "wrap", got \'keep\''):
        training.Batches(jnp.arange(4), 2, last_batch="keep")
    with pytest.raises(TypeError, match="`Batches` expects `key` to be a typed random key or an"):
        training.Batches(jnp.arange(4), 2, key=1.5)


@needs_x32
def test_float64_numpy_batches_with_x64_off_name_the_switch():
    with pytest.raises(TypeError, match=r"`data`\['x'\], a NumPy array, is float64, but jax_ena"):
        training.Batches({"x": np.zeros(4)}, 2)
    with pytest.raises(TypeError, match=r"batch 0 of `data`, a NumPy array, is float64, but"):
        fit(start(jnp.float32), (np.zeros((2, 1)) for _ in range(2)), 1)


@any_precision
def test_sampled_data_depend_on_key_and_step_alone(dtype):
    def points(key):
        x = jax.random.uniform(key, (4, 1), dtype)
        return x, 2 * x

    sampled, tstate = training.Sampled(points, key=7), start(dtype)
    result = fit(tstate, sampled, 3)
    cut = fit(fit(tstate, sampled, 2), sampled, 1)
    assert_same_bits(cut.tstate, result.tstate)
    for step in range(3):
        data = points(jax.random.fold_in(jax.random.key(7), step))
        _, loss, _, tstate = training.single_train_step(AD, MSE, data, tstate)
        np.testing.assert_allclose(result.losses[step], loss, rtol=1e-4)


def test_sampled_without_a_function_is_an_error():
    with pytest.raises(
        TypeError, match="`Sampled` expects a function `key -> tree` first, got tuple"
    ):
        training.Sampled((1, 2), 0)
    with pytest.raises(TypeError, match="`Sampled` expects `key` to be a typed random key"):
        training.Sampled(lambda key: key, "a")


class Loader:
    """A loader with a length, whose every pass has another order, as torch's has."""

    def __init__(self, dtype, count=3):
        x, y = line_data(np.dtype(dtype))
        self.parts = [(np.asarray(x)[i : i + 2], np.asarray(y)[i : i + 2]) for i in range(count)]
        self.passes = 0

    def __len__(self):
        return len(self.parts)

    def __iter__(self):
        self.passes += 1
        order = np.random.default_rng(self.passes).permutation(len(self.parts))
        return iter([self.parts[i] for i in order])


@any_precision
def test_loader_is_gone_through_pass_after_pass(dtype):
    tstate, loader = start(dtype), Loader(dtype)
    result = training.fit(tstate, MSE, loader, epochs=2, progress=False)
    assert loader.passes == 2 and len(result.losses) == 6
    again = Loader(dtype)
    for step, data in enumerate([*again, *again]):
        _, loss, _, tstate = training.single_train_step(AD, MSE, data, tstate)
        np.testing.assert_allclose(result.losses[step], loss, rtol=1e-4)


def test_loader_resumes_behind_what_is_done(tmp_path, dtype):
    tstate = start(dtype)
    whole = fit(tstate, Loader(dtype), 8)
    fit(tstate, Loader(dtype), 4, checkpoint=tmp_path)
    resumed = fit(tstate, Loader(dtype), 8, checkpoint=tmp_path, resume=True)
    assert_same_bits(resumed.tstate, whole.tstate)
    assert resumed.losses.tobytes() == whole.losses.tobytes()


def test_large_batches_are_stacked_in_small_numbers(dtype, monkeypatch):
    tstate = start(dtype)
    whole = fit(tstate, Loader(dtype), 6)
    monkeypatch.setattr("sciml_lux.training.data._stream._MAX_BYTES", 100)
    few = fit(tstate, Loader(dtype), 6)
    np.testing.assert_allclose(few.losses, whole.losses, rtol=1e-5)


def test_bare_iterator_ends_the_fit(dtype):
    result = fit(start(dtype), iter(Loader(dtype)), 100)
    assert len(result.losses) == 3 and result.message == "the data ended after 3 steps"
    listed = fit(start(dtype), training.Stream(list(Loader(dtype))), 4)
    assert len(listed.losses) == 4 and listed.message == ""


def test_bare_iterator_cannot_be_resumed_or_validate(tmp_path, dtype):
    data = iter(Loader(dtype))
    with pytest.raises(
        TypeError, match="resume from a checkpoint with `data` that is a bare iterator, a list_it"
    ):
        fit(start(dtype), data, 3, checkpoint=tmp_path, resume=True)
    with pytest.raises(TypeError, match="validate more than once with `validation` that is a bare"):
        fit(start(dtype), line_data(dtype), 3, validation=data)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            lambda x, y: (x[:1], y),
            r"batch 1 of `data` differs from the first, at `0`: expected \w+",
        ),
        (lambda x, y: (x, y, y), r"batch 1 of `data` differs .* at `2`: expected nothing, got"),
        (lambda x, y: (x, y.astype(np.float16)), r"at `1`: expected float\d+\[2,1\], got float16"),
    ],
)
def test_batches_that_differ_name_batch_and_leaf(dtype, change, text):
    loader = Loader(dtype, 2)
    loader.parts[1] = change(*loader.parts[1])
    with pytest.raises(ValueError, match=text):
        fit(start(dtype), training.Stream(loader.parts), 4)


def test_stream_of_nothing_is_an_error(dtype):
    for nothing in (iter([]), training.Stream([])):
        with pytest.raises(ValueError, match="`data` to give batches, but it gave none"):
            fit(start(dtype), nothing, 4)
    with pytest.raises(TypeError, match="`Stream` expects an iterable of batches, got int"):
        training.Stream(3)
    with pytest.raises(TypeError, match=r"batch 0 of `data`: expected arrays, got 2.0 at `1`. Wra"):
        fit(start(dtype), iter([(np.ones((2, 1)), 2.0)]), 4)


def test_epochs_of_data_without_a_length_are_an_error(dtype):
    for data, what in (
        (lambda step: line_data(dtype), "a function of the step"),
        (training.Sampled(lambda key: jax.random.normal(key, (), dtype), 0), "sampled with key"),
        ((batch for batch in Loader(dtype)), "batches from a generator"),
    ):
        with pytest.raises(ValueError, match=f"expects `steps` where the data has no .*{what}"):
            training.fit(start(dtype), MSE, data, epochs=2, progress=False)


def test_data_of_another_kind_are_an_error(dtype):
    for data in (None, "x.csv"):
        with pytest.raises(TypeError, match=f"Sampled or an iterable of batches, got {data!r}"):
            fit(start(dtype), data, 3)


@any_precision
def test_fit_does_not_resume_with_another_order(tmp_path, dtype):
    data = line_data(dtype)
    fit(start(dtype), training.Batches(data, 4, key=1), 3, checkpoint=tmp_path)
    with pytest.raises(io.CheckpointError, match=r"data was Batches\(8 samples, 4, key=\[0"):
        fit(
            start(dtype),
            training.Batches(data, 4, key=2),
            6,
            checkpoint=tmp_path,
            resume=True,
        )


def test_validation_is_the_mean_over_one_pass(dtype):
    tstate, data = start(dtype), line_data(dtype)
    forms = [data, training.Batches(data, 4), training.Stream([data, data]), lambda step: data]
    found = [fit(tstate, data, 2, validation=form, validation_every=2).validation for form in forms]
    moved = fit(tstate, data, 2).tstate
    expected = MSE(moved.model, moved.parameters, moved.states, data)[0]
    for validation in found:
        assert validation.steps.tolist() == [2]
        np.testing.assert_allclose(validation.losses, [expected], rtol=1e-5)


@pytest.mark.parametrize("form", ["wrap", "drop", "stream", "stream of uneven stacks"])
def test_validation_counts_each_sample_once(dtype, form):
    tstate, (x, y) = start(dtype), line_data(dtype)
    y = y.at[-1].add(3.0)  # The sample of the last, shorter batch.
    cuts = [(x[i : i + 3], y[i : i + 3]) for i in range(0, 8, 3)]
    held_out = {
        "stream": training.Stream(cuts),
        "stream of uneven stacks": training.Stream([cuts[0], cuts[2], cuts[1]]),
    }.get(form) or training.Batches((x, y), 3, key=5, last_batch=form)
    found = fit(tstate, (x, y), 1, validation=held_out, validation_every=1)
    moved = found.tstate
    expected = MSE(moved.model, moved.parameters, moved.states, (x, y))[0]
    np.testing.assert_allclose(found.validation.losses, [expected], rtol=1e-5)


@pytest.mark.parametrize("form", ["batches", "stream"])
def test_validation_that_is_not_finite_names_the_entry(dtype, form):
    x, y = line_data(dtype)
    x = x.at[7, 0].set(jnp.nan)
    held_out, name = {
        "batches": (training.Batches((x, y), 3, key=5), r"`validation\[0\]\[7, 0\]`"),
        "stream": (
            training.Stream([(x[i : i + 3], y[i : i + 3]) for i in range(0, 8, 3)]),
            r"batch 2: `validation\[0\]\[1, 0\]`",
        ),
    }[form]
    text = rf"the loss on `validation` is nan at step 2\. {name} is nan: correct the data"
    with pytest.warns(training.NonFiniteWarning, match=text):
        result = fit(start(dtype), line_data(dtype), 6, validation=held_out, validation_every=2)
    assert len(result.losses) == 6 and np.isnan(result.validation.losses).all()


def test_errors_of_held_out_data_speak_of_validation(dtype):
    data = line_data(dtype)
    for bad, text in (
        ("text", "expects `validation` to be a tree of arrays"),
        (training.Stream([]), "expects `validation` to give batches, but it gave none"),
        (training.Stream([data, {"x": data[0]}]), "batch 1 of `validation` differs from the first"),
        (training.Stream([data, (data[0], 2.0)]), "batch 1 of `validation`: expected arrays"),
    ):
        with pytest.raises((TypeError, ValueError), match=text):
            fit(start(dtype), data, 1, validation=bad, validation_every=1)


@needs_x32
def test_held_out_float64_numpy_data_with_x64_off_speak_of_validation():
    data = line_data(jnp.float32)
    with pytest.raises(TypeError, match=r"`validation`\[0\], a NumPy array, is float64, but jax_e"):
        fit(start("float32"), data, 1, validation=(np.ones((8, 1)), data[1]))


@needs_x64
def test_float64_data_for_float32_parameters_are_told_once_by_name():
    tstate, (x, y) = start("float32"), line_data("float32")
    wide = {"x": x, "y": np.asarray(y, np.float64)}
    objective = lambda model, ps, st, data: MSE(model, ps, st, (data["x"], data["y"]))
    run = lambda data, **options: training.fit(
        tstate, objective, data, steps=3, progress=False, **options
    )
    text = (
        r"`fit` got float64 at `data\['y'\]` and parameters of no more digits than float32, at "
        r"`layer_1.weight`: .* Convert the data, as with precision.f32\(data\), or train"
    )
    for data in (wide, training.Batches(wide, 4), training.Stream([wide]), lambda step: wide):
        with pytest.warns(precision.EltypeMismatchWarning, match=text) as warned:
            run(data)
        assert len(warned) == 1
    with pytest.warns(precision.EltypeMismatchWarning, match=r"float64 at `validation\['y'\]`"):
        run({"x": x, "y": y}, validation=wide, validation_every=1)
    with precision.match_eltype("error"), pytest.raises(precision.EltypeMismatchError, match=text):
        run(wide)
    with precision.match_eltype("convert"):
        run(wide)


class Reusing:
    """A loader that fills the same memory with every batch."""

    def __init__(self, dtype, copies):
        self.kind, self.copies = dtype, copies

    def __len__(self):
        return 8

    def __iter__(self):
        batch = np.empty((1, 1), self.kind)
        for i in range(8):
            batch[:] = i / 8
            yield (batch.copy(), 2 * batch) if self.copies else (batch, 2 * batch)


def test_loader_may_use_its_memory_again(dtype):
    results = [fit(start(dtype), Reusing(dtype, copies), 16) for copies in (True, False)]
    assert results[0].losses.tobytes() == results[1].losses.tobytes()


@needs_x32
def test_integers_that_32_bits_cannot_hold_are_refused():
    fine, wide = np.asarray([0, 1]), np.asarray([2**40, 1])
    assert training.Batches({"i": fine}, 1, shuffle=False).batch(1)["i"].tolist() == [1]
    for make in (lambda: training.Batches({"i": wide}, 1), lambda: fit(start("float32"), wide, 1)):
        with pytest.raises(TypeError, match="int64 numbers that int32 cannot hold, but jax_enable"):
            make()

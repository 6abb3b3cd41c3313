"""Objectives are looked up as `jax.jit` looks up functions."""

import dataclasses
import functools
import types
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
import pytest

from sciml_lux import losses, nn, testing, training
from tests.training.models import AD, line_data, tiny_state

LOSS = losses.MSELoss()
WEIGHT = 1.0
ELSEWHERE = types.ModuleType("elsewhere")  # Settings in another module.
exec("WEIGHT = 1.0\ndef helper(x):\n    return WEIGHT * x", ELSEWHERE.__dict__)

# Which code is new depends on the tests before.
pytestmark = [
    pytest.mark.any_precision,
    pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning"),
]


@functools.cache
def start(dtype):
    return line_data(dtype), tiny_state(dtype)  # Each optimiser would be another one.


def step(objective, dtype):
    return float(training.single_train_step(AD, objective, *start(dtype))[1])


class Settings:
    weight = 1.0

    class Inner:
        weight = 1.0


@jax.custom_jvp
def custom(x):
    return WEIGHT * x


custom.defjvp(lambda primals, tangents: (WEIGHT * primals[0], WEIGHT * tangents[0]))


def logged(function):
    @functools.wraps(function)
    def inner(*given):
        return function(*given)

    return inner


def scaled(factor, model, ps, st, data):
    return factor * LOSS(model, ps, st, data)[0], st, {}


def from_loss(scale):
    """An objective whose loss goes through `scale`."""

    def objective(model, ps, st, data):
        return scale(LOSS(model, ps, st, data)[0]), st, {}

    return objective


# What each reads when it is called, by a way of its own.
READ = {
    "global": lambda: from_loss(lambda x: WEIGHT * x),
    "module": lambda: from_loss(lambda x: ELSEWHERE.WEIGHT * x),
    "module's function": lambda: from_loss(ELSEWHERE.helper),
    "class": lambda: from_loss(lambda x: Settings.weight * x),
    "nested class": lambda: from_loss(lambda x: Settings.Inner.weight * x),
    "vmapped": lambda: from_loss(lambda x: jax.vmap(lambda y: WEIGHT * y)(x[None])[0]),
    "custom_jvp": lambda: from_loss(custom),
    "decorated": lambda: logged(from_loss(lambda x: WEIGHT * x)),
    "partial": lambda: functools.partial(lambda *given: scaled(WEIGHT, *given)),
    "jitted": lambda: jax.jit(from_loss(lambda x: WEIGHT * x), static_argnums=0),
    "object": lambda: Scaled(types.SimpleNamespace()),
}


class Scaled:
    def __init__(self, box):
        self.box = box

    def __call__(self, *given):
        return scaled(WEIGHT, *given)

    method = __call__


def set_weight(weight, monkeypatch):
    monkeypatch.setitem(globals(), "WEIGHT", weight)
    for owner, name in (
        (ELSEWHERE, "WEIGHT"),
        (Settings, "weight"),
        (Settings.Inner, "weight"),
    ):
        monkeypatch.setattr(owner, name, weight)


@pytest.mark.parametrize("name", READ)
def test_new_function_reads_its_current_values_and_an_old_one_those_of_its_trace(
    name, dtype, monkeypatch
):
    set_weight(2.0, monkeypatch)
    old = READ[name]()
    first = step(old, dtype)
    set_weight(6.0, monkeypatch)
    assert step(READ[name](), dtype) == pytest.approx(3 * first, rel=1e-6)
    with testing.assert_no_recompile():
        assert step(old, dtype) == first


def test_methods_are_looked_up_by_object_and_function(dtype):
    one = Scaled(None)
    step(one.method, dtype)
    with testing.assert_no_recompile():
        step(one.method, dtype)
    with pytest.warns(training.RecompilationWarning, match="`__call__` .* is compiled again"):
        step(Scaled(None).method, dtype)


@dataclasses.dataclass(frozen=True)
class Weighted:
    weight: float = 1.0

    def __call__(self, *given):
        return scaled(self.weight, *given)


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted(Weighted):
    pass


@pytest.mark.parametrize(
    "build", [losses.MSELoss, lambda: losses.HuberLoss(delta=0.5), Weighted, Slotted]
)
def test_equal_values_share_one_program(build, dtype):
    first = step(build(), dtype)
    with testing.assert_no_recompile():
        assert step(build(), dtype) == first


def test_equal_numbers_of_another_type_are_another_program(dtype):
    steps = [functools.partial(step, Weighted(weight), dtype) for weight in (2, 2.0)]
    for once in steps:
        with pytest.raises(AssertionError, match="compiled"), testing.assert_no_recompile():
            once()
    with testing.assert_no_recompile():
        assert steps[0]() == steps[1]()


def test_eager_loop_over_every_function_compiles_once(dtype):
    data, tstate = start(dtype)
    objective = lambda *given: scaled(2.0, *given)
    sampled = training.Sampled(lambda key: (jax.random.uniform(key, (2, 1), dtype), data[0][:2]), 0)

    def once():
        training.compute_gradients(AD, objective, data, tstate)
        training.single_train_step(AD, objective, data, tstate)
        training.train_steps(AD, objective, data, tstate, steps=2)
        options = {"validation": sampled, "validation_every": 1, "progress": False}
        training.fit(tstate, objective, sampled, steps=2, **options)
        scipy = training.SciPy("L-BFGS-B")
        training.minimise(tstate, objective, data, scipy, steps=1, progress=False)

    once()
    with testing.assert_no_recompile():
        once()


def test_function_written_anew_warns_with_the_remedy(dtype):
    build = lambda weight: lambda *given: scaled(weight, *given)
    kept = build(1.0)
    step(kept, dtype)
    text = (
        r"`<lambda>` \(.*test_objective.py:\d+\) is compiled again for the same model, shapes and "
        r"dtypes, .* by identity, as in `jax.jit`. Make it once, and pass what changes in `data`."
    )
    with pytest.warns(training.RecompilationWarning, match=text) as found:
        step(build(4.0), dtype)
    assert found[0].filename == __file__
    with pytest.warns(training.RecompilationWarning, match=text):
        losses_of = losses.GenericLossFunction(lambda x, y: (x - y) ** 2)
        step(losses_of, dtype)
        step(losses.GenericLossFunction(build_loss()), dtype)
        step(losses.GenericLossFunction(build_loss()), dtype)


def build_loss():
    return lambda x, y: jnp.abs(x - y)


def test_other_models_shapes_and_optimisers_are_no_recompilation(dtype):
    x, y = line_data(dtype)
    objective = lambda *given: scaled(1.0, *given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for width in (1, 2):
            model = nn.Chain(nn.Dense(1, width), nn.Dense(width, 1))
            for rows in (4, 8):
                tstate = tiny_state(dtype, model=model)
                training.compute_gradients(AD, objective, (x[:rows], y[:rows]), tstate)


@dataclasses.dataclass(frozen=True)
class Sum:
    terms: tuple

    def __call__(self, *given):
        return sum(term(*given)[0] for term in self.terms), given[2], {}


def named_alike(function):
    def inner(*given):
        return function(*given)

    return inner


def test_functions_of_one_factory_that_are_built_once_are_no_recompilation(dtype):
    build = lambda weight: lambda *given: scaled(weight, *given)
    objectives = [
        Sum((build(1.0), build(2.0))),
        named_alike(lambda *given: scaled(1.0, *given)),
        named_alike(lambda *given: scaled(2.0, *given)),
        functools.partial(scaled, 1.0),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for objective in objectives * 2:
            step(objective, dtype)


class Equal:
    def __init__(self, factor):
        self.factor = factor

    def __eq__(self, other):
        return isinstance(other, Equal) and self.factor == other.factor

    def __hash__(self):
        return hash(self.factor)

    def __call__(self, *given):
        return scaled(self.factor, *given)


def test_objective_goes_on_where_an_equal_one_is_gone(dtype):
    data, tstate = start(dtype)
    ended = [Equal(0.5)]

    class End(training.Callback):
        every = 1

        def on_steps(self, run):
            ended.clear()

    solver = optimistix.BFGS(rtol=1e-12, atol=1e-12)
    options = {"steps": 3, "progress": False}
    whole = training.minimise(tstate, ended[0], data, solver, **options)
    found = training.minimise(tstate, Equal(0.5), data, solver, callbacks=[End()], **options)
    assert not ended and found.losses.tolist() == whole.losses.tolist()


class WithSlots:
    __slots__ = ()

    def __call__(self, *given):
        return scaled(1.0, *given)


def test_object_without_weak_references_is_compiled_at_each_call_and_says_so(dtype):
    objective = WithSlots()
    text = "a WithSlots compares by identity, .* `__weakref__`, so it is compiled at every call"
    for _ in range(2):
        with pytest.warns(training.RecompilationWarning, match=text):
            assert step(objective, dtype) == step_of_loss(dtype)


def step_of_loss(dtype):
    return pytest.approx(step(LOSS, dtype), rel=1e-6)


@dataclasses.dataclass  # Compares by value, so it has no hash.
class Unhashable:
    def __call__(self, model, ps, st, data):
        return LOSS(model, ps, st, data)


def test_what_is_no_objective_is_refused(dtype):
    data, tstate = start(dtype)
    with pytest.raises(TypeError, match="objective, a Unhashable, must be hashable.*frozen datacl"):
        training.single_train_step(AD, Unhashable(), data, tstate)
    assert step(Unhashable().__call__, dtype) == step_of_loss(dtype)  # As under `jax.jit`.
    for call in (
        lambda: training.fit(tstate, None, data, steps=1),
        lambda: training.fit(tstate, data, LOSS, steps=1),
        lambda: training.train_steps(AD, data, LOSS, tstate, steps=1),
    ):
        with pytest.raises(TypeError, match="the objective must be a function .* The order is"):
            call()


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        (lambda y_pred, y: jnp.mean(y_pred - y), r"\(model, ps, st, data\) and .* \(y_pred, y\)"),
        (lambda model, ps, st, data: (jnp.sum(data[0]), st), r"got a tuple of 2. Write `return"),
        (lambda model, ps, st, data: jnp.sum(data[0]), r"got float\d\d\[\]. Write `return"),
    ],
)
def test_objective_of_another_form_is_an_error(dtype, objective, text):
    data, tstate = start(dtype)
    with pytest.raises(TypeError, match=f"the objective .*{text}"):
        training.single_train_step(AD, objective, data, tstate)


def test_state_in_another_place_names_the_order(dtype):
    data, tstate = start(dtype)
    with pytest.raises(
        TypeError, match=r"`fit` expects a TrainState or a FitResult first, got MSE"
    ):
        training.fit(LOSS, tstate, data, steps=1)
    with pytest.raises(TypeError, match=r"got MSELoss. The order is \(tstate, objective, data, m"):
        training.minimise(LOSS, data, tstate)


def test_arrays_closed_over_are_read_when_traced(dtype):
    weight = np.ones(1, dtype)
    objective = from_loss(lambda x: weight[0].item() * x)
    first = step(objective, dtype)
    weight[0] = 3
    assert step(objective, dtype) == first

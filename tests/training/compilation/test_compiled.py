"""What is compiled is freed with the objective, the model, the optimiser and the data."""

import functools
import gc

import jax
import jax.numpy as jnp
import optax
import optimistix
import pytest

import sciml_lux as lux
from sciml_lux import losses, nn, training
from sciml_lux.training.compilation._compiled import compiled
from tests.training.models import AD, line_data

LOSS = losses.MSELoss()
BYTES = 4_000_000

pytestmark = [
    pytest.mark.any_precision,
    pytest.mark.filterwarnings("ignore::sciml_lux.training.RecompilationWarning"),
]


def live():
    gc.collect()
    return sum(array.nbytes for array in jax.live_arrays())


def big():
    return jnp.ones(BYTES // 4, jnp.float32)


def state(optimizer=None, activation=nn.tanh):
    model = nn.Chain(nn.Dense(1, 4, activation), nn.Dense(4, 1))
    ps, st = lux.setup(jax.random.key(0), model, jnp.float32)
    return training.TrainState(model, ps, st, optimizer or optax.sgd(1e-2))


def closure(w):
    return lambda model, ps, st, data: (LOSS(model, ps, st, data)[0] + w[0], st, {})


class Object:
    def __init__(self, w):
        self.w = w

    def __call__(self, *given):
        return closure(self.w)(*given)

    method = __call__


class WithSlots:
    __slots__ = ("w",)

    def __init__(self, w):
        self.w = w

    def __call__(self, *given):
        return closure(self.w)(*given)


def custom_rule(w):
    @jax.custom_jvp
    def shifted(x):
        return x + w[0]

    shifted.defjvp(lambda primals, tangents: (primals[0] + w[0], tangents[0]))
    return lambda model, ps, st, data: (shifted(LOSS(model, ps, st, data)[0]), st, {})


OBJECTIVES = {
    "closure": closure,
    "partial": lambda w: functools.partial(lambda w, *given: closure(w)(*given), w),
    "object": Object,
    "method": lambda w: Object(w).method,
    "slots": WithSlots,
    "jitted": lambda w: jax.jit(closure(w), static_argnums=0),
    "custom rule": custom_rule,
    "loss of a function": lambda w: losses.GenericLossFunction(lambda x, y: (x - y) ** 2 + w[0]),
}


def use(objective, data, tstate):
    training.compute_gradients(AD, objective, data, tstate)
    training.single_train_step(AD, objective, data, tstate)
    training.train_steps(AD, objective, data, tstate, steps=2)
    fit(tstate, objective, data)


def fit(tstate, objective, data):
    options = {"validation": data, "validation_every": 1, "progress": False}
    return training.fit(tstate, objective, data, steps=2, **options)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_arrays_of_an_objective_are_freed_with_it(name):
    data, tstate = line_data(jnp.float32), state()
    before = live()
    objective = OBJECTIVES[name](big())
    use(objective, data, tstate)
    assert live() >= before + BYTES
    del objective
    assert live() < before + BYTES // 10


def test_arrays_of_a_model_an_optimiser_and_data_are_freed_with_them():
    def of_model(w):
        use(LOSS, line_data(jnp.float32), state(activation=lambda x: nn.tanh(x) * w[0]))

    def of_optimiser(w):
        shifted = optax.stateless(lambda updates, _: jax.tree.map(lambda u: u * w[0], updates))
        tstate = state(optax.chain(optax.sgd(1e-2), shifted))
        use(LOSS, line_data(jnp.float32), tstate)
        training.apply_gradients(tstate, tstate.parameters)

    def of_data(w):
        use(LOSS, (w[:, None], w[:, None]), state())

    def of_sampled(w):
        draw = lambda key: (jax.random.uniform(key, (2, 1), jnp.float32), w[:2, None])
        fit(state(), LOSS, training.Sampled(draw, key=0))

    def of_step(w):
        fit(state(), LOSS, lambda step: (w[:2, None], w[:2, None] * step.astype(w.dtype)))

    for once in (of_model, of_optimiser, of_data, of_sampled, of_step):
        before = live()
        once(big())
        assert live() < before + BYTES // 10, once.__name__


class Residuals:
    def __init__(self, w):
        self.w = w

    def residuals(self, model, ps, st, data):
        return model(data[0], ps, st)[0] * self.w[0] - data[1]

    def __call__(self, *given):
        return training.LeastSquares(self.residuals)(*given)


@pytest.mark.parametrize(
    "method",
    [
        training.SciPy("L-BFGS-B"),
        optax.lbfgs(),
        optimistix.BFGS(rtol=1e-3, atol=1e-3),
        optimistix.LevenbergMarquardt(rtol=1e-3, atol=1e-3),
        optimistix.Dogleg(rtol=1e-3, atol=1e-3),
    ],
    ids=["scipy", "optax", "BFGS", "LevenbergMarquardt", "Dogleg"],
)
def test_arrays_of_what_is_minimised_are_freed(method):
    def once(w):
        tstate = state(activation=lambda x: nn.tanh(x) * w[0])
        data, options = line_data(jnp.float32), {"steps": 2, "progress": False}
        training.minimise(tstate, Residuals(w), data, method, **options)

    before = live()
    once(big())
    assert live() < before + BYTES // 10


def test_objective_whose_program_calls_it_is_freed_with_the_optimiser():
    class Noting:
        def __init__(self, w):
            self.w = w

        def note(self, loss):
            pass

        def __call__(self, *given):
            loss, st, stats = closure(self.w)(*given)
            jax.debug.callback(self.note, loss)
            return loss, st, stats

    before = live()
    objective, tstate = Noting(big()), state()
    training.single_train_step(AD, objective, line_data(jnp.float32), tstate)
    jax.effects_barrier()
    del objective, tstate
    assert live() < before + BYTES // 10


def executables():
    gc.collect()
    return len(jax.devices()[0].client.live_executables())


def test_programs_of_an_optimiser_are_freed_with_it():
    data = line_data(jnp.float32)

    def once(rate):
        tstate = state(optax.adam(rate))
        training.single_train_step(AD, LOSS, data, tstate)
        training.fit(tstate, LOSS, data, steps=2, progress=False)

    once(0.1)
    before = executables()
    for number in range(4):
        once(0.01 * (number + 1))
    assert executables() <= before


def test_no_tracer_leaks():
    data, tstate = line_data(jnp.float32), state()
    sampled = training.Sampled(
        lambda key: (jax.random.uniform(key, (2, 1), jnp.float32), data[1][:2]), key=0
    )
    with jax.checking_leaks():
        for objective in (LOSS, closure(jnp.ones(1, jnp.float32))):
            use(objective, data, tstate)
            fit(tstate, objective, sampled)
            fit(tstate, objective, training.Batches(data, 2))
        for method in (training.SciPy("L-BFGS-B"), optimistix.BFGS(rtol=1e-3, atol=1e-3)):
            training.minimise(tstate, LOSS, data, method, steps=2, progress=False)

        @jax.jit
        def within(w):
            return training.compute_gradients(AD, closure(w), data, tstate)[1]

        within(jnp.ones(1, jnp.float32))


@pytest.mark.xfail(
    jax.__version_info__ >= (0, 12),
    reason="equinox keeps the constants that are part of a program from jax 0.12 on",
    raises=Exception,
    strict=True,
)
def test_no_tracer_leaks_of_a_solver_that_linearizes():
    method = optimistix.LevenbergMarquardt(rtol=1e-3, atol=1e-3)
    with jax.checking_leaks():
        data = line_data(jnp.float32)
        training.minimise(state(), LOSS, data, method, steps=2, progress=False)


def test_call_within_a_trace_of_the_same_function_has_its_own_values():
    @compiled
    def build(box):
        def run(x):
            return x + (build(box.inner)(x) if hasattr(box, "inner") else 1)

        return run

    class Box:
        pass

    outer = Box()
    outer.inner = Box()
    assert build(outer)(jnp.zeros((), jnp.float32)).item() == 1

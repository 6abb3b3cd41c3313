"""Compact layers: what keywords become, and what is refused."""

import collections
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import sciml_lux as lux
from sciml_lux import nn
from tests.conftest import needs_x32
from tests.nn.compact.test_compact import made, plain

X = jnp.ones(2, jnp.float32)
Pair = collections.namedtuple("Pair", ["left", "right"])


def normal(key, dtype):
    return jax.random.normal(key, (3, 2), dtype)


def change(m, x, value):
    m.h = value
    return x


def counted(m, x):
    m.n += 1
    return x


def called(function, **keywords):
    layer = nn.compact(function, **keywords)
    return layer(X, *made(layer))


def test_init_fn_draws_at_setup_in_its_dtype(dtype):
    model = nn.compact(
        lambda m, x: x @ m.w.T + m.b,
        w=nn.init_fn(normal),
        other=nn.init_fn(normal),
        b=nn.init_fn(lambda key, dtype: jnp.zeros(3, dtype), "state"),
    )
    ps, st = made(model, dtype)
    assert ps.w.shape == (3, 2) and st.b.shape == (3,) and ps.w.dtype == st.b.dtype == dtype
    assert not np.array_equal(ps.w, ps.other)
    assert not np.array_equal(ps.w, made(model, dtype, seed=1)[0].w)
    assert model(jnp.ones(2, dtype), ps, st)[0].shape == (3,)


def test_non_trainable_stays_in_the_state():
    w, fixed = jnp.ones(3, jnp.float32), jnp.asarray([1, 2, 3])
    model = nn.compact(
        lambda m, x: jnp.sum(x * m.w + m.fixed.astype(x.dtype)), w=w, fixed=nn.non_trainable(fixed)
    )
    ps, st = made(model)
    y, new = model(w, ps, st)
    assert list(ps) == ["w"] and new is st and y == 9
    np.testing.assert_array_equal(st.fixed, fixed)


def test_random_key_kept_in_the_state_is_split():
    @nn.compact(rng=nn.init_fn(lambda key, dtype: key, "state"))
    def noise(m, x):
        m.rng, key = jax.random.split(m.rng)
        return x + jax.random.normal(key, x.shape, x.dtype)

    ps, st = made(noise)
    y, new = noise(X, ps, st)
    assert not np.array_equal(y, noise(X, ps, new)[0])


def test_flag_in_the_state_follows_train_and_test_mode():
    model = nn.compact(lambda m, x: -x if m.training else x, training=lux.Static(True))
    ps, st = made(model)
    assert model(X, ps, st)[0][0] == -1 and model(X, ps, lux.testmode(st))[0][0] == 1
    for value in (False, lux.Static(False)):
        with pytest.raises(lux.StateStructureError, match=r"`h`: expected Static\(True\), got"):
            called(functools.partial(change, value=value), h=lux.Static(True))


def test_constants_are_as_given_and_numbers_are_numbers():
    seen = {}

    @nn.compact(n=3, eps=1e-5, act=nn.relu, how="add", pair=Pair(1, 2), dims=[1, (2,)], none=None)
    def model(m, x):
        seen.update({name: getattr(m, name) for name in dir(m)})
        return jnp.concatenate([x] * m.n) + m.eps

    ps, st = made(model)
    assert len(ps) == len(st) == 0
    assert jax.jit(model)(X, ps, st)[0].shape == (6,)
    expected = {"n": 3, "eps": 1e-5, "act": nn.relu, "how": "add", "pair": Pair(1, 2)}
    assert seen == expected | {"dims": (1, (2,)), "none": None}
    assert nn.compact(plain, w=[]) == nn.compact(plain, w=())


def test_constant_dict_is_read_by_name_and_unpacks():
    def model(m, x):
        return dict(**m.options), m.options.rtol, m.options["inner"].a

    options = {"rtol": 1e-3, "inner": {"a": [1, 2]}}
    (unpacked, rtol, inner), _ = called(model, options=options)
    assert list(unpacked) == ["rtol", "inner"] and rtol == 1e-3 and inner == (1, 2)
    assert nn.compact(model, options=options) == nn.compact(model, options=lux.Record(options))


def test_arrays_layers_and_states_in_dicts_and_named_tuples():
    @nn.compact(
        scales={"a": jnp.ones(2, jnp.float32), "rest": [jnp.ones(2, jnp.float32)]},
        layers=Pair(nn.Dense(2, 2), nn.Dense(2, 2)),
        carry=(0, [0.0, 1.0]),
        hidden=nn.non_trainable({"h": jnp.zeros(2, jnp.float32)}),
    )
    def model(m, x):
        count, (total, last) = m.carry
        m.carry = (count + 1, [total + 1, last])
        m.hidden = {"h": m.hidden.h + x}
        return m.layers.left(x * m.scales["a"] * m.scales.rest[0])

    ps, st = made(model)
    assert list(ps.scales) == ["a", "rest"] and list(ps.layers) == ["left", "right"]
    _, st = model(X, ps, st)
    assert st.carry.array_1 == 1 and st.carry.array_2.array_1 == 1.0
    np.testing.assert_array_equal(st.hidden.h, X)


def test_numbers_are_states_where_a_function_in_the_body_or_behind_a_wrapper_assigns_them():
    def body(scale, m, x):
        def step():
            m.n += 1

        step()
        return x * scale

    class Callable:
        def __call__(self, m, x):
            m.n += 1
            return x

    for function in (functools.partial(body, 2.0), Callable()):
        assert called(function, n=0)[1].n == 1


def test_weak_values_take_the_dtype_of_the_state():
    def model(m, x):
        m.n = 3
        m.t = jnp.where(x[0] > 0, 1, 2)
        m.flag = True
        return x

    st = called(model, n=0, t=0.0, flag=False)[1]
    assert st.n == 3 and st.t == 1 and st.t.dtype == jnp.float32 and not st.t.weak_type
    assert st.flag.dtype == jnp.bool_ and st.flag


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (jnp.zeros(3, jnp.float32), r"at `h`: expected float32\[2\], got float32\[3\]"),
        (jnp.zeros(2, jnp.float16), r"at `h`: expected float32\[2\], got float16\[2\]"),
        (1.5j, r"at `h`: expected float32\[2\], got 1.5j"),
        (None, r"at `h`: expected float32\[2\], got None"),
        ((X, X), "at `h`: expected float32"),
    ],
)
def test_state_variable_that_changes_its_structure_is_an_error(value, message):
    h = nn.non_trainable(X)
    with pytest.raises(lux.StateStructureError, match="its state variable `h`, " + message):
        called(functools.partial(change, value=value), h=h)
    with pytest.raises(lux.StateStructureError, match=r"at `h\S*`: expected (float32|nothing)"):
        called(functools.partial(change, value=value), h=nn.non_trainable([X]))


@pytest.mark.parametrize(
    ("keyword", "message"),
    [
        (jnp.ones(2, jnp.float32), "one of the parameters. Only training changes parameters"),
        (nn.Dense(2, 2), r"one of the layers. A sub-layer is fixed; call it: `m.h\(x\)`"),
        ("text", r"one of the constants. Start a state variable with h=non_trainable\("),
    ],
)
def test_assigning_what_is_no_state_is_an_error(keyword, message):
    with pytest.raises(AttributeError, match=f"`m.h` of `compact` cannot be assigned: .*{message}"):
        called(lambda m, x: change(m, x, 1), h=keyword)


def test_unknown_and_deleted_names_are_errors_that_list_what_exists():
    def model(m, x):
        return m.weight

    has = r"has no entry `weight`; it has layers `a`, `b`; parameters `w`; constants `act`. Give"
    with pytest.raises(AttributeError, match=f"`model` {has} it to `compact`: weight="):
        called(model, a=nn.Dense(2, 2), b=nn.Dense(2, 2), w=X, act=nn.relu)
    with pytest.raises(AttributeError, match="`compact` has no entry `h`; it has none"):
        called(lambda m, x: change(m, x, 1))
    with pytest.raises(AttributeError, match="`m.w` of `compact` cannot be deleted"):
        called(lambda m, x: delattr(m, "w"), w=X)
    assert called(lambda m, x: x if hasattr(m, "w") and not hasattr(m, "v") else None, w=X)


def test_missing_parameter_is_named():
    model = nn.compact(plain, w=X)
    with pytest.raises(AttributeError, match="`plain` needs the parameter `w`, but it got none"):
        model(X, lux.Record(), lux.Record())


@pytest.mark.parametrize(
    ("use", "path"),
    [
        (lambda m: m.w, "w"),
        (lambda m: m.dense, "dense"),
        (lambda m: setattr(m, "n", 1), "n"),
    ],
)
def test_m_after_the_call_is_an_error(use, path):
    kept = []
    called(lambda m, x: kept.append(m) or x, w=X, dense=nn.Dense(2, 2), n=nn.non_trainable(0))
    with pytest.raises(RuntimeError, match=f"`m.{path}` of `compact` was used after the call"):
        use(kept[0])


def test_sub_layer_after_the_call_is_an_error():
    kept = []
    called(lambda m, x: kept.append(m.dense[0]) or x, dense=[nn.Dense(2, 2)])
    assert repr(kept[0]) == "m.dense.layer_1: Dense(2, 2)"
    with pytest.raises(RuntimeError, match="`m.dense.layer_1` of `compact` was used after"):
        kept[0](X)


@pytest.mark.parametrize(
    "transform",
    [
        jax.jit,
        jax.vmap,
        lambda f: lambda x: jax.jvp(f, (x,), (x,))[0],
        lambda f: lambda x: jax.lax.scan(lambda c, _: (f(c), None), x, None, length=2)[0],
    ],
)
def test_state_that_changes_within_a_transformed_function_is_an_error(transform):
    body = lambda m, x: transform(m.inner)(x)
    x = jnp.ones((2, 2), jnp.float32)
    model = nn.compact(body, inner=nn.Chain(nn.compact(counted, n=0)))
    with pytest.raises(RuntimeError, match="the state `inner` of `compact` changed inside a nest"):
        model(x, *made(model))
    model = nn.compact(body, inner=nn.Chain(nn.Dense(2, 2)))
    assert model(x, *made(model))[0].shape == (2, 2)


def test_container_that_mixes_kinds_is_an_error():
    with pytest.raises(TypeError, match="entries of `x` to be of one kind, got constants and laye"):
        nn.compact(plain, x=(nn.Dense(2, 3), 1))
    with pytest.raises(TypeError, match="got layers and parameters in"):
        nn.compact(plain, x={"a": nn.Dense(2, 3), "b": X})


@pytest.mark.parametrize("function", [3, nn.Dense(2, 2), nn.Dense, lambda m: m, print, max, "f"])
def test_something_else_than_a_function_of_m_and_x_is_an_error(function):
    with pytest.raises(TypeError, match=r"`compact` expects a function.* Write `def net\(m, x\)"):
        nn.compact(function, w=X)


def test_arguments_with_defaults_are_left_alone():
    assert called(lambda m, x, scale=2: scale * x, w=X)[0][0] == 2
    assert called(lambda m, x, ps, scale=2: scale * ps.w, w=3 * X)[0][0] == 6


@pytest.mark.parametrize("array", [jnp.asarray([1, 2]), np.asarray([True])])
def test_parameter_without_a_gradient_is_an_error(array):
    with pytest.raises(TypeError, match=r"parameter `w` to be floating or complex.*non_trainable"):
        nn.compact(plain, w=[array])


def test_arrays_that_no_layer_can_hold_are_errors():
    with pytest.raises(TypeError, match="`w` is a traced array, which cannot be a part of a layer"):
        jax.jit(lambda w: nn.compact(plain, w=w)(X, lux.Record(), lux.Record()))(X)
    with pytest.raises(TypeError, match="`non_trainable` expects numbers, got an array of key"):
        nn.non_trainable(jax.random.key(0))


@needs_x32
def test_float64_while_x64_is_off_is_an_error():
    with pytest.raises(
        TypeError, match="`w`, a NumPy array, is float64, but jax_enable_x64 is off"
    ):
        nn.compact(plain, w=np.ones(2))
    with pytest.raises(TypeError, match="`init_fn` returned, a NumPy array, is float64"):
        made(nn.compact(plain, w=nn.init_fn(lambda key, dtype: np.ones(2))))


def test_dict_without_names_is_an_error():
    with pytest.raises(TypeError, match=r"`w` expects a dict whose keys are strings, got \[1\]"):
        nn.compact(plain, w={1: X})


def test_constant_that_is_not_hashable_is_an_error():
    with pytest.raises(TypeError, match="the constant `seen` to be hashable, got set. Use a tuple"):
        nn.compact(plain, seen={1, 2})


@pytest.mark.parametrize("name", ["_w", "keys", "items"])
def test_name_that_no_record_can_have_is_an_error(name):
    with pytest.raises(ValueError, match=f"`compact` cannot have a keyword `{name}`: a name is an"):
        nn.compact(plain, **{name: 1})


def test_reserved_keywords_are_checked():
    with pytest.raises(
        TypeError, match="expects `name`, the printing name, to be a string, got De"
    ):
        nn.compact(plain, name=nn.Dense(2, 2))
    with pytest.raises(
        TypeError, match="expects `dispatch` to be a subclass of CompactLuxLayer, g"
    ):
        nn.compact(plain, dispatch="HyperNet")


def test_function_that_returns_nothing_is_an_error():
    with pytest.raises(
        TypeError, match="`compact` returned None. End its function with `return y`"
    ):
        called(lambda m, x: None, w=X)


def test_init_fn_is_checked():
    with pytest.raises(ValueError, match='`kind` to be "parameter" or "state", got \'param\''):
        nn.init_fn(normal, "param")
    for function in (lambda key: key, 3):
        with pytest.raises(TypeError, match=r"`init_fn` expects a function of \(key, dtype\), got"):
            nn.init_fn(function)
    with pytest.raises(TypeError, match="expects its function to return an array, got None"):
        made(nn.compact(plain, w=nn.init_fn(lambda key, dtype: None)))
    with pytest.raises(TypeError, match=r"a parameter to be floating or complex, got int32\[2\]"):
        made(nn.compact(plain, w=nn.init_fn(lambda key, dtype: jnp.zeros(2, jnp.int32))))


@pytest.mark.parametrize("x", [nn.Dense(2, 2), "text", [1, None]])
def test_non_trainable_of_something_else_is_an_error(x):
    with pytest.raises(TypeError, match="`non_trainable` expects arrays or numbers, got"):
        nn.non_trainable(x)

import operator
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sciml_lux import (
    ComponentArray,
    Layer,
    MissingEntryError,
    Record,
    StateStructureError,
    apply,
    nn,
    setup,
)
from sciml_lux.core import layer_name
from sciml_lux.core.internal import layer_path, subject
from tests.conftest import needs_x32
from tests.core.layers import DensePs, Duck, Pair, Returns, Running, Scale

X = jnp.asarray([[1.0, 2.0]], jnp.float32)
DENSE = nn.Dense(2, 3)
PS, ST = setup(0, DENSE)


class Spy(Layer):
    """Notes the path at which it is called."""

    paths: list | None = None

    def __init__(self, paths):
        object.__setattr__(self, "paths", _Box(paths))

    def __call__(self, x, ps, st):
        self.paths.value.append((layer_path(), subject(self)))
        return x, st


class _Box:
    def __init__(self, value):
        self.value = value


class Boom(Layer):
    """Foreign code that fails."""

    def __call__(self, x, ps, st):
        raise RuntimeError("boom")


def test_three_arguments_by_position_and_by_name():
    expected = DENSE(X, PS, ST)[0]
    for y, _ in (DENSE(x=X, ps=PS, st=ST), DENSE(X, PS, st=ST), DENSE(X, st=ST, ps=PS)):
        np.testing.assert_array_equal(y, expected)


@pytest.mark.parametrize(
    ("args", "kwargs", "got"),
    [
        ((X, PS), {}, r"2 \(argument 1, argument 2\)"),
        ((), {}, r"0 \(none\)"),
        ((X, PS, ST, ST), {}, r"4 \(argument 1, argument 2, argument 3, argument 4\)"),
        ((X,), {"params": PS}, r"2 \(argument 1, params\)"),
        ((X, PS), {"ps": PS}, r"3 \(argument 1, argument 2, ps\)"),
        ((X, PS, ST), {"st": ST}, r"4 \(argument 1, argument 2, argument 3, st\)"),
    ],
)
def test_other_arguments_raise(args, kwargs, got):
    text = rf"`Dense` is called with three arguments, y, st = model\(x, ps, st\), got {got}. Make"
    with pytest.raises(TypeError, match=text):
        DENSE(*args, **kwargs)


def test_names_and_paths():
    assert layer_name(DENSE) == "Dense" and layer_name(Duck()) == "Duck"
    assert layer_path() == "" and subject(DENSE) == "`Dense`"


def test_swapped_parameters_and_states_raise():
    model = nn.Chain(DENSE, Scale(3))
    ps, st = setup(0, model)
    text = (
        r"`Dense` \(at `layer_1`\) needs the parameter `weight`, but `ps` and `st` are swapped: "
        r"call y, st = model\(x, ps, st\)\."
    )
    with pytest.raises(AttributeError, match=text):
        model(X, st, ps)


def test_swapped_states_and_parameters_raise_for_a_state():
    ps, st = setup(0, Running(2))
    with pytest.raises(AttributeError, match="`Running` needs the state `training`, but `ps` and"):
        Running(2)(X, st, ps)


def test_missing_parameter_raises_with_its_path():
    model = nn.Chain(outer=nn.Chain(DENSE, nn.Dense(3, 1)))
    ps, st = setup(0, model)
    broken = Record(outer=ps.outer | {"layer_2": Record(bias=ps.outer.layer_2.bias)})
    text = (
        r"`Dense` \(at `outer.layer_2`\) needs the parameter `weight`, but it got `bias`. Pass the "
        r"trees that setup\(key, model\) made for this model"
    )
    with pytest.raises(MissingEntryError, match=text):
        model(X, broken, st)


def test_missing_layer_raises_and_is_not_taken_for_swapped_trees():
    model = nn.Chain(DENSE, nn.Dense(3, 1))
    ps, st = setup(0, model)
    text = "`Chain` needs the parameter `layer_2`, but it got `layer_1`. Pass the trees"
    with pytest.raises(MissingEntryError, match=text):
        model(X, Record(layer_1=ps.layer_1), st)
    with pytest.raises(
        MissingEntryError, match="`Chain` needs the state `layer_1`, but it got none"
    ):
        model(X, ps, Record())


def test_missing_parameter_of_a_component_array_raises_with_its_path():
    model = nn.Chain(nn.NoOpLayer(), nn.Chain(DENSE))
    _, st = setup(0, model)
    broken = ComponentArray(Record(layer_1=Record(), layer_2=Record(layer_1={"bias": PS.bias})))
    text = r"`Dense` \(at `layer_2.layer_1`\) needs the parameter `weight`, but it got `bias`"
    with pytest.raises(MissingEntryError, match=text):
        model(X, broken, st)


def test_missing_entry_error_pickles_after_it_is_explained():
    with pytest.raises(MissingEntryError) as caught:
        DENSE(X, Record(), ST)
    twin = pickle.loads(pickle.dumps(caught.value))
    assert str(twin) == str(caught.value)


def test_missing_entry_of_a_nested_record_names_the_layer():
    class Deep(Layer):
        def initial_parameters(self, key, dtype):
            return Record(inner=Record(shift=jnp.ones(1, dtype)))

        def __call__(self, x, ps, st):
            return x * ps.inner.scale, st

    model = nn.Chain(Deep())
    with pytest.raises(MissingEntryError, match="has no entry `scale`") as caught:
        model(X, Record(layer_1=Record(inner=Record(shift=1))), setup(0, model)[1])
    notes = getattr(caught.value, "__notes__", [])
    assert "`Deep` (at `layer_1`)" in "\n".join([str(caught.value), *notes])


def test_missing_attribute_of_a_foreign_tree_names_it():
    text = "`Scale` expects `ps` to have the entry `scale` as an attribute, got DensePs. Pass the"
    with pytest.raises(AttributeError, match=text):
        Scale(2)(X, DensePs(1, 2), Record())


def test_swapped_trees_of_records_are_recognised():
    ps, st = Record(physics=Record(a=jnp.ones(1))), Record(terms=Record())

    class Field(Layer):
        def initial_parameters(self, key, dtype):
            return ps

        def initial_states(self, key, dtype):
            return st

        def __call__(self, x, ps, st):
            return x * ps.physics.a, st

    with pytest.raises(MissingEntryError, match="`physics`, but `ps` and `st` are swapped"):
        Field()(X, st, ps)


def test_wrong_number_of_features_raises_with_path():
    model = nn.Chain(DENSE, nn.Chain(nn.NoOpLayer(), inner := nn.Dense(4, 1)))
    assert inner.in_dims == 4
    text = (
        r"`Dense` \(at `layer_2.layer_2`\) expects the last axis of `x` to be 4 \(`in_dims`\), got "
        r"shape \(1, 3\)"
    )
    with pytest.raises(ValueError, match=text):
        model(X, *setup(0, model))


def test_error_outside_a_container_has_no_path():
    with pytest.raises(ValueError, match=r"^`Dense` expects the last axis of `x` to be 2"):
        DENSE(jnp.ones((1, 5), jnp.float32), PS, ST)


def test_foreign_error_gets_one_note_naming_the_layer():
    model = nn.Chain(DENSE, outer := nn.Chain(Boom()))
    assert len(outer) == 1
    with pytest.raises(RuntimeError, match="boom") as caught:
        model(X, *setup(0, model))
    assert caught.value.__notes__ == ["while calling `Boom` (at `layer_2.layer_1`): Boom()"]


def test_foreign_error_of_a_function_gets_a_note():
    def cut(x):
        return x.no_such_attribute

    model = nn.Chain(DENSE, cut)
    with pytest.raises(AttributeError, match="no_such_attribute") as caught:
        model(X, *setup(0, model))
    note = "while calling `WrappedFunction` (at `layer_2`): WrappedFunction(cut)"
    assert note in caught.value.__notes__


def test_foreign_error_of_a_jitted_jax_function_gets_a_note():
    model = nn.Chain(DENSE, nn.WrappedFunction(lambda x: jnp.matmul(x, x)))
    with pytest.raises(TypeError, match="dot_general requires contracting") as caught:
        model(X, *setup(0, model))
    assert "while calling `WrappedFunction` (at `layer_2`)" in "".join(caught.value.__notes__)


def test_note_is_there_under_jit():
    model = nn.Chain(Boom())
    with pytest.raises(RuntimeError, match="boom") as caught:
        jax.jit(model)(X, *setup(0, model))
    assert "while calling `Boom` (at `layer_1`): Boom()" in caught.value.__notes__


def test_path_is_forgotten_after_an_error():
    model = nn.Chain(Boom())
    with pytest.raises(RuntimeError, match="boom"):
        model(X, *setup(0, model))
    assert layer_path() == ""


def test_paths_of_containers_wrappers_and_shared_layers():
    paths = []
    spy = Spy(paths)
    model = nn.Chain(
        spy,
        spy,
        nn.SkipConnection(spy, operator.add),
        nn.Parallel(nn.Chain(nn.WrappedFunction(sum), spy), spy, spy),
        Pair(spy, (spy, spy)),
    )
    model(X, *setup(0, model))
    assert [path for path, _ in paths] == [
        "layer_1",
        "layer_2",
        "layer_3",
        "layer_4.layers.layer_1",
        "layer_4.layers.layer_2",
        "layer_4.connection.layer_2",
        "layer_5.first",
        "layer_5.rest.layer_1",
        "layer_5.rest.layer_2",
    ]
    assert paths[4][1] == "`Spy` (at `layer_4.layers.layer_2`)"


def test_paths_with_a_component_array():
    paths = []
    model = nn.Chain(Scale(2), nn.Chain(Scale(2), Spy(paths)))
    ps, st = setup(0, model)
    model(X, ComponentArray(ps), st)
    assert [path for path, _ in paths] == ["layer_2.layer_2"]


def test_path_of_duck_typed_layers_with_empty_tuples_as_trees():
    class Plain:
        def initial_parameters(self, key, dtype):
            return ()

        initial_states = initial_parameters

        def __call__(self, x, ps, st):
            return x, st

    class Fails(Plain):
        def __call__(self, x, ps, st):
            raise RuntimeError("boom")

    model = nn.Chain(Plain(), Fails())
    with pytest.raises(RuntimeError, match="boom") as caught:
        model(X, *setup(0, model))
    assert "(at `layer_2`)" in caught.value.__notes__[0]


def _with_mean(value):
    return lambda x, ps, st: (x, st | {"mean": value})


@pytest.mark.parametrize(
    ("function", "difference"),
    [
        (
            _with_mean(jnp.zeros(3, jnp.float32)),
            r"at `mean`: expected float32\[2\], got float32\[3",
        ),
        (
            _with_mean(jnp.zeros(2, jnp.float16)),
            r"at `mean`: expected float32\[2\], got float16\[2",
        ),
        (_with_mean(None), r"at `mean`: expected float32\[2\], got None"),
        (lambda x, ps, st: (x, st | {"b": 1}), "at `b`: expected nothing, got 1"),
        (lambda x, ps, st: (x, Record()), r"at `mean`: expected float32\[2\], got nothing"),
        (lambda x, ps, st: (x, {"mean": st.mean}), "expected the structure PyTreeDef"),
    ],
)
def test_changed_state_structure_raises(function, difference):
    model = Returns(function)
    text = f"`Returns` returned a state unlike the one it got, {difference}"
    with pytest.raises(StateStructureError, match=text):
        model(X, *setup(0, model))
    with pytest.raises(StateStructureError, match=text):
        jax.jit(model)(X, *setup(0, model))


def test_changed_state_structure_inside_a_container_names_the_path():
    model = nn.Chain(DENSE, nn.Chain(Returns(_with_mean(jnp.zeros(3, jnp.float32)))))
    with pytest.raises(
        StateStructureError, match=r"at `layer_2.layer_1.mean`: expected float32\[2"
    ):
        model(X, *setup(0, model))


def test_changed_state_structure_of_a_duck_raises():
    class Grows(Duck):
        def __call__(self, x, ps, st):
            return x, {"new": 1}

    with pytest.raises(StateStructureError, match=r"`Grows` returned a state unlike .* at `new`"):
        apply(Grows(), X, *setup(0, Grows()))


def test_changed_state_value_is_allowed():
    model = Returns(_with_mean(jnp.ones(2, jnp.float32)))
    np.testing.assert_array_equal(model(X, *setup(0, model))[1].mean, [1.0, 1.0])


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda x, ps, st: x, "ArrayImpl"),
        (lambda x, ps, st: None, "NoneType"),
        (lambda x, ps, st: [x, st], "list"),
        (lambda x, ps, st: (x, st, st), "tuple"),
    ],
)
def test_result_that_is_no_pair_raises(function, got):
    text = rf"`Returns` \(at `layer_1`\) must return the pair \(y, st\), got {got}. The contract is"
    model = nn.Chain(Returns(function))
    with pytest.raises(TypeError, match=text):
        model(X, *setup(0, model))


@pytest.mark.parametrize(
    ("x", "got"),
    [
        ([1.0, 2.0], "list of Python numbers"),
        ((1, 2.0), "tuple of Python numbers"),
        (1.0, "the Python number 1.0"),
        ([True], "list of Python numbers"),
    ],
)
def test_python_numbers_as_input_raise(x, got):
    text = rf"`Dense` expects `x` to be an array, got {got}. Convert it: jnp.as"
    with pytest.raises(TypeError, match=text):
        DENSE(x, PS, ST)


def test_trees_of_arrays_and_empty_trees_are_inputs():
    for x in ((X, X), {"a": X}, None, ()):
        assert nn.NoOpLayer()(x, Record(), Record())[0] is x


def test_integer_input_is_taken_in_the_parameters_dtype():
    y, _ = DENSE(jnp.ones((1, 2), jnp.int32), PS, ST)
    assert y.dtype == PS.weight.dtype


def test_numpy_input_of_the_same_dtype_is_taken():
    np.testing.assert_array_equal(DENSE(np.asarray(X), PS, ST)[0], DENSE(X, PS, ST)[0])


@needs_x32
def test_numpy_float64_input_with_x64_off_raises():
    with pytest.raises(
        TypeError, match=r"^`x`, a NumPy array, is float64, but jax_enable_x64 is off"
    ):
        DENSE(np.ones((1, 2)), PS, ST)
    with pytest.raises(TypeError, match=r"^`x`\['a'\], a NumPy array, is complex128"):
        nn.NoOpLayer()({"a": np.ones(2, np.complex128)}, Record(), Record())


@needs_x32
def test_numpy_float64_parameters_with_x64_off_raise():
    ps = PS | {"bias": np.ones(3)}
    with pytest.raises(TypeError, match=r"^`ps`\['bias'\], a NumPy array, is float64"):
        DENSE(X, ps, ST)
    with pytest.raises(TypeError, match=r"jax.config.update\('jax_enable_x64', True\)"):
        apply(Duck(), X, {"shift": np.ones(2)}, {})

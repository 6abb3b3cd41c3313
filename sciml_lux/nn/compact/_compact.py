"""compact: a layer from a function and keywords."""

import dataclasses
import functools
import importlib
import inspect
import operator
from collections.abc import Callable
from typing import Any, overload

import jax
import numpy as np
from jaxtyping import PyTree

from ...core import Key, Layer, LayerLike, Parameters, Record, States
from ...core.internal import PrintFrame, argument_text, function_source, outermost, subject
from ...precision import tree_dtype
from ...precision.internal import match_input
from ._entries import Entries, children, named, sorted_entries, start
from ._namespace import Namespace, close

_FORM = "Write `def net(m, x): ...` or `def net(m, x, ps): ...`."


class CompactLuxLayer(Layer):
    """The layer that `compact` returns; only `compact` makes it.

    Args:
        function: `y = function(m, x)` or `function(m, x, ps)`.
        layers, parameters, states, constants: the keywords of `compact`, by kind.
        name: the printing name.
        takes_indices: whether integer inputs are indices, which keep their dtype.

    Source: `CompactLuxLayer` of Lux 1.31.

    Example:
        >>> from sciml_lux import nn
        >>> net = nn.compact(lambda m, x: m.dense(x), dense=nn.Dense(2, 3), name="Net(2, 3)")
        >>> isinstance(net, nn.CompactLuxLayer), net
        (True, Net(2, 3))
    """

    function: Callable[..., Any]
    layers: Entries = ()
    parameters: Entries = ()
    states: Entries = ()
    constants: Entries = ()
    _: dataclasses.KW_ONLY
    name: str | None = None
    takes_indices: bool = False  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        """Check the function and the names."""
        if not callable(self.function) or isinstance(self.function, Layer | type):
            raise TypeError(f"`compact` expects a function, got {self.function!r}. {_FORM}")
        if self._num_arguments not in (2, 3):
            raise TypeError(
                f"`compact` expects a function of (m, x) or (m, x, ps), got "
                f"`{argument_text(self.function)}` with {self._num_arguments} arguments that have "
                f"no default. {_FORM}"
            )
        for name in self.entries:
            if name.startswith("_") or name in ("keys", "values", "items"):
                raise ValueError(
                    f"`compact` cannot have a keyword `{name}`: a name is an identifier without a "
                    "leading underscore, and not `keys`, `values` or `items`. Choose another name."
                )

    @functools.cached_property
    def _num_arguments(self) -> int:
        try:
            arguments = inspect.signature(self.function).parameters.values()
        except ValueError:
            return 0  # Written in C, without a signature.
        positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        return sum(a.kind in positional and a.default is a.empty for a in arguments)

    @property
    def display_name(self) -> str:
        """The printing name, or that of the function; `compact` for a lambda."""
        function = getattr(self.function, "__name__", type(self.function).__name__)
        return self.name or function.replace("<lambda>", "compact")

    @functools.cached_property
    def entries(self) -> dict[str, tuple[str, Any]]:
        """The kind and the value of each keyword."""
        kinds = ("layers", "parameters", "states", "constants")
        return {name: (kind, tree) for kind in kinds for name, tree in getattr(self, kind)}

    def sublayers(self) -> dict[str, LayerLike]:
        """The layers by name, those of a list or dict nested."""
        return {name: children(tree) for name, tree in self.layers}

    def initial_parameters(self, key: Key, dtype: np.dtype) -> Parameters:
        """The parameters of the layers, then the layer's own."""
        return super().initial_parameters(key, dtype) | self._start(self.parameters, key, dtype)

    def initial_states(self, key: Key, dtype: np.dtype) -> States:
        """The states of the layers, then the layer's own."""
        return super().initial_states(key, dtype) | self._start(self.states, key, dtype)

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """What the function returns, and the states after its assignments."""
        x = self._matched(x, ps)
        m = Namespace(self, ps, st)
        try:
            y = self.function(*(m, x, ps)[: self._num_arguments])
        finally:
            st = close(m)
        if y is None:
            raise TypeError(f"{subject(self)} returned None. End its function with `return y`.")
        return y, st

    def _start(self, entries: Entries, key: Key, dtype: np.dtype) -> Record:
        made = {}
        for index, (name, tree) in enumerate(entries, start=len(self.layers)):
            made[name] = start(tree, jax.random.fold_in(key, index), dtype)
        return Record(made)

    def _matched(self, x: PyTree, ps: Parameters) -> PyTree:
        """`x` under the dtype policy for parameters in lists; the base class covers the others."""
        nested = [name for name, tree in self.parameters if named(tree, "array") is not None]
        dtype = tree_dtype([getattr(ps, name) for name in nested])
        if dtype is None or self.takes_indices:
            return x
        return match_input(x, dtype, lambda: subject(self), model=outermost)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # The name of a decorated function refers to the layer in its module, so pickle could not
        # find the function under it.
        place = (
            getattr(self.function, "__module__", ""),
            getattr(self.function, "__qualname__", ""),
        )
        try:
            found = _find(*place)
        except (AttributeError, ImportError, ValueError):
            found = None
        if found is self:
            return _find, place
        if getattr(found, "function", None) is self.function:  # Made from that layer.
            fields = self.__getstate__()
            del fields["function"]
            return _made_from, (found, type(self), fields)
        return super().__reduce_ex__(protocol)

    def _arguments(self) -> list[str]:
        if self.name:
            return []
        layers = [f"{name}={argument_text(tree)}" for name, tree in self.layers]
        return [argument_text(self.function), *layers, *self._own_arguments()]

    def _own_arguments(self) -> list[str]:
        own = (*self.parameters, *self.states, *self.constants)
        options = ["takes_indices=True"] if self.takes_indices else []
        return [*(f"{name}={argument_text(tree)}" for name, tree in own), *options]

    def __repr__(self) -> str:
        return self.name or f"compact({', '.join(self._arguments())})"

    def print_frame(self) -> PrintFrame | None:
        """The source: keywords around the function as it was written."""
        if self.name:
            return None
        text = function_source(self.function) or argument_text(self.function)
        if not text.startswith("def "):
            return PrintFrame(f"compact({text},", self._own_arguments(), [")"])
        return PrintFrame("@compact(", self._own_arguments(), [")", *text.splitlines()])


@overload
def compact(function: Callable[..., Any], /, **keywords: Any) -> CompactLuxLayer: ...


@overload
def compact(**keywords: Any) -> Callable[[Callable[..., Any]], CompactLuxLayer]: ...


def compact(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    dispatch: type[CompactLuxLayer] = CompactLuxLayer,
    takes_indices: bool = False,
    **keywords: Any,
) -> CompactLuxLayer | Callable[[Callable[..., Any]], CompactLuxLayer]:
    """A layer y = function(m, x), where `m` has the keywords by name.

    Args:
        function: of `m` and the input (a tuple if there are several), and optionally of `ps` as a
            third argument. Leave it out to use `compact` as a decorator.
        name: printed in place of the source.
        dispatch: a subclass of `CompactLuxLayer` to make, which may override its methods.
        takes_indices: whether integer inputs are indices, which keep their dtype.
        **keywords: the attributes of `m`. A list, tuple or dict contains values of one kind; a list
            is a tuple in `m`.

            - Layers are sub-layers: `m.encoder(x)` is the output, and the next call of the
              sub-layer in the function sees the new state. `m.encoder(x, ps)` takes other
              parameters.
            - Floating and complex arrays are the initial values of parameters, in their own dtype.
            - `init_fn` draws a parameter or a state at `setup`. `non_trainable` and `Static`, a
              flag, are states.
            - Numbers that the function assigns, as in `m.count = m.count + 1`, are state
              variables: a float takes the dtype of `setup`, an integer int32.
            - Everything else is a constant: functions, strings, other numbers.

    Returns: the layer, or a decorator that makes it.

    Parameters: those of each layer under its keyword, and within a list under `layer_1, layer_2,
        ...`; arrays likewise, within a list under `array_1, array_2, ...`.

    States: those of the layers and the state variables, under the same names.

    A state variable keeps its structure, shape and dtype. Each call makes its own `m`, which is
    invalid afterwards. The function compares by identity, arrays by content.

    Raises:
        TypeError: `function` takes neither (m, x) nor (m, x, ps); a container mixes kinds; an array
            is traced, or of integers, which have no gradient; the function returns None.
        ValueError: a keyword starts with an underscore, or is `keys`, `values` or `items`.
        AttributeError: the function reads an attribute that `m` does not have, or assigns one that
            is not a state.
        StateStructureError: a state variable is assigned another structure, shape or dtype.
        RuntimeError: `m` is used after the call, or a state is changed inside a nested function
            that JAX transforms.

    Source: `@compact` of Lux 1.31, where numbers and functions are states even if they never
        change, and integer arrays are parameters. Here `dispatch` is a class.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from sciml_lux import nn, setup
        >>> @nn.compact(w1=nn.Dense(1, 8), w2=[nn.Dense(8, 8) for _ in range(3)],
        ...             w3=nn.Dense(8, 1), act=nn.relu, calls=0)
        ... def net(m, x):
        ...     m.calls = m.calls + 1
        ...     x = m.act(m.w1(x))
        ...     for w in m.w2:
        ...         x = m.act(w(x))
        ...     return m.w3(x)
        >>> ps, st = setup(jax.random.key(0), net)
        >>> y, st = net(jnp.ones((5, 1), jnp.float32), ps, st)
        >>> y.shape, st.calls.item(), ps.w2.layer_3.weight.shape
        ((5, 1), 1, (8, 8))
        >>> print(net)
        @compact(
            w1=Dense(1, 8),                             # 16 parameters
            w2.layer_(1-3)=Dense(8, 8),                 # 216 (72 x 3) parameters
            w3=Dense(8, 1),                             # 9 parameters
            calls=0,
            act=relu,
        )
        def net(m, x):
            m.calls = m.calls + 1
            x = m.act(m.w1(x))
            for w in m.w2:
                x = m.act(w(x))
            return m.w3(x)                              # Total: 241 parameters,
                                                        #        plus 1 states.
        >>> nn.compact(lambda m, x: x * m.w, w=jnp.ones(3, jnp.float32))
        compact(<lambda>, w=float32[3])
    """
    if name is not None and not isinstance(name, str):
        raise TypeError(
            f"`compact` expects `name`, the printing name, to be a string, got {name!r}. Call the "
            "keyword something else."
        )
    if not (isinstance(dispatch, type) and issubclass(dispatch, CompactLuxLayer)):
        raise TypeError(
            f"`compact` expects `dispatch` to be a subclass of CompactLuxLayer, got {dispatch!r}."
        )

    def decorate(function: Callable[..., Any]) -> CompactLuxLayer:
        entries = sorted_entries(function, keywords)
        return dispatch(function, **entries, name=name, takes_indices=takes_indices)

    return decorate if function is None else decorate(function)


def _find(module: str, qualified_name: str) -> Any:
    """The attribute of a module under a qualified name."""
    return operator.attrgetter(qualified_name)(importlib.import_module(module))


def _made_from(layer: CompactLuxLayer, kind: type[CompactLuxLayer], fields: dict[str, Any]) -> Any:
    """Another layer around the function of `layer`."""
    return kind(layer.function, **fields)

"""Names for the types in the signatures of the operators."""

from collections.abc import Callable
from typing import Any, TypeAlias

from jaxtyping import Array

Differentiable: TypeAlias = Any
"""A function `f(x, *args)`, a layer, whose `args` are `ps, st`, or a `StatefulLuxLayer`."""

ArrayFunction: TypeAlias = Callable[[Array], Array]
"""A function of one array, with everything else fixed."""

"""parameter_mask: a mask of parameters, for optax."""

from collections.abc import Iterable

import jax
from jaxtyping import PyTree

from ...core import Parameters
from ._entries import as_paths, check_path, entry, records, with_entry


def parameter_mask(ps: Parameters, which: str | Iterable[str]) -> PyTree:
    """A tree like `ps` that is True at the named parameters and False elsewhere.

    For optax, as in `optax.masked(optax.set_to_zero(), parameter_mask(ps, "layer_1"))` after an
    optimiser, which then does not change layer_1. With `nn.freeze`, its gradients are not computed
    either.

    Args:
        ps: parameters.
        which: dotted paths, such as "layer_2", "layer_1.weight" or several.

    Raises:
        KeyError: there is no such parameter; the message lists those that exist.

    Example:
        >>> from sciml_lux import Record
        >>> parameter_mask(Record(layer_1=Record(weight=1.0, bias=2.0)), "layer_1.bias")
        Record(layer_1=Record(weight=False, bias=True))
    """
    ps = records(ps)
    mask = jax.tree.map(lambda _: False, ps)
    for path in as_paths(which):
        check_path("`parameter_mask`", ps, path)
        mask = with_entry(mask, path, jax.tree.map(lambda _: True, entry(ps, path)))
    return mask

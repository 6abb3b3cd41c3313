"""NoOpLayer: the identity as a layer."""

from typing import Any

from ...core import Layer


class NoOpLayer(Layer):
    """y = x.

    Source: `NoOpLayer` of Lux 1.31.

    Example:
        >>> from sciml_lux import Record
        >>> NoOpLayer()((), Record(), Record())
        ((), Record())
    """

    def __call__(self, x: Any, ps: Any, st: Any) -> tuple[Any, Any]:
        """`x` and `st` as they were."""
        return x, st

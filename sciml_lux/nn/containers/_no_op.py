"""NoOpLayer: the identity as a layer."""

from jaxtyping import PyTree

from ...core import Layer, Parameters, States


class NoOpLayer(Layer):
    """y = x.

    Source: `NoOpLayer` of Lux 1.31.

    Example:
        >>> from sciml_lux import Record
        >>> NoOpLayer()((), Record(), Record())
        ((), Record())
    """

    def __call__(self, x: PyTree, ps: Parameters, st: States) -> tuple[PyTree, States]:
        """`x` and `st` as they were."""
        return x, st

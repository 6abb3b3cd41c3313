"""What a kernel is: text in CUDA C++ for one thread for each member of a batch."""

from typing import NamedTuple, Protocol


class Source(NamedTuple):
    """A kernel as text.

    Attributes:
        text: CUDA C++, whole: nothing is included when it is compiled.
        entry: the name of its `extern "C" __global__` function.
        block: threads of a block; the grid has as many blocks as the batch needs.
        shared_bytes: dynamic shared memory of a block.
    """

    text: str
    entry: str
    block: int = 128
    shared_bytes: int = 0


class Kernel(Protocol):
    """What makes the text of a kernel: a frozen, hashable value, equal where its texts are."""

    def source(self, mapped: tuple[bool, ...]) -> Source:
        """The text.

        Args:
            mapped: of each operand, whether it has a batch axis, its last; others are shared.
        """
        ...

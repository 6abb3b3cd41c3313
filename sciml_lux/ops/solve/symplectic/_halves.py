"""The two halves of a separable field: dq/dt of p, and dp/dt of q."""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
from jaxtyping import PyTree

from ....core.internal import named_leaves
from ....precision import accumulated
from ..._primitive import ClosedJaxpr, jaxpr_as_fun, program_of, pruned
from ..steps._step import Leaves

Half = Callable[[list[jax.Array], jax.Array, Leaves], Leaves]
"""The derivative of one half of the state, of the parameters, the time, and the other half."""


class Halves(NamedTuple):
    """A separable field.

    Attributes:
        drift: dq/dt of p.
        kick: dp/dt of q.
        number: of the leaves of q, which come before those of p.
    """

    drift: Half
    kick: Half
    number: int


def halves_of(
    field: Callable[[jax.Array, PyTree, PyTree], PyTree],
    t0: jax.Array,
    y0: tuple[PyTree, PyTree],
    args: PyTree,
    name: str,
) -> tuple[Halves, list[jax.Array]]:
    """The halves of `field`, and its parameters: what it closes over, and the leaves of `args`.

    It is traced once. Each half is the part of its program that computes it.

    Args:
        field: of the time, the state and `args`.
        t0: a time.
        y0: the pair of the halves of the state.
        args: what the field gets, a tree of arrays.
        name: of the method, for the message.

    Raises:
        ValueError: it is not separable: dq/dt reads q, or dp/dt reads p.
    """
    (leaves, tree), (arguments, arguments_tree) = jax.tree.flatten(y0), jax.tree.flatten(args)
    count = len(jax.tree.leaves(y0[0]))

    def flat(t: jax.Array, *rest: jax.Array) -> Leaves:
        y, args = rest[: len(leaves)], rest[len(leaves) :]
        return jax.tree.leaves(field(t, tree.unflatten(y), arguments_tree.unflatten(args)))

    program, closed_over = program_of(flat, [t0, *leaves, *arguments])
    sizes = (len(closed_over), 1, count, len(leaves) - count, len(arguments))
    is_drift = [i < count for i in range(len(leaves))]
    drift, read = _half("q", program, is_drift, sizes)
    _check_separable(name, "q", y0[0], read, program)
    kick, read = _half("p", program, [not d for d in is_drift], sizes)
    _check_separable(name, "p", y0[1], read, program)
    return Halves(drift, kick, count), [*closed_over, *arguments]


def _half(
    own: str, program: ClosedJaxpr, results: Sequence[bool], sizes: Sequence[int]
) -> tuple[Half, Sequence[bool]]:
    """The part with these results, of a program of what it closes over, t, q, p and arguments.

    And which leaves of its own half of the state it reads.
    """
    part, used = pruned(program, results, [False] * sum(sizes))
    constants, _, q, p, _ = _parts(used, sizes)
    compiled, number = jax.jit(jaxpr_as_fun(part)), len(constants)

    def half(parameters: list[jax.Array], t: jax.Array, values: Leaves) -> Leaves:
        # In the place of its own half, which is not read, nothing.
        both = ([None] * len(q), values) if own == "q" else (values, [None] * len(p))
        operands = [*parameters[:number], t, *both[0], *both[1], *parameters[number:]]
        given = zip(itertools.compress(operands, used), part.in_avals, strict=True)
        found = compiled(*(v if v.dtype == a.dtype else v.astype(a.dtype) for v, a in given))
        return list(map(accumulated, found))

    return half, q if own == "q" else p


def _check_separable(
    name: str, half: str, tree: PyTree, read: Sequence[bool], program: ClosedJaxpr
) -> None:
    """Raise if the derivative of a half of the state reads a leaf of the same half."""
    for path, is_read in zip(named_leaves(tree), read, strict=True):
        if is_read:
            where = f"{half}.{path}" if path else half
            remedy = "Compute them apart, or take a solver for any field, such as diffrax.Tsit5()."
            if program.effects:
                remedy = "A callback, such as `jax.debug.print`, reads both: leave it out."
            raise ValueError(
                f"`{name}` expects dq/dt to depend on t and p alone and dp/dt on t and q alone, "
                f"but in the program of the vector field d{half}/dt depends on `{where}`. {remedy}"
            )


def _parts(values: Sequence[bool], sizes: Sequence[int]) -> list[Sequence[bool]]:
    rest = iter(values)
    return [list(itertools.islice(rest, size)) for size in sizes]

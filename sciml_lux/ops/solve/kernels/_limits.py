"""What is solved by a kernel, and what is not."""

from collections.abc import Iterator

import jax

from ....programs import ClosedJaxpr
from ...by_components import Refusal
from ..forward._loop import Given, Options
from ..steps._record import rows_of
from ._field_text import field_text, field_vjp_text

MOST_COMPONENTS = {"float32": 16, "float64": 8}
"""Of these the stages of a step just about stay in the registers of a thread."""

MOST_PARAMETERS = 64
MOST_BETWEEN = 64
"""Steps between two recorded states, which a thread takes again into memory of its own."""

MOST_STATEMENTS = 8_000
"""Of all stages of a step, and of their transposes: these compile in a few seconds."""


def why_not_kernel(program: ClosedJaxpr, options: Options, given: Given) -> str:
    """Why a solve has no kernel, in one sentence; empty if it has.

    Args:
        program: its field, of scalars: the time, the components of the state, the parameters.
        options: of the solve.
        given: what it is differentiated with respect to, or the types of it.
    """
    return next(_reasons(program, options, given), "")


def _reasons(program: ClosedJaxpr, options: Options, given: Given) -> Iterator[str]:
    leaves = jax.tree.leaves(given)
    dtypes = sorted({str(leaf.dtype) for leaf in leaves})
    if len(dtypes) > 1:
        yield f"a kernel computes in one dtype, and this solve has {' and '.join(dtypes)}."
    if dtypes[0] not in MOST_COMPONENTS:
        yield f"a kernel computes in float32 or float64, not in {dtypes[0]}."
    if any(leaf.shape for leaf in (*given.y0, *given.parameters)):
        yield "the leaves of its state and parameters are arrays; a kernel takes components."
    most = MOST_COMPONENTS[dtypes[0]]
    if len(given.y0) > most:
        yield _more(len(given.y0), f"components in {dtypes[0]}", most)
    if len(given.parameters) > MOST_PARAMETERS:
        yield _more(len(given.parameters), "parameters", MOST_PARAMETERS)
    _, longest = rows_of(options.max_steps, options.capacity)
    if longest > MOST_BETWEEN:
        yield _more(longest, "steps from one recorded state to the next", MOST_BETWEEN)
    moving = (True,) * len(given.parameters)
    try:
        texts = [field_text(program, len(given.y0)), field_vjp_text(program, len(given.y0), moving)]
    except Refusal as found:
        yield str(found)
        return
    number = sum(text.count("\n") for text in texts) * len(options.tableau.float64.p)
    if number > MOST_STATEMENTS:
        yield _more(number, "operations a step, with those of its transpose", MOST_STATEMENTS)


def _more(number: int, what: str, most: int) -> str:
    return f"it has {number} {what}; a kernel has room for {most}."

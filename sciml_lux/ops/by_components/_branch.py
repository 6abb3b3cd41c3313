"""The rule of a condition whose branch is known before values are."""

from ...programs import Call
from ._components import Components, is_constant
from ._refusal import refuse


def branch(call: Call, which: Components, *operands: Components) -> list[Components]:
    """The branch of a constant number, or of several for platforms that for any of them.

    Those for platforms compute the same: `jnp.diag` has such.
    """
    branches, platforms = call.params["branches"], call.params.get("branches_platforms")
    if platforms is not None and platforms[-1] is None:
        return call.evaluate(branches[-1], operands)
    if not is_constant(which):
        refuse(call)
    return call.evaluate(branches[int(which.item())], operands)

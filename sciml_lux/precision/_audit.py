"""audit: reads a traced program and its derivatives for every place where digits are lost."""

import collections
import dataclasses
import json
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import PyTree

from ..programs import ClosedJaxpr, walk
from ._exact import require_exact_floats
from ._judge import FAILING, judged
from ._leaves import NO_DERIVATIVE, floating_leaves
from ._resolve_dtype import resolve_dtype
from ._types import Leaf
from ._x64 import x64_enabled


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One thing the audit found.

    Attributes:
        program: "value", "gradient", "jvp" or "gradient of gradient".
        kind: "narrowing" (a cast to a narrower float), "low precision" (an intermediate narrower
            than the program is meant to be), "accumulation" (a sum of several terms in float16 or
            bfloat16: a reduction, a product, a scatter, what a loop adds to what it carries),
            "integer to float" (an integer turned into a float that is too narrow), "constant" (a
            narrower float, or a float64 with only the digits of float32; integers and short
            fractions such as 0.75 pass), "matmul precision" (a product that asks for less than its
            operands hold, or in float32 for the platform's default), "opaque" (a call that cannot
            be read: a callback, foreign code, a primitive that neither JAX nor equinox defines).
            The other kinds are not failures: "widening" (an intermediate wider than meant),
            "narrowing back" (from a wider float to the one meant), "rounding" (in the value:
            `round`, `floor`, `ceil`, or a float made from an integer or bits that came from a
            float, except in x - round(x) and in x times a power of two made from its exponent).
        detail: the dtypes, or what was called.
        path: the programs around it, such as `jit/while/scan`.
        line: the user's source line, "?" if unknown; for the backward rule of a `custom_vjp` the
            line of its call, since JAX keeps no other.
        library: the line of this library that it came from; empty if there is none.
        count: how many there are.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> halved = audit(lambda x: x.astype(jnp.bfloat16), jnp.ones(2, jnp.float32))
        >>> [(finding.program, finding.kind, finding.count) for finding in halved.findings]
        [('value', 'narrowing', 1)]
    """

    program: str
    kind: str
    detail: str
    path: str
    line: str
    library: str
    count: int = 1


@dataclasses.dataclass(frozen=True)
class Audit:
    """What `audit` returns; prints as a table.

    Attributes:
        want: the dtype that the program is meant to keep.
        findings: what was found, the most serious kinds first.
        skipped: programs that could not be traced, with the reason.

    Example:
        >>> import jax.numpy as jnp
        >>> audit(jnp.sin, jnp.ones(2, jnp.float32), grads=1)
        audit for float32: nothing found
    """

    want: str
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings where digits are lost or may be lost."""
        return tuple(finding for finding in self.findings if finding.kind in FAILING)

    def to_json(self) -> str:
        """All fields as JSON."""
        return json.dumps(dataclasses.asdict(self), indent=2)

    def __repr__(self) -> str:
        head = f"audit for {self.want}: "
        notes = [f"not read: {reason}" for reason in self.skipped]
        if not self.findings:
            return "\n".join([head + "nothing found", *notes])
        fields = [field.name for field in dataclasses.fields(Finding)]
        cells = [fields, *([str(getattr(f, n)) for n in fields] for f in self.findings)]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        rows = [
            "  ".join(t.ljust(w) for t, w in zip(r, widths, strict=True)).rstrip() for r in cells
        ]
        return "\n".join(
            [f"{head}{len(self.failures)} of {len(self.findings)} kinds fail", *rows, *notes]
        )


def audit(
    f: Callable[..., PyTree], *args: PyTree, grads: int = 0, want: DTypeLike | None = None
) -> Audit:
    """Every place where the program of `f(*args)`, or of its derivatives, loses digits.

    The program is traced, not run, and read in every sub-program: jit, scan, while, cond, remat,
    custom rules, kernels. A backward rule is part of the gradient's program, so ask for `grads`
    where there are custom rules. Half precision that is widened, moved or added up, and narrowed
    again is not listed: that is how sums keep their digits.

    Args:
        f: a function of trees of arrays.
        *args: its arguments, arrays or `jax.ShapeDtypeStruct`.
        grads: 0 for the value, 1 for gradient and jvp as well, 2 for the gradient of the gradient
            too. Derivatives are those of the sum of all floating outputs with respect to all
            floating arguments.
        want: the dtype that the program is meant to keep; by default the widest float of `args`.

    Returns:
        An `Audit`. A derivative that JAX cannot take, such as reverse mode of a `while` loop or any
        of a callback, is listed as not read.

    Raises:
        ValueError: `grads` is not 0, 1 or 2.
        TypeError: `want` is not a floating dtype; float64 NumPy arguments or a float64 `want`
            while x64 is off.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def f(x):
        ...     return jnp.sum(x.astype(jnp.float16).astype(x.dtype))
        >>> [finding.detail for finding in audit(f, jnp.ones(3, jnp.float32)).failures]
        ['float32 -> float16']
    """
    if grads not in (0, 1, 2):
        raise ValueError(f"`audit` expects `grads` to be 0, 1 or 2, got {grads!r}.")
    require_exact_floats(args, "`audit`: argument ")
    wanted = _widest(args) if want is None else resolve_dtype(want, "`audit`: `want`")
    wanted = jnp.finfo(wanted).dtype
    found: collections.Counter[Finding] = collections.Counter()
    skipped = []
    for name, program in _programs(f, args, grads):
        if isinstance(program, str):
            skipped.append(f"{name}: {program}")
            continue
        for visit, kind, detail in judged(program, wanted, name == "value"):
            site = visit.site
            found[Finding(name, kind, detail, site.path, site.line, site.library)] += 1
    findings = [dataclasses.replace(finding, count=count) for finding, count in found.items()]
    order = {kind: i for i, kind in enumerate(FAILING)}
    findings.sort(key=lambda finding: (order.get(finding.kind, len(order)), finding))
    return Audit(wanted.name, tuple(findings), tuple(skipped))


def assert_no_narrowing(
    f: Callable[..., PyTree],
    *args: PyTree,
    grads: int = 1,
    want: DTypeLike | None = None,
    allow: tuple[str, ...] = (),
) -> Audit:
    """Raise if `audit` finds places where digits are lost or may be lost; returns the audit.

    Args:
        f: as in `audit`.
        *args: as in `audit`.
        grads: as in `audit`.
        want: as in `audit`.
        allow: kinds that are not failures here, such as "opaque".

    Raises:
        AssertionError: with the table of the audit; also if a derivative that was asked for could
            be read in neither mode.

    Example:
        >>> import jax.numpy as jnp
        >>> assert_no_narrowing(jnp.sin, jnp.ones(2, jnp.float32))
        audit for float32: nothing found
    """
    report = audit(f, *args, grads=grads, want=want)
    failures = tuple(finding for finding in report.failures if finding.kind not in allow)
    unread = {reason.partition(":")[0] for reason in report.skipped}
    if failures or unread >= {"gradient", "jvp"} or "gradient of gradient" in unread:
        raise AssertionError(f"digits are lost\n{dataclasses.replace(report, findings=failures)}")
    return report


def _programs(
    f: Callable[..., PyTree], args: tuple, grads: int
) -> Iterator[tuple[str, ClosedJaxpr | str]]:
    yield "value", _traced(f, *args)
    if not grads:
        return
    yield from _derivatives(f, args, grads)


def _derivatives(
    f: Callable[..., PyTree], args: tuple, grads: int
) -> Iterator[tuple[str, ClosedJaxpr | str]]:
    def outputs(leaves: list[Leaf], args: tuple) -> list[Leaf]:
        return floating_leaves(f(*floating_leaves(args)[1](leaves)))[0]

    leaves, _ = floating_leaves(args)
    # Traced, not made here: a rule that cuts a constant leaves no trace of it in the program.
    cotangents = jax.eval_shape(outputs, leaves, args)
    if not leaves or not cotangents:
        yield "gradient", "no floating argument or no floating output"
        return
    gradient = _pulled_back(outputs)
    yield "gradient", _traced_or_reason(gradient, leaves, cotangents, args)
    yield "jvp", _traced_or_reason(_pushed_forward(outputs), leaves, leaves, args)
    if grads == 2:
        twice = _pulled_back(gradient)
        yield "gradient of gradient", _traced_or_reason(twice, leaves, leaves, cotangents, args)


def _pulled_back(f: Callable[..., list[Leaf]]) -> Callable[..., list[Leaf]]:
    """The gradient of `f` in its first argument, given the cotangents of what `f` returns."""

    def gradient(leaves: list[Leaf], cotangents: list[Leaf], *rest: PyTree) -> list[Leaf]:
        return jax.vjp(lambda leaves: f(leaves, *rest), leaves)[1](cotangents)[0]

    return gradient


def _pushed_forward(f: Callable[..., list[Leaf]]) -> Callable[..., PyTree]:
    return lambda leaves, tangents, args: jax.jvp(lambda x: f(x, args), (leaves,), (tangents,))


def _can_run(program: ClosedJaxpr) -> bool:
    """Whether it has none of the placeholders with which JAX postpones an error until it runs."""
    equations = (visit.equation for visit in walk(program))
    return not any(e is not None and e.primitive.name == "custom_lin" for e in equations)


def _traced(f: Callable[..., PyTree], *args: PyTree) -> ClosedJaxpr:
    return jax.make_jaxpr(f)(*args)


def _traced_or_reason(f: Callable[..., PyTree], *args: PyTree) -> ClosedJaxpr | str:
    """The program of a derivative, or why JAX has none."""
    try:
        program = _traced(f, *args)
    except NO_DERIVATIVE as error:
        return str(error).partition("\n")[0]
    return program if _can_run(program) else "a custom_vjp has no forward mode"


def _widest(args: tuple) -> np.dtype:
    """The widest float of the arrays; Python numbers take the dtype of what they meet."""
    dtypes = [leaf.dtype for leaf in jax.tree.leaves(args) if hasattr(leaf, "dtype")]
    floats = [jnp.finfo(d).dtype for d in dtypes if jnp.issubdtype(d, jnp.inexact)]
    default = jnp.float64 if x64_enabled() else jnp.float32
    return max(floats, key=lambda d: d.itemsize, default=jnp.dtype(default))

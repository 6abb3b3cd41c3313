"""audit: a proof, by reading the program, of what happens to the digits."""

import collections
import dataclasses
import json
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

from ._walk import Site, Visit, visits
from ._x64 import require_x64_for, x64_enabled

# What fails `assert_no_narrowing`; the others are told and let pass.
FAILING = (
    "narrowing",
    "low precision",
    "integer to float",
    "constant",
    "matmul precision",
    "opaque",
)
_CALLBACKS = frozenset({"pure_callback", "io_callback", "ffi_call", "custom_call"})
_PRODUCTS = frozenset({"dot_general", "conv_general_dilated", "ragged_dot", "ragged_dot_general"})
# equinox's run-time errors: they pass their operand on unchanged.
_HARMLESS_MODULES = ("equinox._errors", "equinox.internal", "equinox._unvmap")


@dataclasses.dataclass(frozen=True, order=True)
class Finding:
    """One thing the audit found.

    Attributes:
        program: "value", "gradient", "jvp" or "gradient of gradient".
        kind: "narrowing" (a cast to a narrower float), "low precision" (an intermediate narrower
            than the program is meant to be), "integer to float" (an integer turned into a float
            that is too narrow), "constant" (float64 with only float32's digits), "matmul
            precision" (a float32 product at the platform's default), "opaque" (a call that cannot
            be read), "widening" (an intermediate wider than meant: no digit is lost).
        detail: the dtypes, or what was called.
        path: the programs around it, such as `jit/while/scan`.
        line: the user's source line, "?" if unknown.
        library: the line of this library that it came from, if any.
        count: how many there are.
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
        findings: what was found, most serious kinds first.
        skipped: programs that could not be traced, with the reason.
    """

    want: str
    findings: tuple[Finding, ...]
    skipped: tuple[str, ...] = ()

    @property
    def failures(self) -> tuple[Finding, ...]:
        """The findings by which digits are lost or may be."""
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
        rows = ["  ".join(t.ljust(w) for t, w in zip(r, widths, strict=True)).rstrip() for r in cells]
        return "\n".join([f"{head}{len(self.failures)} of {len(self.findings)} kinds fail", *rows, *notes])


def audit(f: Callable[..., Any], *args: Any, grads: int = 0, want: Any = None) -> Audit:
    """Read the program of `f(*args)`, and of its derivatives, for every loss of digits.

    The program is traced, not run. It is walked into every sub-program: jit, scan, while, cond,
    remat, custom rules, kernels. A backward rule is part of the gradient's program, so ask for
    `grads` where there are custom rules.

    Args:
        f: a function of trees of arrays.
        *args: its arguments, arrays or `jax.ShapeDtypeStruct`.
        grads: 0 for the value, 1 for gradient and jvp as well, 2 for the gradient of the gradient
            too. Derivatives are those of the sum of all floating outputs with respect to all
            floating arguments.
        want: the dtype the program is meant to keep; by default the widest float of `args`.

    Returns:
        An `Audit`.

    Raises:
        ValueError: `grads` is not 0, 1 or 2.
        TypeError: float64 NumPy arguments while x64 is off.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> def f(x):
        ...     return jnp.sum(x.astype(jnp.float16).astype(x.dtype))
        >>> [finding.detail for finding in audit(f, jnp.ones(3, jnp.float32)).failures]
        ['float32 -> float16']
    """
    if grads not in (0, 1, 2):
        raise ValueError(f"`audit` expects `grads` to be 0, 1 or 2, got {grads!r}.")
    require_x64_for(args, "`audit`: argument ")
    wanted = jnp.finfo(_widest(args) if want is None else want).dtype
    found: collections.Counter[Finding] = collections.Counter()
    skipped = []
    for name, program in _programs(f, args, grads):
        if isinstance(program, str):
            skipped.append(f"{name}: {program}")
            continue
        for visit in visits(program):
            found.update(_judge(name, visit, wanted))
    findings = [dataclasses.replace(finding, count=count) for finding, count in found.items()]
    order = {kind: i for i, kind in enumerate(FAILING)}
    findings.sort(key=lambda finding: (order.get(finding.kind, len(order)), finding))
    return Audit(wanted.name, tuple(findings), tuple(skipped))


def assert_no_narrowing(
    f: Callable[..., Any], *args: Any, grads: int = 1, want: Any = None, allow: tuple[str, ...] = ()
) -> None:
    """Raise if `audit` finds that digits are lost or may be.

    Args:
        f: as in `audit`.
        *args: as in `audit`.
        grads: as in `audit`.
        want: as in `audit`.
        allow: kinds to let pass, such as "opaque".

    Raises:
        AssertionError: with the table of the audit.
    """
    report = audit(f, *args, grads=grads, want=want)
    failures = tuple(finding for finding in report.failures if finding.kind not in allow)
    if failures:
        raise AssertionError(f"digits are lost\n{dataclasses.replace(report, findings=failures)}")


def _programs(
    f: Callable[..., Any], args: tuple, grads: int
) -> Iterator[tuple[str, ClosedJaxpr | str]]:
    yield "value", _traced(f, *args)
    if not grads:
        return
    leaves, rebuild = _floating(args)

    def scalar(leaves: list[jax.Array]) -> jax.Array:
        outputs = jax.tree.leaves(f(*rebuild(leaves)))
        sums = [jnp.sum(jnp.real(y)) for y in outputs if jnp.issubdtype(y.dtype, jnp.inexact)]
        return sum(s.astype(jnp.result_type(*sums)) for s in sums)  # pyright: ignore[reportReturnType]

    gradient = jax.grad(scalar)
    yield "gradient", _traced(gradient, leaves)
    try:
        yield "jvp", _traced(lambda xs, ts: jax.jvp(scalar, (xs,), (ts,)), leaves, leaves)
    except TypeError as error:  # A custom_vjp has no forward mode.
        yield "jvp", str(error).splitlines()[0]
    if grads == 2:

        def slope(leaves: list[jax.Array]) -> jax.Array:
            return sum(jnp.sum(jnp.real(g)) for g in gradient(leaves))  # pyright: ignore[reportReturnType]

        yield "gradient of gradient", _traced(jax.grad(slope), leaves)


def _traced(f: Callable[..., Any], *args: Any) -> ClosedJaxpr:
    return jax.make_jaxpr(f)(*args)


def _floating(args: tuple) -> tuple[list[Any], Callable[[list[Any]], tuple]]:
    """The floating leaves of `args`, and how to put others in their place."""
    leaves, treedef = jax.tree.flatten(args)
    places = [i for i, leaf in enumerate(leaves) if jnp.issubdtype(_dtype(leaf), jnp.inexact)]

    def rebuild(values: list[Any]) -> tuple:
        new = list(leaves)
        for place, value in zip(places, values, strict=True):
            new[place] = value
        return jax.tree.unflatten(treedef, new)

    return [leaves[place] for place in places], rebuild


def _dtype(leaf: Any) -> np.dtype:
    return leaf.dtype if hasattr(leaf, "dtype") else jnp.result_type(leaf)


def _widest(args: tuple) -> Any:
    dtypes = [_dtype(leaf) for leaf in jax.tree.leaves(args)]
    floats = [jnp.finfo(d).dtype for d in dtypes if jnp.issubdtype(d, jnp.inexact)]
    default = jnp.float64 if x64_enabled() else jnp.float32
    return max(floats, key=lambda d: d.itemsize, default=jnp.dtype(default))


def _judge(program: str, visit: Visit, want: np.dtype) -> Iterator[Finding]:
    """The findings of one equation or constant."""

    def finding(kind: str, detail: str) -> Finding:
        site: Site = visit.site
        return Finding(program, kind, detail, site.path, site.line, site.library)

    equation = visit.equation
    if equation is None:
        if _has_float32_digits(visit.constant, want):
            yield finding("constant", f"{visit.constant.dtype} with the digits of float32")
        return
    name = equation.primitive.name
    for operand in equation.invars:
        if isinstance(operand, Literal) and _has_float32_digits(operand.val, want):
            yield finding("constant", f"{operand.val!r} with the digits of float32")
    if name in _CALLBACKS:
        called = _called(equation.params)
        if not called.startswith(_HARMLESS_MODULES):
            yield finding("opaque", f"{name} {called}".strip())
    if name in _PRODUCTS and _is_default_product(equation):
        yield finding("matmul precision", f"{name} of float32 at the platform's default")
    if name == "reduce_precision":
        kept = equation.params["mantissa_bits"]
        if kept < min(jnp.finfo(want).nmant, jnp.finfo(equation.invars[0].aval.dtype).nmant):
            yield finding("narrowing", f"reduce_precision to {kept} bits")
    sources = [v.aval.dtype for v in equation.invars if hasattr(v.aval, "dtype")]
    has_inner = any(True for _ in _inner_programs(equation.params))
    for result in equation.outvars:
        kind, detail = _of_result(getattr(result.aval, "dtype", None), sources, want)
        # What a sub-program returns was found inside it.
        if kind and not (has_inner and kind in ("low precision", "widening")):
            yield finding(kind, detail)


def _of_result(result: Any, sources: list[Any], want: np.dtype) -> tuple[str, str]:
    """Kind and detail of an equation's result, or two empty strings."""
    if result is None or not jnp.issubdtype(result, jnp.inexact):
        return "", ""
    real = jnp.finfo(result).dtype
    floats = [s for s in sources if jnp.issubdtype(s, jnp.inexact)]
    if _is_narrower(real, want):
        wider = [s for s in floats if _is_narrower(real, jnp.finfo(s).dtype)]
        if wider:
            return "narrowing", f"{wider[0]} -> {result}"
        if sources and not floats:
            return "integer to float", f"{sources[0]} -> {result}"
        return "low precision", str(result)
    if real.itemsize > want.itemsize and real not in [jnp.finfo(s).dtype for s in floats]:
        return "widening", f"{floats[0] if floats else 'nothing'} -> {result}"
    return "", ""


def _is_narrower(dtype: np.dtype, want: np.dtype) -> bool:
    """Fewer bytes, or the other of the two 16-bit floats: one has fewer digits, one less range."""
    return dtype.itemsize < want.itemsize or (
        dtype.itemsize == want.itemsize and dtype.name != want.name
    )


def _inner_programs(parameters: dict[str, Any]) -> Iterator[Any]:
    from ._walk import _programs as programs

    for value in parameters.values():
        yield from programs(value)


def _is_default_product(equation: Any) -> bool:
    if not all(v.aval.dtype == jnp.float32 for v in equation.invars[:2]):
        return False
    precision = equation.params.get("precision")
    precisions = precision if isinstance(precision, tuple) else (precision,)
    return any(p is None or p == jax.lax.Precision.DEFAULT for p in precisions)


def _called(parameters: dict[str, Any]) -> str:
    """Module and name of what a callback calls, or the target of a foreign call."""
    callback = parameters.get("callback")
    function = getattr(callback, "callback_func", callback)
    function = getattr(function, "func", function)
    if function is None:
        return str(parameters.get("target_name") or parameters.get("call_target_name") or "")
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"


def _has_float32_digits(value: Any, want: np.dtype) -> bool:
    """Whether float64 numbers are such that float32 could hold them, though they look measured.

    Integers and short dyadic numbers (up to 14 bits) are what one writes by hand.
    """
    if want != np.float64 or not hasattr(value, "dtype"):
        return False
    if value.dtype not in (np.float64, np.complex128) or not np.size(value):
        return False
    numbers = np.asarray(value).view(np.float64).ravel() if np.ndim(value) else np.asarray(value)
    numbers = np.atleast_1d(numbers)
    numbers = numbers[np.isfinite(numbers) & (numbers != np.round(numbers))]
    bits = np.frexp(numbers)[0]
    long = bits * 2.0**14 != np.round(bits * 2.0**14)
    with np.errstate(over="ignore"):
        cut = numbers.astype(np.float32).astype(np.float64) == numbers
    return bool(long.any() and cut.all())

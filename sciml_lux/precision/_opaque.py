"""Calls that cannot be read: callbacks, foreign code, primitives of other libraries."""

import sys

from ..programs import JaxprEqn, Primitive

# The primitives of JAX and equinox that call something other than a program.
_CALLS = frozenset(
    {"pure_callback", "io_callback", "buffer_callback", "ffi_call", "custom_call", "call_exported"}
    | {"call_hi_primitive", "call_tf", "noinline"}
)
# The run-time errors of equinox, which return their operand unchanged.
_HARMLESS = ("equinox._errors", "equinox.internal", "equinox._unvmap")
# The libraries whose primitives are arithmetic or the identity.
_READ = ("jax.", "equinox.", "sciml_lux.")
_known: set[Primitive] = set()


def opaque_call(equation: JaxprEqn) -> str:
    """The primitive and what it calls, if an equation cannot be read; otherwise ""."""
    primitive = equation.primitive
    if primitive.name not in _CALLS and _is_known(primitive):
        return ""
    called = _called(equation.params)
    return "" if called.startswith(_HARMLESS) else f"{primitive.name} {called}".strip()


def _is_known(primitive: Primitive) -> bool:
    """Whether it belongs to a library of `_READ`; any other may lose digits."""
    if primitive not in _known:
        # Again for each primitive that is not known yet: modules may have been imported since.
        _known.update(
            value
            for name, module in list(sys.modules.items())
            if name.startswith(_READ) and not name.startswith("jax._src.cudnn")
            for value in list(vars(module).values())
            if isinstance(value, Primitive)
        )
    return primitive in _known


def _called(parameters: dict) -> str:
    """Module and name of what a callback calls, or the target of a foreign call."""
    callback = parameters.get("callback")
    function = getattr(callback, "callback_func", callback)
    function = getattr(function, "func", function)
    if function is None:
        exported = getattr(parameters.get("exported"), "fun_name", None)
        target = parameters.get("target_name") or parameters.get("call_target_name")
        return str(target or exported or "")
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', function)}"

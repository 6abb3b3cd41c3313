"""The source text of a function, and the attributes that it assigns."""

import ast
import dis
import functools
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import CodeType
from typing import Any


def function_source(function: Callable) -> str | None:
    """The text of a function: a `def` without decorators, or a `lambda`; None if it is not found.

    Example:
        >>> print(function_source(function_source).splitlines()[0])
        def function_source(function: Callable) -> str | None:
    """
    code = _code(function)
    if code is None:
        return None
    try:
        lines, _ = inspect.findsource(code)
        nodes: list[Any] = [n for n in ast.walk(ast.parse("".join(lines))) if _starts(n, code)]
    except (OSError, SyntaxError, ValueError):
        return (
            None  # Typed at a prompt, made by `exec`, or in a notebook's cell with magic commands.
        )
    if not nodes:
        return None
    node = max(nodes, key=lambda node: _overlap(node, code))
    if isinstance(node, ast.Lambda):
        text = ast.get_source_segment("".join(lines), node)
        return ast.unparse(node) if text is None or "\n" in text else text
    return textwrap.dedent("".join(lines[node.lineno - 1 : node.end_lineno])).rstrip()


def assigned_attributes(function: Callable) -> frozenset[str]:
    """The names of the attributes that a Python function assigns, as in `m.count = 1`.

    Example:
        >>> def count(m, n):
        ...     m.count += n
        >>> assigned_attributes(count)
        frozenset({'count'})
    """
    stores = {
        instruction.argval
        for code in _codes(_code(function))
        for instruction in dis.get_instructions(code)
        if instruction.opname == "STORE_ATTR"
    }
    return frozenset(stores)


def _code(function: Callable) -> CodeType | None:
    """The code of a Python function, also inside wrappers and partials; None for others."""
    function = inspect.unwrap(function)
    while isinstance(function, functools.partial):
        function = inspect.unwrap(function.func)
    written = function if hasattr(function, "__code__") else type(function).__call__
    return getattr(written, "__code__", None)


def _codes(code: CodeType | None) -> Iterator[CodeType]:
    """The code of a function and of those inside it."""
    if code is not None:
        yield code
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                yield from _codes(inner)


def _starts(node: Any, code: CodeType) -> bool:
    """Whether the function `node` starts where `code` does, as all lambdas of a line may."""
    if isinstance(node, ast.Lambda):
        return code.co_name == "<lambda>" and node.lineno == code.co_firstlineno
    if not isinstance(node, ast.FunctionDef) or node.name != code.co_name:
        return False
    return min([node.lineno, *(d.lineno for d in node.decorator_list)]) == code.co_firstlineno


def _overlap(node: Any, code: CodeType) -> tuple[int, int]:
    """How many instructions are in the body of `node`; of two with as many, the shorter wins."""
    if not isinstance(node, ast.Lambda):
        return (0, 0)
    body = node.body
    start, end = (body.lineno, body.col_offset), (body.end_lineno, body.end_col_offset)
    inside = [
        start <= (line, column) < end
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None
    ]
    return sum(inside), -len(ast.unparse(node))

"""remembered: results that are looked up by weak keys, and keep no argument alive."""

import functools
from collections.abc import Callable
from typing import Any

from ._weak_key import NotReferableError, weak_key


def remembered(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, called once for equal arguments; what it returns must not refer to them."""

    @functools.lru_cache(maxsize=256)
    def result_of(*keys: object) -> list[Any]:
        return []

    @functools.wraps(function)
    def look_up(*arguments: object) -> Any:
        try:
            result = result_of(*map(weak_key, arguments))
        except NotReferableError:
            return function(*arguments)
        if not result:
            result.append(function(*arguments))
        return result[0]

    return look_up

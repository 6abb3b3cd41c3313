"""How a value and its derivatives along directions pass each primitive together."""

import functools
import itertools
import math
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ...precision import accumulating
from ...programs import Call, bind, inlined
from ..primitives._elementwise import is_elementwise
from ..primitives._primitives import CONSTANT, ENTRY_BY_ENTRY, LINEAR, PIECEWISE_LINEAR
from ._operands import Rule, constant, each, function_of, guarded, results_of, without_forward_mode
from ._series import Series, SeriesOperand, Words, terms_of
from ._series_generic import Result, control_flow, linear, nested, series_of
from ._slopes import SLOPES, Known, known_by_jax, known_power
from ._words import Word, partitions, splits


def series_rules(words: Words) -> tuple[Mapping[str, Rule], Rule]:
    """The table of rules for some words, and the rule of all other primitives."""
    named = {
        **each(control_flow, "scan", "while", "cond"),
        **each(_propagate, "custom_jvp_call"),
        **each(linear, "add", "add_any", "sub", *ENTRY_BY_ENTRY, *LINEAR, *PIECEWISE_LINEAR),
        **each(_product, "conv_general_dilated", "dot_general", "mul"),
        "div": _quotient,
    }
    others = {
        **each(inlined, "jit", "call", "closed_call", "eval_jaxpr"),
        **each(constant, *CONSTANT),
        "custom_vjp_call": without_forward_mode,
    }
    rules = {name: functools.partial(rule, words) for name, rule in named.items()} | others
    default = functools.partial(_propagate, words)
    return {name: guarded(rule) for name, rule in rules.items()}, guarded(default)


def _propagate(words: Words, call: Call, *operands: SeriesOperand) -> Result:
    """The rule of a primitive that has no other, by what JAX knows of it."""
    (place, x), *others = series_of(operands).items()
    if others or not is_elementwise(call.equation) or jnp.iscomplexobj(x.value):
        return nested(words, call, *operands)
    known = SLOPES.get(call.name)
    if call.name == "integer_pow":
        known = known_power(call.params["y"])
    if known is None or known.order < words.order:
        function = function_of(call, operands, [place])
        known = known_by_jax(lambda x: function(x)[0], words.order)
    return results_of(call, operands, [_composed(words, known, call, x)])


def _composed(words: Words, known: Known, call: Call, x: Series) -> Series:
    """A function of each entry, by its derivatives there: the formula of Faà di Bruno.

    Reverse mode keeps what it is computed from, and computes the products again: those of higher
    orders are many, and memory takes longer.
    """

    def composed(kept: tuple[Array, ...], terms: dict[Word, Array]) -> dict[Word, Array]:
        slopes = list(itertools.islice(known.slopes(*kept), words.order + 1))

        def products(word: Word) -> tuple[list[Array], list[Array]]:
            linear, others = [], []
            for blocks, count in partitions(word).items():
                if len(blocks) < len(slopes) and all(block in terms for block in blocks):
                    factors = [terms[block] for block in blocks]
                    product = _times(count, math.prod(factors, start=slopes[len(blocks)]))
                    (linear if blocks == (word,) else others).append(product)
            return linear, others

        return _terms(words, products)

    kept = known.kept(call, x.value)
    leaves, tree = jax.tree.flatten((kept, x.terms))
    again = jax.checkpoint(
        lambda *leaves: accumulating(lambda *leaves: composed(*tree.unflatten(leaves)), *leaves)
    )
    return Series(kept[0], again(*leaves))


def _product(words: Words, call: Call, left: SeriesOperand, right: SeriesOperand) -> Result:
    """What is linear in each of two operands, by the rule of Leibniz."""
    of_left, of_right = terms_of(left), terms_of(right)
    product = functools.partial(bind, call)
    if call.name == "mul":
        product = _elementwise_product(product)

    def products(word: Word) -> tuple[list[Array], list[Array]]:
        linear, others = [], []
        for (a, b), count in splits(word).items():
            if a in of_left and b in of_right:
                found = _times(count, product(of_left[a], of_right[b]))
                (linear if word in (a, b) else others).append(found)
        return linear, others

    return Series(product(of_left[()], of_right[()]), _terms(words, products))


def _elementwise_product(product: Callable[..., Array]) -> Callable[..., Array]:
    """A factor may be the same for all directions: its slope in half precision is a long sum."""

    def accumulated(a: Array, b: Array) -> Array:
        if jnp.ndim(a) and jnp.ndim(b):
            return accumulating(product, a, b)
        return product(a, b)

    return accumulated


def _quotient(words: Words, call: Call, left: SeriesOperand, right: SeriesOperand) -> Result:
    """y = a / b, by the rule of Leibniz for a = y b."""
    if not isinstance(right, Series):
        return linear(words, call, left, right)
    y = bind(call, terms_of(left)[()], right.value)
    of_left = left.terms if isinstance(left, Series) else {}

    def divided(y: Array, divisor: Array, *leaves: Array) -> dict[Word, Array]:
        of_left, of_right = tree.unflatten(leaves)
        found: dict[Word, Array] = {(): y}

        def quotients(word: Word) -> tuple[list[Array], list[Array]]:
            linear, others = [of_left[word] / divisor] if word in of_left else [], []
            for (a, b), count in splits(word).items():
                if a in found and b in of_right:
                    product = _times(-count, found[a] * (of_right[b] / divisor))
                    (others if a else linear).append(product)
            return linear, others

        _terms(words, quotients, found)
        return found

    leaves, tree = jax.tree.flatten((of_left, right.terms))
    terms = accumulating(divided, y, right.value, *leaves)
    return Series(y, {word: term for word, term in terms.items() if word})


def _terms(
    words: Words,
    of: Callable[[Word], tuple[list[Array], list[Array]]],
    found: dict[Word, Array] | None = None,
) -> dict[Word, Array]:
    """The derivatives by their linear and their other terms; those without any are zero."""
    found = {} if found is None else found  # What `of` reads.
    for word in words.all:
        if (total := words.total(word, *of(word))) is not None:
            found[word] = total
    return found


def _times(count: int, term: Array) -> Array:
    return term if count == 1 else count * term

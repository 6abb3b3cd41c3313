"""Whether the value of each sample depends on its own point alone, read from the program."""

from collections.abc import Sequence

from ...programs import (
    Atom,
    ClosedJaxpr,
    Inside,
    Jaxpr,
    JaxprEqn,
    Literal,
    Var,
    expanded,
    inside,
    open_jaxpr,
    primitive_name,
    walk,
)
from ..primitives._equations import has_derivative, shape_of
from ._sample_axis import CURRENT, Mixed, Place, SampleAxis
from ._sample_rules import SAMPLE_RULES


def check_samples_are_independent(
    owner: str, program: ClosedJaxpr, batch: tuple[int, ...], function: str = "f"
) -> None:
    """Raise unless no sample's value has a derivative with respect to another sample's point.

    Integers, booleans and what `stop_gradient` returns have no derivative, and may depend on all.

    Args:
        owner: the operator, for the message.
        program: of a function of the points, which returns the values.
        batch: the shape of the batch, in front in points and values.
        function: its name, for the message.

    Raises:
        ValueError: samples are mixed; names the first primitive that does so, and its line.
    """
    program = expanded(program)
    for axis, samples in enumerate(batch):
        if samples < 2:
            continue
        [place] = _places(program, [SampleAxis(axis)], samples)
        if place is None or place == SampleAxis(axis):
            continue
        where = _where(place, program)
        raise ValueError(
            f"`{owner}` expects the value of `{function}` at each sample to depend on the point of "
            f"that sample alone, got a function that mixes samples along axis {axis}: {where}. Use "
            "`testmode(st)` where it is a batch statistic, `jax.jacobian` for derivatives across "
            "samples, or check_samples=False where you know that it does not mix them."
        )


def _where(mixed: SampleAxis | Mixed, program: ClosedJaxpr) -> str:
    if isinstance(mixed, SampleAxis):
        return "its result has others there"
    lines = (visit.site.line for visit in walk(program) if visit.equation is mixed.equation)
    return f"`{primitive_name(mixed.equation)}` at {next(lines, '?')}"


def _places(program: ClosedJaxpr | Jaxpr, arguments: Sequence[Place], samples: int) -> list[Place]:
    """Where the samples are in the results, from where they are in the arguments."""
    jaxpr = open_jaxpr(program)
    known: dict[Var, Place] = dict(zip(jaxpr.invars, arguments, strict=True))
    for equation in jaxpr.eqns:
        places = [_read(atom, known) for atom in equation.invars]
        results = _after(equation, places, samples)
        known |= {
            variable: place if has_derivative(variable) else None
            for variable, place in zip(equation.outvars, results, strict=True)
        }
    return [_read(atom, known) for atom in jaxpr.outvars]


def _read(atom: Atom, known: dict[Var, Place]) -> Place:
    return None if isinstance(atom, Literal) else known.get(atom)


def _after(equation: JaxprEqn, places: list[Place], samples: int) -> list[Place]:
    """Where the samples are in the results of `equation`."""
    count, name = len(equation.outvars), primitive_name(equation)
    if name == "stop_gradient" or not any(place is not None for place in places):
        return [None] * count
    if name in _LOOPS_AND_SOLVES:
        return _LOOPS_AND_SOLVES[name](equation, places, samples)
    if parts := list(inside(equation)):
        outer = places[1:] if name == "cond" else places
        branches = [_places(part.program, outer, samples) for part in parts]
        return [_joined(equation, *found) for found in zip(*branches, strict=True)]
    mixed = next((place for place in places if isinstance(place, Mixed)), None)
    if mixed is not None:
        return [mixed] * count
    if all(place in (None, CURRENT) for place in places):
        return [CURRENT] * count
    rule = SAMPLE_RULES.get(name)
    axes = [place for place in places if not isinstance(place, Mixed)]
    found = rule(equation, samples, axes) if rule and CURRENT not in places else None
    return [Mixed(equation) if found is None else found] * count


def _after_scan(equation: JaxprEqn, places: list[Place], samples: int) -> list[Place]:
    [part] = inside(equation)
    pairs = dict(part.carried)
    given = [
        _row(equation, place, shape_of(atom), samples)
        if len(shape_of(atom)) > len(shape_of(argument))
        else place
        for place, atom, argument in zip(
            places, part.operands, open_jaxpr(part.program).invars, strict=True
        )
    ]
    results = _until_steady(equation, part, given, samples)
    for index in range(len(pairs), len(results)):
        results[index] = _stacked(results[index])
    if any(results[index] == CURRENT for index in pairs):  # Carried from sample to sample.
        return [Mixed(equation)] * len(results)
    return results


def _after_while(equation: JaxprEqn, places: list[Place], samples: int) -> list[Place]:
    _, body = inside(equation)
    given = places[len(places) - len(body.operands) :]
    return _until_steady(equation, body, given, samples)


def _after_solve(equation: JaxprEqn, places: list[Place], samples: int) -> list[Place]:
    """A linear solve keeps samples apart if its solver does, and the product with its matrix."""
    lengths, programs = equation.params["const_lengths"], equation.params["jaxprs"]
    of_matrix, end = places[: lengths.matvec], lengths.matvec + lengths.vecmat + lengths.solve
    of_solver, right = places[end - lengths.solve : end], places[sum(lengths) :]
    solved = _places(programs.solve, [*of_solver, *right], samples)
    solved = [_joined(equation, *right, place) for place in solved]
    again = _places(programs.matvec, [*of_matrix, *solved], samples)
    return [_joined(equation, a, b) for a, b in zip(solved, again, strict=True)]


def _until_steady(
    equation: JaxprEqn, part: Inside, given: list[Place], samples: int
) -> list[Place]:
    """The results of the body of a loop, once what it carries is where it was before."""
    while True:
        results = _places(part.program, given, samples)
        after = list(given)
        for result, argument in part.carried:
            after[argument] = _joined(equation, given[argument], results[result])
            results[result] = after[argument]
        if after == given:
            return results
        given = after


def _row(equation: JaxprEqn, place: Place, shape: tuple[int, ...], samples: int) -> Place:
    """Where the samples are in one row of an array that a scan goes through."""
    if not isinstance(place, SampleAxis):
        return place
    if place.axis > 0:
        return place._replace(axis=place.axis - 1)
    return CURRENT if shape[0] == samples else Mixed(equation)


def _stacked(place: Place) -> Place:
    return place._replace(axis=place.axis + 1) if isinstance(place, SampleAxis) else place


def _joined(equation: JaxprEqn, *places: Place) -> Place:
    """Where the samples are in a value that comes from one of several places."""
    mixed = next((place for place in places if isinstance(place, Mixed)), None)
    found = {place for place in places if place is not None}
    if mixed is None and len(found) > 1:
        return Mixed(equation)
    return mixed or next(iter(found), None)


_LOOPS_AND_SOLVES = {
    "scan": _after_scan,
    "while": _after_while,
    "custom_linear_solve": _after_solve,
}

"""An ensemble solved by its kernels on a host, and by the loop, one trajectory at a time."""

import functools
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from sciml_lux.ops.internal import Adaptive, Control, Tableau, tableaus
from sciml_lux.ops.solve.derivative._derivative import _taken, solved
from sciml_lux.ops.solve.forward._loop import Given, Options, Steering
from sciml_lux.ops.solve.kernels import BackwardKernel, ForwardKernel, field_text, field_vjp_text
from sciml_lux.ops.solve.steps._control import Errors
from sciml_lux.ops.solve.steps._form import Form, arrays

from ...by_components.fields import FIELDS

REAL = np.dtype(jnp.zeros(0).dtype)
DOUBLE = REAL.itemsize == 8
TOLERANCE = 1e-9 if DOUBLE else 1e-4


def forced(t, y, p):
    """One component that explodes, and one that oscillates."""
    return jnp.stack([p[0] * y[0] ** 2, p[1] * jnp.cos(p[1] * t)])


ADAPTIVE = Adaptive()
ALL = {**FIELDS, "forced": (forced, 2, 2)}


@dataclass(frozen=True)
class Ensemble:
    """Trajectories of one field.

    Args:
        name: of the field.
        ts: wanted times.
        t1: the end.
        shared: which of "t0", "t1", "ts", "y0", "parameters", "steering" have no axis of members.
        number: of trajectories.
        max_steps: of a solve.
        capacity: of its record.
        tableau: the method.
        control: of the steps.
        atol: of each component, as a multiple of the relative tolerance; None for those outside the
            error norm.
        dt0: first step.
        errors: of the steps before.
        y0: of each trajectory; drawn where there are none.
        parameters: of each trajectory; drawn where there are none.
        in_line: whether the loop has the stages of a step in line.
    """

    name: str
    ts: tuple[float, ...] = ()
    t1: float = 1.0
    shared: tuple[str, ...] = ("t0", "t1", "ts", "steering")
    number: int = 3
    max_steps: int = 256
    capacity: int = 256
    tableau: Tableau = tableaus.TSIT5
    control: Control = ADAPTIVE
    atol: tuple[float | None, ...] = ()
    dt0: float | None = None
    errors: tuple[float, float] | None = None
    y0: tuple[tuple[float, ...], ...] = ()
    parameters: tuple[tuple[float, ...], ...] = ()
    in_line: bool = True

    @property
    def sizes(self):
        return ALL[self.name][1:]

    @property
    def options(self):
        return Options(self.tableau, self.control, self.max_steps, self.capacity, 0)

    @property
    def form(self):
        components, parameters = self.sizes
        if not self.in_line:
            return arrays(self.field)
        return Form(self.field, self.field, [()] * components, [()] * parameters)

    def field(self, parameters, t, y):
        p = jnp.stack(parameters) if parameters else jnp.zeros(0, REAL)
        found = ALL[self.name][0](t, jnp.stack(y), p)
        return [found[i] for i in range(len(y))]

    @functools.cached_property
    def program(self):
        components, parameters = self.sizes
        scalar = jax.ShapeDtypeStruct((), REAL)
        return jax.make_jaxpr(
            lambda t, *rest: self.field(list(rest[components:]), t, list(rest[:components]))
        )(*[scalar] * (1 + components + parameters))

    @functools.cached_property
    def forward(self):
        components, parameters = self.sizes
        atol = self._atol()
        return ForwardKernel(
            field=field_text(self.program, components),
            dtype=REAL,
            components=components,
            parameters=parameters,
            wanted=len(self.ts),
            in_norm=tuple(a is not None for a in atol),
            has_first_step=self.dt0 is not None,
            continues=self.errors is not None,
            remember=True,
            options=self.options,
        )

    @functools.cached_property
    def backward(self):
        components, parameters = self.sizes
        moving = tuple(i != 1 for i in range(parameters))
        return BackwardKernel(
            field=field_text(self.program, components),
            field_vjp=field_vjp_text(self.program, components, moving),
            dtype=REAL,
            components=components,
            moving=moving,
            wanted=len(self.ts),
            options=self.options,
        )

    def _atol(self):
        return self.atol or (1.0,) * self.sizes[0]

    @functools.cached_property
    def given(self):
        """`Given` and `Steering`, each leaf with an axis of members, the first."""
        rng = np.random.default_rng(3)
        components, parameters = self.sizes
        start, rates = 1 + rng.normal(size=components), np.resize([2.0, 1.5, 0.7, 1.1], parameters)

        def members(name, value, spread=0.0):
            drawn = rng.normal(size=(self.number, *np.shape(value)))
            if name in self.shared:
                drawn = np.broadcast_to(drawn[:1], drawn.shape)
            return (np.asarray(value) * (1 + spread * drawn)).astype(REAL)

        y0 = np.array(self.y0, REAL) if self.y0 else members("y0", start, 0.1)
        p = (
            np.array(self.parameters, REAL)
            if self.parameters
            else members("parameters", rates, 0.1)
        )
        given = Given(
            members("t0", 0.0),
            members("t1", self.t1, 0.1),
            members("ts", np.array(self.ts), 0.03),
            list(np.ascontiguousarray(y0.T)),
            list(np.ascontiguousarray(p.T)),
        )
        steering = Steering(
            [members("steering", TOLERANCE)] * components,
            [None if a is None else members("steering", a * TOLERANCE) for a in self._atol()],
            None if self.dt0 is None else members("steering", self.dt0),
            None if self.errors is None else Errors(*(members("steering", e) for e in self.errors)),
        )
        return given, steering

    @property
    def mapped(self):
        """Of each operand of the forward kernel, whether it has an axis of members."""
        names = jax.tree.leaves(self.forward.operands)
        of = {n: n for n in ("t0", "t1", "ts", "y0", "parameters")}
        keys = [of.get(name.split("[")[0], "steering") for name in names]
        return tuple(key not in self.shared for key in keys)

    @property
    def backward_mapped(self):
        head = jax.tree.leaves(self.forward.operands)
        flags = dict(zip(head, self.mapped, strict=True))
        rest = len(self.backward.operands) - 3 - self.sizes[1]
        return (
            tuple(flags[name] for name in self.backward.operands[: 3 + self.sizes[1]])
            + (True,) * rest
        )

    def sources(self):
        """Both kernels."""
        return {
            "forward": self.forward.source(self.mapped),
            "backward": self.backward.source(self.backward_mapped),
        }

    def member(self, i):
        """What trajectory i is given."""
        return jax.tree.map(lambda x: jnp.asarray(x[i]), self.given)

    @functools.cached_property
    def by_loop(self):
        """Of each trajectory what the loop finds, and the cotangents for `seeds`."""
        moving = self.backward.moving

        @jax.jit
        def both(given, steering, seeds):
            def ends(parameters, y0):
                both = given._replace(parameters=parameters, y0=y0)
                found = solved(self.form, self.options, True, both, steering)
                return (found.y1, found.ys), found

            _, pull, found = jax.vjp(ends, given.parameters, given.y0, has_aux=True)
            parameters, y0 = pull(seeds)
            return found, ([p for p, m in zip(parameters, moving, strict=True) if m], y0)

        seeds = self.seeds
        return [
            both(*self.member(i), jax.tree.map(lambda x, i=i: jnp.asarray(x[..., i]), seeds))
            for i in range(self.number)
        ]

    @functools.cached_property
    def seeds(self):
        """Cotangents of y1 and ys, the axis of members last."""
        rng = np.random.default_rng(5)
        components, wanted = self.sizes[0], len(self.ts)
        shape = (components, self.number)
        y1 = list(rng.normal(size=shape).astype(REAL))
        ys = list(rng.normal(size=(components, wanted, self.number)).astype(REAL))
        return y1, ys if wanted else []

    @functools.cached_property
    def types(self):
        """Shapes and dtypes of the results of the forward kernel."""
        return jax.eval_shape(
            functools.partial(_taken, self.form, self.options, True), *self.member(0)
        )

    def solve(self, kernels, name="forward"):
        """By the kernel: `Found`, the axis of members last."""
        operands = [
            np.moveaxis(x, 0, -1) if mapped else x[0]
            for x, mapped in zip(jax.tree.leaves(self.given), self.mapped, strict=True)
        ]
        types = jax.tree.leaves(self.types)
        found = kernels(name, self.number, operands, [(t.shape, t.dtype) for t in types])
        return jax.tree.unflatten(jax.tree.structure(self.types), found)

    def pull(self, kernels, found, name="backward"):
        """By the kernel: the cotangents of moving parameters and of y0."""
        given = self.given[0]
        head = [given.t0, given.t1, given.ts, *given.parameters]
        flags = self.backward_mapped
        operands = [np.moveaxis(x, 0, -1) if m else x[0] for x, m in zip(head, flags, strict=False)]
        operands += [*jax.tree.leaves(found.record), *jax.tree.leaves(self.seeds)]
        results = [((), REAL)] * len(self.backward.results)
        pulled = kernels(name, self.number, operands, results)
        return pulled[: sum(self.backward.moving)], pulled[sum(self.backward.moving) :]

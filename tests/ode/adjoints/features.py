"""What solves can have, each as a loss of an array of real numbers and a method."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np

import sciml_lux as lux
from sciml_lux import nn, ode

from .event_features import EVENT_FEATURES, field

X = np.asarray([0.8, 0.5, 0.9, 1.4])
WANTED = np.asarray([0.0, 0.35, 0.35, 1.2])


def end(x, method):
    problem = ode.Problem(x[:2], tspan=(0.0, 1.2))
    return jnp.sum(jnp.sin(ode.solve(field, problem, x, method=method).final.u))


def times(x, method):
    """The ends, and the times between, move."""
    ts = jnp.stack([x[0] / 4, x[1], x[2]])
    problem = ode.Problem(jnp.stack([x[3], x[0]]), ts=ts, tspan=(x[0] / 8, x[3]))
    solution = ode.solve(field, problem, x, method=method)
    return jnp.sum(jnp.sin(solution.ys)) + jnp.sum(jnp.cos(solution.final.u))


def backwards(x, method):
    """From a later time to an earlier."""
    problem = ode.Problem(x[:2], tspan=(1.2, 0.4), ts=jnp.asarray([1.0, 0.5], x.dtype))
    return jnp.sum(jnp.sin(ode.solve(field, problem, x, method=method).ys))


def control(x, method):
    force = ode.Interpolated(times=jnp.asarray([0.0, 1.2], x.dtype), values=x[2:])
    problem = ode.Problem(x[:2], tspan=(0.0, 1.2), inputs={"force": force})

    def forced(t, u, p, inputs):
        return inputs.force(t) - p[0] * u * u

    return jnp.sum(jnp.sin(ode.solve(forced, problem, x, method=method).final.u))


class Scaled(lux.Layer):
    """A model with a state, the number of its evaluations."""

    def initial_parameters(self, key, dtype):
        return lux.Record(rate=jnp.ones(2, dtype))

    def initial_states(self, key, dtype):
        return lux.Record(calls=jnp.zeros((), jnp.int32))

    def __call__(self, x, ps, st):
        t, u = x
        du = jnp.sin(t) - ps.rate * u * u
        return du, st | {"calls": st.calls + 1}


def options(method):
    return {name: getattr(method, name) for name in ode.Method._field_names}


def time_input_and_state_policy(x, method):
    node = ode.NeuralODE(
        Scaled(), (0.0, 1.2), time_input=True, state_policy="once", **options(method)
    )
    ps = lux.Record(rate=x[2:])
    y, st = node(x[:2], ps, lux.Record(calls=jnp.zeros((), jnp.int32)))
    return jnp.sum(jnp.sin(y)) * st.calls.astype(x.dtype)


def tree_state(x, method):
    def of_tree(t, u, p):
        return {"a": -p["k"][0] * u["a"] * u["b"][0], "b": jnp.sin(u["b"]) - p["k"][1] * u["a"]}

    problem = ode.Problem({"a": x[0], "b": x[:2]}, ts=jnp.asarray(WANTED, x.dtype))
    ys = ode.solve(of_tree, problem, {"k": x[2:], "n": jnp.arange(3)}, method=method).ys
    return jnp.sum(jnp.sin(ys["a"])) + jnp.sum(ys["b"] ** 2)


def complex_state(x, method):
    u0, p = jax.lax.complex(x[0], x[1]), jax.lax.complex(x[2], x[3])
    problem = ode.Problem(u0[None], ts=jnp.asarray(WANTED, x.dtype))
    found = ode.solve(_spin, problem, p, method=method)
    weights = jnp.asarray([[1.0], [2.0], [3.0], [4.0]], x.dtype)
    return jnp.sum(weights * found.ys.real * found.ys.imag) + jnp.sum(found.final.u.imag)


def _spin(t, u, p):
    turned = jax.lax.complex(-u.imag, u.real) * p
    return turned - u * jax.lax.complex(jnp.abs(u), jnp.zeros_like(u.real)) + jnp.conj(u)


def running_cost(x, method):
    problem = ode.Problem(x[:2], tspan=(0.0, 1.2))
    solution = ode.solve(field, problem, x, method=method, running_cost=effort)
    return solution.cost + jnp.sum(jnp.sin(solution.final.u))


def effort(t, u, du, p):
    return jnp.sum(du * du) + p[2] * jnp.sum(u)


def times_of_each_sample(x, method):
    node = ode.NeuralODE(nn.Dense(2, 2, jnp.tanh), (0.0, 1.2), **options(method))
    ts = jnp.asarray([[0.1, 0.8], [0.0, 1.2]], x.dtype)
    ps = lux.Record(weight=jnp.stack([x[:2], x[2:]]), bias=x[1:3])
    problem = ode.Problem(jnp.stack([x[:2], x[2:]]), ts=ts)
    return jnp.sum(jnp.sin(node(problem, ps, lux.Record())[0]))


def samples(x, method):
    """A batch, whose samples are held to the tolerance one by one."""
    problem = ode.Problem(jnp.stack([x[:2], 2 * x[:2], x[2:]]), ts=jnp.asarray(WANTED, x.dtype))
    return jnp.sum(jnp.sin(ode.solve(each, problem, x, method=method).ys))


def each(t, u, p):
    return jnp.sin(p[2] * t) - p[3] * u * u


def members(x, method):
    """A batch by `vmap`, whose members share the parameters."""
    one = lambda u: end(jnp.concatenate([u, x[2:]]), method)
    return jnp.sum(jax.vmap(one)(jnp.stack([x[:2], 2 * x[:2], x[2:]])))


def dense(x, method):
    fields = options(method) | {"dense": True}
    problem = ode.Problem(x[:2], tspan=(0.0, 1.2))
    solution = ode.solve(field, problem, x, method=ode.Method(**fields))
    return jnp.sum(jnp.sin(solution(jnp.asarray([0.3, 0.9], x.dtype))))


def estimates(x, method):
    fields = options(method) | {"estimates": True}
    problem = ode.Problem(x[:2], tspan=(0.0, 1.2))
    return ode.solve(field, problem, x, method=ode.Method(**fields)).estimates.local_error


FEATURES = {
    f.__name__.replace("_", " "): f
    for f in (
        end,
        times,
        backwards,
        control,
        time_input_and_state_policy,
        tree_state,
        complex_state,
        running_cost,
        times_of_each_sample,
        samples,
        members,
        dense,
        estimates,
        *EVENT_FEATURES,
    )
}


def fixed(adjoint):
    """Steps that do not depend on what is solved: differences see what derivatives do."""
    return ode.Method(
        adjoint=adjoint,
        stepsize_controller=diffrax.ConstantStepSize(),
        dt0=0.06,
        max_steps=64,
    )


def adaptive(adjoint, tolerance):
    """Steps by a tolerance, which may be traced: then one program has all tolerances."""
    by_error = diffrax.PIDController(rtol=tolerance, atol=tolerance)
    return ode.Method(adjoint=adjoint, stepsize_controller=by_error, max_steps=512)

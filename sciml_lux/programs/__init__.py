"""Traced programs: reading them equation by equation, and evaluating them by other rules."""

from ._control_flow import CONTROL_FLOW as CONTROL_FLOW
from ._control_flow import INLINED as INLINED
from ._control_flow import inlined as inlined
from ._expand import expanded as expanded
from ._inside import Inside as Inside
from ._inside import inside as inside
from ._interpret import interpret as interpret
from ._jax import Atom as Atom
from ._jax import ClosedJaxpr as ClosedJaxpr
from ._jax import Jaxpr as Jaxpr
from ._jax import JaxprEqn as JaxprEqn
from ._jax import Literal as Literal
from ._jax import Primitive as Primitive
from ._jax import Var as Var
from ._jax import constants_of as constants_of
from ._jax import open_jaxpr as open_jaxpr
from ._jax import primitive_name as primitive_name
from ._jax import variables as variables
from ._jax import with_constants_as_arguments as with_constants_as_arguments
from ._origins import origins as origins
from ._rule import Call as Call
from ._rule import bind as bind
from ._site import Site as Site
from ._walk import Visit as Visit
from ._walk import has_programs as has_programs
from ._walk import walk as walk

"""optax's schedules under their own names, exact in float64."""

from ._optax_schedules import constant_schedule as constant_schedule
from ._optax_schedules import cosine_decay_schedule as cosine_decay_schedule
from ._optax_schedules import cosine_onecycle_schedule as cosine_onecycle_schedule
from ._optax_schedules import exponential_decay as exponential_decay
from ._optax_schedules import join_schedules as join_schedules
from ._optax_schedules import linear_onecycle_schedule as linear_onecycle_schedule
from ._optax_schedules import linear_schedule as linear_schedule
from ._optax_schedules import piecewise_constant_schedule as piecewise_constant_schedule
from ._optax_schedules import piecewise_interpolate_schedule as piecewise_interpolate_schedule
from ._optax_schedules import polynomial_schedule as polynomial_schedule
from ._optax_schedules import sgdr_schedule as sgdr_schedule
from ._optax_schedules import warmup_constant_schedule as warmup_constant_schedule
from ._optax_schedules import warmup_cosine_decay_schedule as warmup_cosine_decay_schedule
from ._optax_schedules import warmup_exponential_decay_schedule as warmup_exponential_decay_schedule

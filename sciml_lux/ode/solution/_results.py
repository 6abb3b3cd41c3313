"""Why a solve ended."""

import diffrax


class RESULTS(diffrax.RESULTS):  # pyright: ignore
    """Why a solve ended: what diffrax knows, and what our own engine does.

    `RESULTS[solution.result]` is the text, empty where the solve succeeded.

    Example:
        >>> from sciml_lux import ode
        >>> ode.RESULTS[ode.RESULTS.state_not_finite]
        'The initial state is not finite.'
    """

    state_not_finite = "The initial state is not finite."
    field_not_finite = "The vector field is not finite at the initial state."
    field_turned_nan = "The vector field is not finite beyond the time reached."
    diverged = "The solution grows without bound, or left the finite numbers."
    no_step_accepted = "No step was accepted."
    step_too_short = "The error of a step was above the tolerance, however short the step."
    newton_failed = "The equations of an implicit step could not be solved, however short the step."
    times_out_of_order = "The times are not finite and in order from t0 to t1."
    first_step_not_positive = "The first step is not finite and above 0."
    condition_jumps = "The condition of an event is not continuous where its sign changes."
    preset_time_not_a_number = "A preset time is not a number."
    max_events_reached = "More events happened than max_events."
    events_accumulate = "An event happened again before the clock could tell the times apart."
    inconsistent_start = "The initial state does not fulfil the algebraic equations."
    not_steady = "The state at the end is not near a root of the vector field."

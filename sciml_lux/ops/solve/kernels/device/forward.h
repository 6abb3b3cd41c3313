// The loop of a solve, from the start to the end: `run` of `_loop.py`, of one trajectory.
struct Given {
    Lane<const real> t0, t1, ts, y0[D], parameters[P], rtol[D], atol[D], dt0, errors[2];
};

struct Found {
    Lane<real> y1[D], ys[D], s;
    Lane<int> accepted, steps, evaluations;
    Lane<real> first, following, errors[2];
    Lane<int> result;
    Lane<real> lengths, starts, states[D];
    Lane<int> recorded, stride;
};

INLINE void solve(const Given& given, const Found& found)
{
    const Times times = {given.t0[0], given.t1[0] - given.t0[0], given.ts};
    const real span = times.span;
    Tolerances tolerances = {};
    real y[D], p[P], k[ALL_STAGES][D], errors[2] = {1, 1};
    load(given.y0, D, y);
    load(given.parameters, PARAMETERS, p);
    EACH(d, D) {
        tolerances.relative[d] = given.rtol[d][0];
        if (in_norm(d)) tolerances.absolute[d] = given.atol[d][0];
    }
    if (CONTINUES) load(given.errors, 2, errors);
    field(times.start, y, p, k[0]);
    int result = all_finite(k[0]) ? RUNNING : FIELD_NOT_FINITE;
    if (!all_finite(y)) result = STATE_NOT_FINITE;
    real h = FIRST_GIVEN ? given.dt0[0] : first_step(times, tolerances, y, p, k[0]);
    h = span == 0 ? real(1) : magnitude(h) / magnitude(span);
    real s = 0, opening = 0;
    int saves = 0, accepted = 0, tried = 0, evaluations = FIRST_GIVEN ? 1 : 2, stride = 1;
    while (result == RUNNING) {
        // What rounding leaves of the whole belongs to the last step, if it is a small part of one.
        const bool last = 1 - s <= h + minimum(ROUNDING, h / 10);
        const real next = ADAPTIVE ? s + h : real(accepted + 1) * h;
        const real end = last ? real(1) : next;
        // By as much as the clock moves, which rounds.
        const real length = end - s, t = times.at(s), step = length * span;
        int until = saves;
        while (until < WANTED && (end >= 1 || times.place(until) <= end)) until++;
        if (!FIRST_IS_LAST) field(t, y, p, k[0]);
        stages(t, step, y, p, k);
        last_stage(t, step, y, p, k);
        real y1[D];
        advance(step, y, k, y1);
        const real error = error_of(step, tolerances, y, y1, k);
        const bool is_accepted = error <= 1;
        // As the loop counts them.
        evaluations += STAGES_COUNTED + (until > saves ? ALL_STAGES : 0);
        if (RECORDED && THINNED && accepted >= ROWS * stride) stride *= 2;
        if (RECORDED && is_accepted) {
            found.lengths[accepted] = length;
            if (!THINNED || accepted % stride == 0) {
                const int row = THINNED ? row_of_step(accepted) : accepted;
                found.starts[row] = s;
                EACH(d, D) found.states[d][row] = y[d];
            }
        }
        if (is_accepted && until > saves) {
            extra_stages(t, step, y, p, k);
            for (; saves < until; saves++) {
                real inside[D], weights[ALL_STAGES];
                const real part = length == 0 ? real(1) : length;
                interpolation_weights((times.place(saves) - s) / part, weights);
                advance_by(weights, step, y, k, inside);
                EACH(d, D) found.ys[d][saves] = inside[d];
            }
        }
        const real longer = change_of(error, errors);
        // Of a rejected step also what rounding added to it, or it might not get shorter.
        const real shorter = is_accepted ? length : minimum(length, h);
        real following = (ADAPTIVE ? shorter : h) * longer;
        // The last step may be cut so short that its error does not tell how long another can be.
        const bool is_short = last && is_accepted && longer >= (ADAPTIVE ? GROW : real(1));
        if (is_short) following = maximum(h, following);
        h = following;
        tried++;
        if (is_accepted) {
            if (opening == 0) opening = length;
            if (!is_short) {
                errors[1] = errors[0];
                errors[0] = error;
            }
            s = end;
            accepted++;
            EACH(d, D) y[d] = y1[d];
            if (FIRST_IS_LAST) EACH(d, D) k[0][d] = k[STAGES - 1][d];
        }
        if (tried >= MOST_STEPS) result = MAX_STEPS;
        const bool is_stuck = s + h <= s && (ADAPTIVE || !is_accepted);
        if (is_stuck) result = is_finite(error) ? NO_STEP : DIVERGED;
        if (is_accepted && last) result = SUCCESSFUL;
    }
    EACH(d, D) found.y1[d][0] = y[d];
    for (; saves < WANTED; saves++) EACH(d, D) found.ys[d][saves] = not_a_number();
    found.s[0] = s;
    found.accepted[0] = accepted;
    found.steps[0] = tried;
    found.evaluations[0] = evaluations;
    found.first[0] = opening;
    found.following[0] = h;
    EACH(i, 2) found.errors[i][0] = errors[i];
    found.result[0] = result;
    if (RECORDED) {
        found.recorded[0] = accepted;
        found.stride[0] = stride;
    }
}

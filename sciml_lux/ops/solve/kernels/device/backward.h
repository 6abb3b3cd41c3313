// The transpose of the recorded steps, the last first: that of `Replay` of `_replay.py`.
struct Given {
    Lane<const real> t0, t1, ts, parameters[P], lengths, starts, states[D];
    Lane<const int> recorded, stride;
    Lane<const real> y1[D], ys[D];
};

struct Found {
    Lane<real> parameters[P], y0[D];
};

// The cotangents before a step, in the place of those after it.
INLINE void step_back(
    const Given& given, const Times& times, const real* p, real start, real length, const real* y,
    int& until, real* y_bar, real* p_bar
)
{
    const real t = times.at(start), h = length * times.span;
    int before = until;
    while (before > 0 && !(start > 0 && times.place(before - 1) <= start)) before--;
    real k[ALL_STAGES][D], k_bar[ALL_STAGES][D];
    field(t, y, p, k[0]);
    stages(t, h, y, p, k);
    EACH(i, ALL_STAGES) EACH(d, D) k_bar[i][d] = 0;
    advance_back(h, y_bar, k_bar);
    if (until > before) {
        last_stage(t, h, y, p, k);
        extra_stages(t, h, y, p, k);
        for (int j = before; j < until; j++) {
            real bar[D], weights[ALL_STAGES];
            EACH(d, D) bar[d] = given.ys[d][j];
            interpolation_weights((times.place(j) - start) / length, weights);
            EACH(i, ALL_STAGES) EACH(d, D) k_bar[i][d] += weights[i] * (h * bar[d]);
            EACH(d, D) y_bar[d] += bar[d];
        }
        extra_stages_back(t, h, y, p, k, k_bar, y_bar, p_bar);
        last_stage_back(t, h, y, p, k, k_bar, y_bar, p_bar);
    }
    stages_back(t, h, y, p, k, k_bar, y_bar, p_bar);
    until = before;
}

INLINE void transpose(const Given& given, const Found& found)
{
    const Times times = {given.t0[0], given.t1[0] - given.t0[0], given.ts};
    const int steps = given.recorded[0], stride = THINNED ? given.stride[0] : 1;
    real p[P], y_bar[D], p_bar[P], starts[LONGEST], states[LONGEST][D];
    load(given.parameters, PARAMETERS, p);
    load(given.y1, D, y_bar);
    EACH(i, MOVING) p_bar[i] = 0;
    int until = -1;
    for (int first = (steps - 1) / stride * stride; steps > 0 && first >= 0; first -= stride) {
        const int row = THINNED ? row_of_step(first) : first;
        const int number = !THINNED ? 1 : stride < steps - first ? stride : steps - first;
        starts[0] = given.starts[row];
        EACH(d, D) states[0][d] = given.states[d][row];
        for (int i = 1; i < number; i++) {
            const real length = given.lengths[first + i - 1], h = length * times.span;
            const real t = times.at(starts[i - 1]);
            real k[ALL_STAGES][D];
            field(t, states[i - 1], p, k[0]);
            stages(t, h, states[i - 1], p, k);
            advance(h, states[i - 1], k, states[i]);
            if (length == 0) EACH(d, D) states[i][d] = states[i - 1][d];
            starts[i] = starts[i - 1] + length;
        }
        for (int i = number - 1; i >= 0; i--) {
            const real length = given.lengths[first + i], end = starts[i] + length;
            if (until < 0) {  // Of the last step: the wanted states that were reached.
                until = WANTED;
                while (until > 0 && !(end >= 1 || times.place(until - 1) <= end)) until--;
            }
            if (length == 0) continue;  // Nothing was moved by it.
            step_back(given, times, p, starts[i], length, states[i], until, y_bar, p_bar);
        }
    }
    EACH(d, D) found.y0[d][0] = y_bar[d];
    EACH(i, MOVING) found.parameters[i][0] = p_bar[i];
}

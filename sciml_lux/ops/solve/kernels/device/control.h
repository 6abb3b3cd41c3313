// The control of the length of steps, as `_control.py` and `_error` of `_loop.py` have it.
struct Tolerances {
    real relative[D], absolute[D];
};

INLINE real largest(const real* values)
{
    real found = 0;
    EACH(d, D) if (in_norm(d)) found = maximum(values[d], found);
    return found;
}

INLINE real mean_square(const real* values)
{
    real sum = 0;
    EACH(d, D) if (in_norm(d)) sum += values[d] * values[d];
    return maximum(sum / real(IN_NORM > 0 ? IN_NORM : 1), real(0));
}

// The root of the mean square, also of numbers whose squares are not finite.
INLINE real size_of(const real* values, const real* scale)
{
    real scaled[D];
    EACH(d, D) scaled[d] = scale[d] > 0 ? magnitude(values[d]) / scale[d] : real(0);
    const real top = largest(scaled), unit = top > 0 && is_finite(top) ? top : real(1);
    EACH(d, D) scaled[d] = scaled[d] / unit;
    return unit * sqrt(mean_square(scaled));
}

// The length of the first step, from the sizes of y, y' and y''.
INLINE real first_step(
    const Times& times, const Tolerances& tolerances, const real* y, const real* p,
    const real* slope
)
{
    real scale[D], moved[D], change[D];
    EACH(d, D) scale[d] = tolerances.absolute[d] + tolerances.relative[d] * magnitude(y[d]);
    const real state = size_of(y, scale), velocity = size_of(slope, scale);
    const real span = magnitude(times.span);
    const bool small = state < real(1e-5) || velocity < real(1e-5);
    real trial = small ? real(1e-6) : real(0.01) * (state / velocity);
    trial = minimum(trial, span);
    const real h = trial * sign(times.span);
    EACH(d, D) moved[d] = y[d] + h * slope[d];
    field(times.start + h, moved, p, change);
    EACH(d, D) change[d] = change[d] - slope[d];
    const real curved = size_of(change, scale) / (trial == 0 ? real(1) : trial);
    const real most = maximum(velocity, curved);
    const bool still = most <= real(1e-15);
    const real by_size = pow(real(0.01) / (still ? real(1) : most), ONE_BY_ORDER);
    const real slow = maximum(real(1e-6), trial * real(1e-3));
    const real found = minimum(real(100) * trial, still ? slow : by_size);
    return found > 0 ? found : real(1e-6) * span;
}

// The square of an estimate relative to the tolerance.
INLINE real squared(
    const real* error, const Tolerances& tolerances, const real* y0, const real* y1
)
{
    real scaled[D];
    EACH(d, D) {
        const real top = maximum(magnitude(y0[d]), magnitude(y1[d]));
        const real scale = tolerances.absolute[d] + tolerances.relative[d] * top;
        scaled[d] = error[d] == 0 ? real(0) : magnitude(error[d]) / scale;
    }
    return mean_square(scaled);
}

// The error of a step relative to the tolerance; infinite for one to a state that is not finite.
INLINE real error_of(
    real h, const Tolerances& tolerances, const real* y0, const real* y1, const real (*k)[D]
)
{
    const bool finite = all_finite(y1);
    if (!ESTIMATED) return finite ? real(0) : infinity();
    real error[D];
    estimate(h, k, error);
    real square = squared(error, tolerances, y0, y1);
    if (COARSE) {
        estimate_coarse(h, k, error);
        const real both = square + real(0.01) * squared(error, tolerances, y0, y1);
        square = both == 0 ? real(0) : square * (square / both);
    }
    return finite && is_finite(square) ? sqrt(maximum(square, LEAST_SQUARE)) : infinity();
}

// The length of the next step relative to this one.
INLINE real change_of(real error, const real* errors)
{
    if (!ADAPTIVE) return is_finite(error) ? real(1) : real(0);
    if (!is_finite(error)) return SHRINK;
    const real change = growth(error, errors);
    const real low = error <= 1 ? real(1) : SHRINK, high = error <= 1 ? GROW : SAFETY;
    return minimum(maximum(change, low), high);
}

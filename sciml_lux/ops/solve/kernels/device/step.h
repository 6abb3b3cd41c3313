// What a solve is given, and the parts of it that the forward and the backward pass share.
struct Times {
    real start, span;
    Lane<const real> wanted;

    INLINE real at(real s) const { return start + s * span; }

    // The wanted time as a part of the whole.
    INLINE real place(int j) const
    {
        return span == 0 ? real(1) : (wanted[j] - start) / span;
    }
};

INLINE bool all_finite(const real* y)
{
    bool found = true;
    EACH(d, D) found = found && is_finite(y[d]);
    return found;
}

INLINE void load(const Lane<const real>* from, int number, real* to)
{
    EACH(i, number) to[i] = from[i][0];
}

// The row of a step that is kept.
INLINE int row_of_step(int step) { return step % ROWS + step / ROWS; }

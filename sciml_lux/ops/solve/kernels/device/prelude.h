// What C has no function for, and arrays of a batch. NVRTC has no headers, so nothing is included.
#define INLINE __device__ __forceinline__
#define EACH(i, number) _Pragma("unroll") for (int i = 0; i < (number); i++)

// Entry j of a member of a batch, whose axis is the last: step is the size of the batch, and shift
// the member; of what all share, 1 and 0.
template <typename T> struct Lane {
    T* of;
    long long step, shift;
    INLINE T& operator[](int j) const { return of[j * step + shift]; }
};

template <typename T> INLINE bool is_finite(T x) { return x - x == 0; }

// NaN where either is, as in XLA; +0 is above -0.
template <typename T> INLINE T maximum(T x, T y)
{
    return x > y ? x : y > x ? y : x != y ? x + y : x != 0 ? x : x + y;
}
template <typename T> INLINE T minimum(T x, T y)
{
    return x < y ? x : y < x ? y : x != y ? x + y : x != 0 ? x : -(-x - y);
}
template <typename T> INLINE T sign(T x) { return x > 0 ? T(1) : x < 0 ? T(-1) : x; }

INLINE float magnitude(float x) { return fabsf(x); }
INLINE double magnitude(double x) { return fabs(x); }
INLINE int magnitude(int x) { return x < 0 ? (int)(0u - (unsigned)x) : x; }

// Of integers, where C leaves the result open: that of XLA.
INLINE int quotient(int x, int y)
{
    return y == 0 ? -1 : y == -1 ? (int)(0u - (unsigned)x) : x / y;
}
INLINE int remainder_of(int x, int y) { return y == 0 ? x : y == -1 ? 0 : x % y; }
template <typename T> INLINE int truncated(T x)
{
    const int least = -2147483647 - 1;
    return x >= T(2147483648.0) ? 2147483647 : x <= T(least) ? least : x == x ? (int)x : 0;
}

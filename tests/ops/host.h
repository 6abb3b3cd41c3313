// CUDA C++ as C++ of a host: one thread of one block at a time.
#include <math.h>
#include <string.h>
#define __device__
#define __global__
#define __forceinline__ inline
#define __launch_bounds__(threads)

struct Place {
    int x;
};
static Place blockIdx, blockDim, threadIdx;

static inline float __int_as_float(int bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
static inline double __longlong_as_double(long long bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Newton's method on erfc of the smaller tail, from Winitzki's approximation.
static double erfinv(double y)
{
    if (!(fabs(y) < 1)) return fabs(y) == 1 ? y * HUGE_VAL : NAN;
    if (y == 0) return y;
    const double tail = 1 - fabs(y), l = log(tail * (1 + fabs(y))), b = 4.330746750799873 + l / 2;
    double x = sqrt(sqrt(b * b - l / 0.147) - b);
    for (int i = 0; i < 4; i++) {
        const double slope = 1.1283791670955126 * exp(-x * x);
        const double off = tail < 0.5 ? tail - erfc(x) : erf(x) - fabs(y);
        const double newton = off / slope;
        x -= newton / (1 + x * newton);
    }
    return y < 0 ? -x : x;
}
static float erfinvf(float y) { return erfinv(y); }

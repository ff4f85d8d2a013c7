// Gradient scaling (grad_scaling.py has the formulas): all gradients in one launch, and the scale's growth.
//
// The table is that of optimizers.cu: a line for each part, its length and five addresses, of which the
// first counts here. What limits it is memory: each number is read once and written once.
#include "common.cuh"

// found = 1 if a number is inf or NaN; all numbers times 1 / scale, which is missing if only to look.
extern "C" __global__ void __launch_bounds__(256)
unscale(const long long* __restrict__ table, float* __restrict__ found, const float* __restrict__ scale) {
    const long long* part = table + 6 * (long long)blockIdx.x;
    const long long size = part[0];
    T* const x = reinterpret_cast<T*>(part[1]);
    const A inverse = scale ? A(float(1 / double(*scale))) : A(1);
    bool bad = false;
    auto one = [&](T number) {
        A y = A(number);
        bad |= !(y - y == 0);  // inf - inf is NaN
        return T(y * inverse);
    };
    const long long wide = can_be_wide(x) ? size / WIDE : 0;
    for (long long i = threadIdx.x; i < wide; i += blockDim.x) {
        Pack pack = reinterpret_cast<const Pack*>(x)[i];
        for (int j = 0; j < WIDE; j++) pack.at[j] = one(pack.at[j]);
        if (scale) reinterpret_cast<Pack*>(x)[i] = pack;
    }
    for (long long i = wide * WIDE + threadIdx.x; i < size; i += blockDim.x) {
        T y = one(x[i]);
        if (scale) x[i] = y;
    }
    bad = __syncthreads_or(bad);
    if (bad && threadIdx.x == 0) atomicExch(found, 1.0f);
}

extern "C" __global__ void
update_scale(float* scale, int* tracker, const float* found, double growth, double backoff,
             long long interval) {
    int steps = *found == 0 ? *tracker + 1 : 0;
    if (*found != 0) {
        *scale = float(*scale * backoff);
    } else if (steps == interval) {
        float larger = float(*scale * growth);
        if (larger - larger == 0) *scale = larger;
        steps = 0;
    }
    *tracker = steps;
}

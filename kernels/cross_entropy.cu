// Softmax and cross-entropy of rows of logits, forward and backward (cross_entropy.py has the formulas).
//
// A block takes a row. The forward reads it once: each thread keeps the largest logit it has met and
// the sum of e^(x - largest), which is scaled whenever a larger one comes (Milakov & Gimelshein 2018,
// "Online normalizer calculation for softmax").
#include "common.cuh"

struct Online {
    A top, sum;
};

__device__ __forceinline__ Online joined(Online a, Online b) {
    A top = a.top > b.top ? a.top : b.top;
    return {top, a.sum * exp(a.top - top) + b.sum * exp(b.top - top)};
}

__device__ __forceinline__ Online warp_join(Online a) {
    for (int distance = WARP / 2; distance; distance /= 2) {
        Online b = {__shfl_xor_sync(ALL, a.top, distance), __shfl_xor_sync(ALL, a.sum, distance)};
        a = joined(a, b);
    }
    return a;
}

// A number below all others but -inf: no logit at all leaves a sum of 0, not NaN.
__device__ __forceinline__ A least() { return sizeof(A) == 4 ? A(-3.4e38) : A(-1.7e308); }

__device__ __forceinline__ Online block_join(Online a) {
    __shared__ Online parts[WARP];
    int lane = threadIdx.x % WARP, warps = blockDim.x / WARP;
    a = warp_join(a);
    __syncthreads();
    if (lane == 0) parts[threadIdx.x / WARP] = a;
    __syncthreads();
    return warp_join(lane < warps ? parts[lane] : Online{least(), 0});
}

// The weight of a row's right class, times 1 - s.
__device__ __forceinline__ A own_weight(const T* weight, long long t, A smoothing) {
    return (A(1) - smoothing) * (weight ? A(weight[t]) : A(1));
}

// losses (rows) and log sum e^x (rows). sum_each: s / C times the sum of all weights, if smoothing.
extern "C" __global__ void __launch_bounds__(1024)
cross_entropy(const T* __restrict__ logits, const long long* __restrict__ target,
              const T* __restrict__ weight, const A* __restrict__ sum_each, T* __restrict__ losses,
              T* __restrict__ total, long long rows, long long classes, double smoothing,
              long long ignore_index) {
    const A s = A(smoothing);
    for (long long i = blockIdx.x; i < rows; i += gridDim.x) {
        const T* row = logits + i * classes;
        Online found = {least(), 0};
        A spread = 0;  // sum_c s w_c x_c / C
        for (long long c = threadIdx.x; c < classes; c += blockDim.x) {
            A x = A(row[c]);
            if (x > found.top)
                found = {x, found.sum * exp(found.top - x) + (x - x + A(1))};  // inf - inf is NaN
            else
                found.sum += exp(x - found.top);
            if (s > 0) spread += (weight ? A(weight[c]) : A(1)) * x;
        }
        found = block_join(found);
        if (s > 0) spread = block_sum(spread) * (s / A(classes));
        if (threadIdx.x == 0) {
            A log_sum = log(found.sum) + found.top, loss = 0;
            long long t = target[i];
            if (t != ignore_index) {
                loss = own_weight(weight, t, s) * (log_sum - A(row[t]));
                if (s > 0) loss += log_sum * sum_each[0] - spread;
            }
            losses[i] = T(loss);
            total[i] = T(log_sum);
        }
    }
}

// Each number is read and then written by one thread, so out may be the logits themselves.
extern "C" __global__ void __launch_bounds__(1024)
cross_entropy_backward(const T* scale, const T* logits, const T* total, const long long* target,
                       const T* weight, const A* sum_each, T* out, long long rows, long long classes,
                       double smoothing, long long ignore_index) {
    const A s = A(smoothing), each = s / A(classes);
    for (long long i = blockIdx.x; i < rows; i += gridDim.x) {
        const T* row = logits + i * classes;
        T* g = out + i * classes;
        const long long t = target[i];
        const bool live = t != ignore_index;
        const A factor = A(scale[i]), log_sum = A(total[i]);
        const A own = live ? own_weight(weight, t, s) * factor : A(0);
        const A amount = own + (s > 0 && live ? sum_each[0] * factor : A(0));
        for (long long c = threadIdx.x; c < classes; c += blockDim.x) {
            A value = 0;
            if (live) {
                value = exp(A(row[c]) - log_sum) * amount;
                if (s > 0) value -= each * (weight ? A(weight[c]) : A(1)) * factor;
                if (c == t) value -= own;
            }
            g[c] = T(value);
        }
    }
}

// The gradients of a convolution's maximum over time (conv1d.py), from that of the maxima, g (B, n).
//
// It belongs to the windows that begin at step where (B, n); all others get nothing, and are not looked
// at. Every sum is one thread's own, in a fixed order.
#include "common.cuh"

// dx (B, length, channels) = sum over o of g[b, o] w[k, o], w (kernel, n, channels), at step
// stride where[b, o] + dilation k. The filters that have their maximum at the same step form a chain:
// the first of them is head[step], the one after o is next[o]. Blocks of 8 warps: (text, 32 steps).
extern "C" __global__ void __launch_bounds__(256)
conv1d_max_input(const T* __restrict__ g, const long long* __restrict__ where, const T* __restrict__ w,
                 T* __restrict__ dx, long long n, long long count, long long length,
                 long long channels, long long kernel, long long stride, long long dilation) {
    extern __shared__ A shared[];
    A* value = shared;
    int *place = reinterpret_cast<int*>(value + n), *next = place + n, *head = next + n;
    const long long b = blockIdx.x;
    for (int o = threadIdx.x; o < n; o += blockDim.x) {
        value[o] = A(g[b * n + o]);
        place[o] = value[o] == 0 ? -1 : int(where[b * n + o]);
    }
    for (int t = threadIdx.x; t < count; t += blockDim.x) head[t] = -1;
    __syncthreads();
    for (int o = threadIdx.x; o < n; o += blockDim.x) {
        if (place[o] < 0) continue;
        int before = o - 1, after = o + 1;
        while (before >= 0 && place[before] != place[o]) before--;
        while (after < n && place[after] != place[o]) after++;
        if (before < 0) head[place[o]] = o;
        next[o] = after < n ? after : -1;
    }
    __syncthreads();
    const long long first = blockIdx.y * 32LL, end = first + 32 < length ? first + 32 : length;
    for (long long l = first + threadIdx.x / WARP; l < end; l += blockDim.x / WARP)
        for (long long c = threadIdx.x % WARP; c < channels; c += WARP) {
            A sum = 0;
            for (int k = 0; k < kernel; k++) {
                const long long from = l - k * dilation, t = from / stride;
                if (from < 0 || from % stride || t >= count) continue;
                for (int o = head[t]; o >= 0; o = next[o])
                    sum += value[o] * A(w[(k * n + o) * channels + c]);
            }
            dx[(b * length + l) * channels + c] = T(sum);
        }
}

// dw (n, channels, kernel) = sum over b of g[b, o] x[b, stride where[b, o] + dilation k]. Blocks:
// (filter, 128 numbers of the window); g and where are the same for all threads of a block.
extern "C" __global__ void __launch_bounds__(128)
conv1d_max_weight(const T* __restrict__ g, const long long* __restrict__ where, const T* __restrict__ x,
                  T* __restrict__ dw, long long batch, long long n, long long length,
                  long long channels, long long kernel, long long stride, long long dilation) {
    const long long o = blockIdx.x, at = (long long)blockIdx.y * blockDim.x + threadIdx.x;
    const long long k = at / channels, c = at % channels;
    if (k >= kernel) return;
    A sum = 0;
#pragma unroll 4
    for (long long b = 0; b < batch; b++) {
        const A up = A(g[b * n + o]);
        const long long l = stride * where[b * n + o] + dilation * k;
        if (up != 0) sum += up * A(x[(b * length + l) * channels + c]);
    }
    dw[(o * channels + c) * kernel + k] = T(sum);
}

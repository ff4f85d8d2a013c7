// Batch norm of x (N, C, L): sums for each channel, and what is done with them (batch_norm.py).
//
// Threads are numbered in rows of `lanes`, which read neighbours side by side: along L, where a block
// takes a channel; or, where L = 1, along the channels, of which a block then takes 32.
#include "common.cuh"

struct Channel {
    long long c, n, n_step, l, l_step;  // the channel; where in it this thread begins, and its steps
    bool columns, there;

    __device__ Channel(long long channels, long long length, int lanes)
        : n(threadIdx.x / lanes), n_step(blockDim.x / lanes), columns(length == 1) {
        const int lane = threadIdx.x % lanes;
        c = columns ? (long long)blockIdx.x * WARP + lane : blockIdx.x;
        l = columns ? 0 : lane, l_step = lanes;
        there = c < channels;
    }
    // The sum of what the block's threads of the same channel have, for all of them.
    __device__ A sum(A x) const {
        if (!columns) return block_sum(x);
        __shared__ A parts[1024];
        __syncthreads();  // an earlier sum may still be read
        parts[threadIdx.x] = x;
        __syncthreads();
        x = 0;
        for (int k = threadIdx.x % WARP; k < int(blockDim.x); k += WARP) x += parts[k];
        return x;
    }
};

#define NUMBERS_OF(of)                                              \
    for (long long n = of.there ? of.n : batch; n < batch; n += of.n_step) \
        for (long long l = of.l, at = (n * channels + of.c) * length + l; l < length; \
             l += of.l_step, at += of.l_step)

// The squares are of x - mean: E[x^2] - E[x]^2 would lose all digits where the mean is large.
extern "C" __global__ void __launch_bounds__(1024)
channel_moments(const T* __restrict__ x, T* __restrict__ mean, T* __restrict__ rstd, long long batch,
                long long channels, long long length, long long lanes, double eps) {
    const Channel of(channels, length, lanes);
    const A count = A(batch * length);
    A sum = 0, square = 0;
    NUMBERS_OF(of) sum += A(x[at]);
    const A middle = of.sum(sum) / count;
    NUMBERS_OF(of) {
        const A d = A(x[at]) - middle;
        square += d * d;
    }
    square = of.sum(square);
    if (of.there && of.n == 0 && of.l == 0) {
        mean[of.c] = T(middle);
        rstd[of.c] = T(A(1) / sqrt(square / count + A(eps)));
    }
}

// total = sum of g, along = sum of g (x - mean).
extern "C" __global__ void __launch_bounds__(1024)
channel_products(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ mean,
                 T* __restrict__ total, T* __restrict__ along, long long batch, long long channels,
                 long long length, long long lanes) {
    const Channel of(channels, length, lanes);
    const A middle = of.there ? A(mean[of.c]) : A(0);
    A plain = 0, times = 0;
    NUMBERS_OF(of) {
        const A up = A(g[at]);
        plain += up;
        times += up * (A(x[at]) - middle);
    }
    plain = of.sum(plain);
    times = of.sum(times);
    if (of.there && of.n == 0 && of.l == 0) total[of.c] = T(plain), along[of.c] = T(times);
}

// Rows of `width` neighbours: of a channel, or, where L = 1, of all channels. Each `lanes` threads take
// a row.
#define EACH_NUMBER                                                                                \
    const long long width = length == 1 ? channels : length;                                       \
    const long long rows = length == 1 ? batch : batch * channels;                                 \
    for (long long row = first_place() / lanes; row < rows; row += place_step() / lanes)           \
        for (long long c = row % channels, j = threadIdx.x % lanes, at = row * width + j; j < width; \
             j += lanes, at += lanes)
#define CHANNEL (length == 1 ? j : c)

// y = (x - mean) scale + shift
extern "C" __global__ void __launch_bounds__(256)
channel_affine(const T* __restrict__ x, const T* __restrict__ mean, const T* __restrict__ scale,
               const T* __restrict__ shift, T* __restrict__ y, long long batch, long long channels,
               long long length, long long lanes) {
    EACH_NUMBER {
        const long long k = CHANNEL;
        y[at] = T((A(x[at]) - A(mean[k])) * A(scale[k]) + A(shift[k]));
    }
}

// out = a g + b (x - mean) + c
extern "C" __global__ void __launch_bounds__(256)
channel_combine(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ mean,
                const T* __restrict__ first, const T* __restrict__ second, const T* __restrict__ third,
                T* __restrict__ out, long long batch, long long channels, long long length,
                long long lanes) {
    EACH_NUMBER {
        const long long k = CHANNEL;
        out[at] = T(A(first[k]) * A(g[at]) + A(second[k]) * (A(x[at]) - A(mean[k])) + A(third[k]));
    }
}

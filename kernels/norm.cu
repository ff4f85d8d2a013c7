// Layer norm and RMS norm of rows, forward and backward (norm.py has the formulas).
//
// A block takes a row: its threads read it side by side, and add up by shuffles. A row is read two or
// three times; after the first it comes from the cache, which beats writing down what a pass found.
#include "common.cuh"

struct Moments {
    A mean, r;  // r = 1 / sqrt(mean((x - mean)^2) + eps)
};

// The squares are of x - mean: E[x^2] - E[x]^2 would lose all digits where the mean is large.
__device__ __forceinline__ Moments moments(const T* x, long long n, A eps, bool centred) {
    A mean = 0, square = 0;
    if (centred) {
        for (long long j = threadIdx.x; j < n; j += blockDim.x) mean += A(x[j]);
        mean = block_sum(mean) / A(n);
    }
    for (long long j = threadIdx.x; j < n; j += blockDim.x) {
        A d = A(x[j]) - mean;
        square += d * d;
    }
    return {mean, A(1) / sqrt(block_sum(square) / A(n) + eps)};
}

extern "C" __global__ void __launch_bounds__(1024)
normalise_rows(const T* __restrict__ x, const T* __restrict__ weight, const T* __restrict__ bias,
               T* __restrict__ y, long long rows, long long n, double eps, long long centred) {
    for (long long i = blockIdx.x; i < rows; i += gridDim.x) {
        const T* row = x + i * n;
        T* out = y + i * n;
        Moments of = moments(row, n, A(eps), centred);
        for (long long j = threadIdx.x; j < n; j += blockDim.x) {
            A h = (A(row[j]) - of.mean) * of.r;
            if (weight) h *= A(weight[j]);
            if (bias) h += A(bias[j]);
            out[j] = T(h);
        }
    }
}

// dx; and mean and r of each row (rows, 2) for the sums over rows, if stats is there.
extern "C" __global__ void __launch_bounds__(1024)
normalise_rows_dx(const T* __restrict__ g, const T* __restrict__ x, const T* __restrict__ weight,
                  T* __restrict__ dx, A* __restrict__ stats, long long rows, long long n, double eps,
                  long long centred) {
    for (long long i = blockIdx.x; i < rows; i += gridDim.x) {
        const T *row = x + i * n, *up = g + i * n;
        Moments of = moments(row, n, A(eps), centred);
        A total = 0, along = 0;
        for (long long j = threadIdx.x; j < n; j += blockDim.x) {
            A u = A(up[j]) * (weight ? A(weight[j]) : A(1));
            total += u;
            along += u * ((A(row[j]) - of.mean) * of.r);
        }
        total = centred ? block_sum(total) / A(n) : A(0);
        along = block_sum(along) / A(n);
        for (long long j = threadIdx.x; j < n; j += blockDim.x) {
            A u = A(up[j]) * (weight ? A(weight[j]) : A(1));
            A h = (A(row[j]) - of.mean) * of.r;
            dx[i * n + j] = T((u - total - h * along) * of.r);
        }
        if (stats && threadIdx.x == 0) {
            stats[2 * i] = of.mean;
            stats[2 * i + 1] = of.r;
        }
    }
}

// sums[0, part] = sum of g h and sums[1, part] = sum of g over the rows of a part, `step` rows each.
// A block of 32 x 8 threads: 32 columns, read side by side; 8 rows at a time, added up at the end.
// The parts are added in their order afterwards: no atomics, the same bits on every run.
extern "C" __global__ void __launch_bounds__(256)
normalise_rows_sums(const T* __restrict__ g, const T* __restrict__ x, const A* __restrict__ stats,
                    A* __restrict__ sums, long long rows, long long n, long long step) {
    __shared__ A along[8][WARP], plain[8][WARP];
    long long j = (long long)blockIdx.x * WARP + threadIdx.x, first = blockIdx.y * step;
    long long end = first + step < rows ? first + step : rows;
    A gh = 0, only = 0;
    if (j < n)
        for (long long i = first + threadIdx.y; i < end; i += 8) {
            A up = A(g[i * n + j]);
            gh += up * ((A(x[i * n + j]) - stats[2 * i]) * stats[2 * i + 1]);
            only += up;
        }
    along[threadIdx.y][threadIdx.x] = gh;
    plain[threadIdx.y][threadIdx.x] = only;
    __syncthreads();
    if (threadIdx.y == 0 && j < n) {
        for (int k = 1; k < 8; k++) {
            gh += along[k][threadIdx.x];
            only += plain[k][threadIdx.x];
        }
        sums[blockIdx.y * n + j] = gh;
        sums[(gridDim.y + blockIdx.y) * n + j] = only;
    }
}

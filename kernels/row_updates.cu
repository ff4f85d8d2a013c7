// Optimizers' updates of some rows of a table (row_updates.py): row k of `rows` belongs to the table's
// row ids[k]. A warp takes a row, its lanes neighbours in it.
#include "common.cuh"

#define EACH_NUMBER                                                                              \
    for (long long k = first_place() / WARP; k < count; k += place_step() / WARP)                \
        for (long long j = threadIdx.x % WARP, from = k * width + j, at = ids[k] * width + j;    \
             j < width; j += WARP, from += WARP, at += WARP)

// w -= lr g; ids occur once.
extern "C" __global__ void __launch_bounds__(256)
sgd_rows(T* __restrict__ w, const long long* __restrict__ ids, const T* __restrict__ rows,
         long long count, long long width, double lr) {
    EACH_NUMBER w[at] = T(A(w[at]) - A(lr) * A(rows[from]));
}

// The same of ids that may occur several times, in whatever order they come.
extern "C" __global__ void __launch_bounds__(256)
sgd_rows_atomic(T* __restrict__ w, const long long* __restrict__ ids, const T* __restrict__ rows,
                long long count, long long width, double lr) {
    EACH_NUMBER atomicAdd(&w[at], T(-A(lr) * A(rows[from])));
}

// s += g^2, w -= lr g / (sqrt(s) + eps)
extern "C" __global__ void __launch_bounds__(256)
adagrad_rows(T* __restrict__ w, T* __restrict__ s, const long long* __restrict__ ids,
             const T* __restrict__ rows, long long count, long long width, double lr, double eps) {
    EACH_NUMBER {
        const A g = A(rows[from]), square = A(s[at]) + g * g;
        s[at] = T(square);
        w[at] = T(A(w[at]) - A(lr) * (g / (sqrt(square) + A(eps))));
    }
}

// m += (1 - b1) (g - m), v += (1 - b2) (g^2 - v), w -= lr m / (sqrt(v) + eps); c1 = 1 - b1, c2 = 1 - b2
extern "C" __global__ void __launch_bounds__(256)
adam_rows(T* __restrict__ w, T* __restrict__ m, T* __restrict__ v, const long long* __restrict__ ids,
          const T* __restrict__ rows, long long count, long long width, double lr, double c1, double c2,
          double eps) {
    EACH_NUMBER {
        const A g = A(rows[from]);
        const A mean = A(m[at]) + A(c1) * (g - A(m[at]));
        const A square = A(v[at]) + A(c2) * (g * g - A(v[at]));
        m[at] = T(mean);
        v[at] = T(square);
        w[at] = T(A(w[at]) - A(lr) * (mean / (sqrt(square) + A(eps))));
    }
}

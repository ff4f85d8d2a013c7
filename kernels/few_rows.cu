// Few rows times a matrix of 8-bit numbers (few_rows.py): y[r, i] = scales[i] sum over j of q[i, j] x[r, j].
//
// The time is that of reading q, once. A warp takes 4 rows of q, so that what it reads of x serves four
// times; a lane takes 4 neighbours of each at a time.
#include "common.cuh"

constexpr int MOST = 8, EACH = 4;  // rows of x; rows of q a warp

struct alignas(sizeof(T) < 4 ? 8 : 16) Four {
    T at[4];
};
struct alignas(4) Bytes {
    signed char at[4];
};

// Four neighbours, zeros beyond `count`; wide: in one access.
template <class Number, class Packed>
__device__ __forceinline__ void load(A (&into)[4], const Number* at, long long count, bool wide) {
    Packed four = {};
    if (wide)
        four = *reinterpret_cast<const Packed*>(at);
    else
        for (int k = 0; k < 4; k++)
            if (k < count) four.at[k] = at[k];
    for (int k = 0; k < 4; k++) into[k] = A(four.at[k]);
}

// x (count, width), q (n, width), y (count, n).
extern "C" __global__ void __launch_bounds__(256)
few_rows_of_bytes(const T* __restrict__ x, const signed char* __restrict__ q,
                  const T* __restrict__ scales, T* __restrict__ y, long long count, long long n,
                  long long width) {
    const int lane = threadIdx.x % WARP;
    const bool wide = width % 4 == 0 && (size_t)x % alignof(Four) == 0 && (size_t)q % 4 == 0;
    for (long long first = first_place() / WARP * EACH; first < n; first += place_step() / WARP * EACH) {
        A sum[EACH][MOST] = {};
        for (long long j = lane * 4; j < width; j += 4 * WARP) {
            A w[EACH][4], of_x[4];
#pragma unroll
            for (int i = 0; i < EACH; i++) {
                const long long row = first + i < n ? first + i : n - 1;
                load<signed char, Bytes>(w[i], q + row * width + j, width - j, wide);
            }
#pragma unroll
            for (int r = 0; r < MOST; r++) {
                if (r >= count) break;
                load<T, Four>(of_x, x + r * width + j, width - j, wide);
#pragma unroll
                for (int i = 0; i < EACH; i++)
                    for (int k = 0; k < 4; k++) sum[i][r] += w[i][k] * of_x[k];
            }
        }
#pragma unroll
        for (int i = 0; i < EACH; i++)
#pragma unroll
            for (int r = 0; r < MOST; r++) {
                if (r >= count) break;
                const A total = warp_sum(sum[i][r]);
                if (lane == 0 && first + i < n) y[r * n + first + i] = T(total * A(scales[first + i]));
            }
    }
}

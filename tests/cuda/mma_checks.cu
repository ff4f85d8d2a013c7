// Kernels that test_cuda_mma.py runs: single instructions of mma.cuh, and misuse of them.
#include "mma.cuh"

#define LANE (threadIdx.x % 32)

// One product: each lane's registers are given, and its sums come back.
#define PRODUCT(name, mma)                                                                   \
    extern "C" __global__ void name(const unsigned* a, const unsigned* b, float* c) {        \
        unsigned mine[4];                                                                    \
        float sum[4];                                                                        \
        for (int i = 0; i < 4; i++) mine[i] = a[4 * threadIdx.x + i];                        \
        for (int i = 0; i < 4; i++) sum[i] = c[4 * threadIdx.x + i];                         \
        mma(sum, mine, b[2 * threadIdx.x], b[2 * threadIdx.x + 1]);                          \
        for (int i = 0; i < 4; i++) c[4 * threadIdx.x + i] = sum[i];                         \
    }
PRODUCT(product_f16, mma_f16)
PRODUCT(product_bf16, mma_bf16)
PRODUCT(product_tf32, mma_tf32)

extern "C" __global__ void round_to_tf32(const float* x, unsigned* y) { y[threadIdx.x] = to_tf32(x[threadIdx.x]); }

// Four matrices of 8 x 8, as they lie in x, into registers.
extern "C" __global__ void load_matrices(const uint4* x, unsigned* out, unsigned* turned) {
    __shared__ uint4 rows[32];
    unsigned r[4];
    rows[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    ldmatrix(r, rows + threadIdx.x);
    for (int m = 0; m < 4; m++) out[4 * threadIdx.x + m] = r[m];
    ldmatrix_transposed(r, rows + threadIdx.x);
    for (int m = 0; m < 4; m++) turned[4 * threadIdx.x + m] = r[m];
}

// y = x by way of shared memory, in two groups; the last `missing` numbers are zeros.
extern "C" __global__ void copy(const float* x, float* y, int missing) {
    __shared__ float4 there[2][64];
    for (int i = 0; i < 2; i++) {
        int at = 64 * i + threadIdx.x;
        copy_async(&there[i][threadIdx.x], x + 4 * at, at < 128 - missing);
        copies_grouped();
    }
    copies_arrived<1>();
    __syncthreads();
    ((float4*)y)[threadIdx.x] = there[0][63 - threadIdx.x];
    copies_arrived<0>();
    __syncthreads();
    ((float4*)y)[64 + threadIdx.x] = there[1][63 - threadIdx.x];
}

// -- misuse ----------------------------------------------------------------------------------------

extern "C" __global__ void product_of_some(unsigned* a, float* c) {
    unsigned mine[4] = {};
    float sum[4] = {};
    if (LANE < 31) mma_f16(sum, mine, 0, 0);
    c[threadIdx.x] = sum[0];
}
extern "C" __global__ void different_products(unsigned* a, float* c) {
    unsigned mine[4] = {};
    float sum[4] = {};
    if (LANE < 16)
        mma_f16(sum, mine, 0, 0);
    else
        mma_bf16(sum, mine, 0, 0);
    c[threadIdx.x] = sum[0];
}
extern "C" __global__ void load_odd_rows(unsigned* a, float* c) {
    __shared__ __align__(16) float rows[32 * 5];
    unsigned r[4];
    for (int i = 0; i < 5; i++) rows[5 * threadIdx.x + i] = i;
    __syncwarp();
    ldmatrix(r, rows + 5 * threadIdx.x);
    c[threadIdx.x] = r[0];
}
extern "C" __global__ void load_from_afar(unsigned* a, float* c) {
    unsigned r[4];
    ldmatrix(r, a + 4 * threadIdx.x);
    c[threadIdx.x] = r[0];
}
extern "C" __global__ void copy_to_odd(unsigned* a, float* c) {
    __shared__ __align__(16) float there[132];
    copy_async(there + 1, a, true);
    copies_grouped();
    copies_arrived<0>();
    c[threadIdx.x] = there[1];
}
extern "C" __global__ void copy_from_odd(unsigned* a, float* c) {
    __shared__ __align__(16) float there[128];
    copy_async(there + 4 * threadIdx.x, a + 1, true);
    copies_grouped();
    copies_arrived<0>();
    c[threadIdx.x] = there[4 * threadIdx.x];
}
extern "C" __global__ void copy_beyond(unsigned* a, float* c) {
    __shared__ __align__(16) float there[128];
    copy_async(there + 4 * threadIdx.x, a + 4 * threadIdx.x + 4, true);
    copies_grouped();
    copies_arrived<0>();
    c[threadIdx.x] = there[4 * threadIdx.x];
}
// Its own 16 bytes, before they can have come.
extern "C" __global__ void read_too_early(unsigned* a, float* c) {
    __shared__ __align__(16) float there[128];
    copy_async(there + 4 * threadIdx.x, a + 4 * threadIdx.x, true);
    copies_grouped();
    copies_arrived<1>();
    c[threadIdx.x] = there[4 * threadIdx.x];
    copies_arrived<0>();
}
// A neighbour's 16 bytes: waiting orders nothing between threads.
extern "C" __global__ void read_without_barrier(unsigned* a, float* c) {
    __shared__ __align__(16) float there[128];
    copy_async(there + 4 * threadIdx.x, a + 4 * threadIdx.x, true);
    copies_grouped();
    copies_arrived<0>();
    c[threadIdx.x] = there[4 * (threadIdx.x ^ 1)];
}
// Copies into what another lane may still read.
extern "C" __global__ void overwrite(unsigned* a, float* c) {
    __shared__ __align__(16) float there[128];
    there[4 * threadIdx.x] = 1;
    __syncthreads();
    c[threadIdx.x] = there[4 * (threadIdx.x ^ 1)];
    copy_async(there + 4 * threadIdx.x, a + 4 * threadIdx.x, true);
    copies_grouped();
    __syncthreads();
    copies_arrived<0>();
}
extern "C" __global__ void never_wait(unsigned* a, float* c) {
    __shared__ __align__(16) float there[128];
    copy_async(there + 4 * threadIdx.x, a + 4 * threadIdx.x, true);
    copies_grouped();
    c[threadIdx.x] = 0;
}

// Kernels that tests/test_cuda_shim.py runs: right ones, and ones with a mistake planted in them.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define ALL 0xffffffff

// -- right ---------------------------------------------------------------------------------------

extern "C" __global__ void __launch_bounds__(1024) block_sum(const float* x, float* out, int n) {
    __shared__ float sums[32];
    float sum = 0;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
    for (int d = 16; d; d /= 2) sum += __shfl_down_sync(ALL, sum, d);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x < 32) {
        sum = threadIdx.x < blockDim.x / 32 ? sums[threadIdx.x] : 0;
        for (int d = 16; d; d /= 2) sum += __shfl_down_sync(ALL, sum, d);
        if (threadIdx.x == 0) out[blockIdx.x] = sum;
    }
}

// Through shared memory, ordered by __syncwarp alone.
extern "C" __global__ void warp_sum(const float* x, float* out) {
    extern __shared__ float part[];
    int lane = threadIdx.x % 32;
    float* mine = part + threadIdx.x / 32 * 32;
    mine[lane] = x[threadIdx.x];
    for (int d = 16; d; d /= 2) {
        __syncwarp();
        float sum = mine[lane] + mine[(lane + d) % 32];
        __syncwarp();
        mine[lane] = sum;
    }
    out[threadIdx.x] = mine[lane];
}

extern "C" __global__ void shuffles(const double* x, double* out) {
    int i = threadIdx.x, n = blockDim.x;
    out[i] = __shfl_sync(ALL, x[i], 5);
    out[n + i] = __shfl_sync(ALL, x[i], 9, 8);
    out[2 * n + i] = __shfl_up_sync(ALL, x[i], 3);
    out[3 * n + i] = __shfl_down_sync(ALL, x[i], 2, 16);
    out[4 * n + i] = __shfl_xor_sync(ALL, x[i], 4);
    if (i < 8) out[i] = __shfl_xor_sync(0xff, x[i], 1);
}

extern "C" __global__ void votes(const int* x, int* out) {
    int i = threadIdx.x, n = blockDim.x, all;
    out[6 * n + i] = __popc(__activemask());
    out[i] = __ballot_sync(ALL, x[i] > 2);
    out[n + i] = __all_sync(ALL, x[i] >= 0) + 2 * __any_sync(ALL, x[i] == 4) + 4 * __any_sync(ALL, x[i] > 9);
    out[2 * n + i] = __match_any_sync(ALL, x[i]);
    out[3 * n + i] = __reduce_add_sync(ALL, x[i]) + __reduce_max_sync(ALL, x[i]) * 1000;
    out[4 * n + i] = __syncthreads_count(x[i] == 1) * 4 + __syncthreads_and(x[i] < 5) * 2 + __syncthreads_or(x[i] == 7);
    out[5 * n + i] = __match_all_sync(ALL, i / 32, &all) == ALL && all;
}

extern "C" __global__ void atomics(const int* x, int* counts, float* sum, double* sum64, int* most,
                                   unsigned* ticket, unsigned long long* product) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    atomicAdd(&counts[x[i]], 1);
    atomicAdd(sum, float(x[i]));
    atomicAdd(sum64, double(x[i]));
    atomicMax(most, x[i]);
    atomicMin(most + 1, x[i]);
    atomicInc(ticket, 2);
    unsigned long long seen = atomicAdd(product, 0ull), assumed;
    do {
        assumed = seen;
        seen = atomicCAS(product, assumed, assumed * (2 * x[i] + 1));
    } while (seen != assumed);
}

extern "C" __global__ void halves(const __half* x, const __nv_bfloat16* y, __half* sum, __half* product,
                                  __nv_bfloat16* sum_b, __half* from_float, __nv_bfloat16* from_float_b,
                                  const float* z) {
    int i = threadIdx.x;
    sum[i] = __hadd(x[i], x[i ^ 1]);
    product[i] = __float2half(__half2float(x[i]) * __half2float(x[i ^ 1]));
    sum_b[i] = __hadd(y[i], y[i ^ 1]);
    from_float[i] = __float2half(z[i]);
    from_float_b[i] = __float2bfloat16(z[i]);
}

extern "C" __global__ void wide(const float4* x, float4* y, dim3 unused) {
    float4 v = x[threadIdx.x];
    y[threadIdx.x] = make_float4(v.w, v.z, v.y, v.x);
}

extern "C" __global__ void places(int* out) {
    unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}

// -- wrong: what it should say stands in tests/test_cuda_shim.py ------------------------------------

extern "C" __global__ void shared_race(float* out) {
    __shared__ float s[64];
    s[threadIdx.x] = 0;
    __syncthreads();
    s[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = s[(threadIdx.x + 1) % 64];  // needs a barrier before it
}

extern "C" __global__ void warp_race(float* out) {
    __shared__ float s[32];
    s[threadIdx.x] = threadIdx.x;
    float first = __shfl_sync(ALL, s[threadIdx.x], 0);  // promises nothing about memory
    out[threadIdx.x] = first + s[threadIdx.x ^ 1];
}

extern "C" __global__ void global_race(float* out) { out[threadIdx.x / 2] += 1; }

extern "C" __global__ void block_race(float* out) {
    if (threadIdx.x == 0) out[0] += 1;
}

extern "C" __global__ void half_atomic(int* out) {
    if (threadIdx.x == 0) *out = 1;
    else atomicAdd(out, 1);
}

extern "C" __global__ void never_written(float* out) {
    extern __shared__ float s[];
    if (threadIdx.x) s[threadIdx.x] = 1;
    __syncthreads();
    out[threadIdx.x] = s[threadIdx.x];
}

extern "C" __global__ void beyond_global(float* out) { out[threadIdx.x] = 1; }

extern "C" __global__ void beyond_static(float* out, int shift) {
    __shared__ float s[32];
    s[threadIdx.x + shift] = 1;
    out[threadIdx.x] = 0;
}

extern "C" __global__ void beyond_dynamic(float* out) {
    extern __shared__ __align__(16) float s[];
    s[threadIdx.x] = 1;
    out[threadIdx.x] = 0;
}

extern "C" __global__ void misaligned(float* out) {
    *reinterpret_cast<float4*>(out + 1) = make_float4(1, 2, 3, 4);
}

extern "C" __global__ void too_far_a_shift(int* out, int by) { *out = 1 << by; }

extern "C" __global__ void skipped_barrier(float* out) {
    if (threadIdx.x < 40) __syncthreads();
    out[threadIdx.x] = 1;
}

extern "C" __global__ void two_barriers(float* out) {
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
    out[threadIdx.x] = 1;
}

extern "C" __global__ void lane_left(float* out) {
    if (threadIdx.x == 7) return;
    out[threadIdx.x] = __shfl_sync(ALL, 1.0f, 0);
}

extern "C" __global__ void lane_elsewhere(float* out) {
    if (threadIdx.x < 16) out[threadIdx.x] = __shfl_sync(ALL, 1.0f, 0);
    __syncthreads();
}

extern "C" __global__ void other_masks(float* out) {
    out[threadIdx.x] = __shfl_sync(threadIdx.x < 16 ? ALL : 0xffff0000, 1.0f, 20);
}

extern "C" __global__ void not_in_mask(float* out) { out[threadIdx.x] = __shfl_sync(0xff, 1.0f, 0); }

extern "C" __global__ void from_outside(float* out) {
    if (threadIdx.x < 8) out[threadIdx.x] = __shfl_sync(0xff, 1.0f, 9);
}

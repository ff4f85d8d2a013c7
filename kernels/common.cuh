// What the CUDA kernels share: the type of numbers, sums over a warp and a block, wide loads.
//
// A source is compiled once for each type, by -DNUMBER=float, double, __half or __nv_bfloat16.
// Arguments that are numbers come as long long or double, those that may be missing as null pointers.

#ifdef HALF
#include <cuda_fp16.h>
#endif
#ifdef BFLOAT16
#include <cuda_bf16.h>
#endif

typedef NUMBER T;  // what arrays hold

template <class Number>
struct Wider {
    using type = float;
};
template <>
struct Wider<double> {
    using type = double;
};
using A = Wider<T>::type;  // what is computed with: sums of halves need the bits of a float

#define INF A(__int_as_float(0x7F800000))  // run-time compilation has no INFINITY

constexpr unsigned ALL = 0xffffffff;  // the lanes of a warp
constexpr int WARP = 32;

// A GPU moves memory in pieces of 32 bytes, and a thread asks for 16 at most: so many numbers at once.
constexpr int WIDE = 16 / sizeof(T);
struct alignas(16) Pack {
    T at[WIDE];
};

__device__ __forceinline__ bool can_be_wide(const void* at) { return ((size_t)at & 15) == 0; }

// Where this thread begins in an array, and how far its next place is: neighbours in a warp read
// neighbours in memory, which the hardware joins to few wide reads ("coalesced").
__device__ __forceinline__ long long first_place() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ long long place_step() { return (long long)gridDim.x * blockDim.x; }

// The sum over the lanes of a warp, for all of them: five exchanges, with no memory between.
__device__ __forceinline__ A warp_sum(A x) {
    for (int distance = WARP / 2; distance; distance /= 2) x += __shfl_xor_sync(ALL, x, distance);
    return x;
}

// The sum over all threads of a block, for all of them; whole warps. The order of the additions
// depends on the size of the block alone.
__device__ __forceinline__ A block_sum(A x) {
    __shared__ A parts[WARP];
    int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    x = warp_sum(x);
    if (warps == 1) return x;
    __syncthreads();  // an earlier sum may still be read
    if (lane == 0) parts[warp] = x;
    __syncthreads();
    return warp_sum(lane < warps ? parts[lane] : A(0));
}

__device__ __forceinline__ A logistic(A x) { return A(1) / (A(1) + exp(-x)); }

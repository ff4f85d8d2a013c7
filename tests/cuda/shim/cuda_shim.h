// CUDA C++ for g++: with this header in front, a .cu file compiles for the CPU as it is.
//
// builder.py puts the file between this header and exports.h, inside an unnamed namespace, so that
// all its functions are the module's own; `extern __shared__ T name[];` it turns into a pointer.
#pragma once
#include <assert.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <type_traits>

#include "runtime.h"

#define __global__ __attribute__((noinline))
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static __attribute__((section("cuda_shared")))
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __grid_constant__
#define __CUDA_ARCH__ 800

#define threadIdx (shim::shim_state.thread)
#define blockIdx (shim::shim_state.block)
#define blockDim (shim::shim_state.block_size)
#define gridDim (shim::shim_state.grid_size)
constexpr int warpSize = 32;

using std::max;
using std::min;

#include "vector_types.h"
#include "cuda_fp16.h"
#include "cuda_bf16.h"
#include "intrinsics.h"
#include "tensor.h"

extern "C" char __start_cuda_shared[] __attribute__((weak, visibility("hidden")));
extern "C" char __stop_cuda_shared[] __attribute__((weak, visibility("hidden")));

// -- barriers and fences ---------------------------------------------------------------------------
// The last argument is the line that calls.

inline void __syncthreads(int line = __builtin_LINE()) { shim::shim_barrier(shim::PLAIN, 0, line); }
inline int __syncthreads_count(int p, int line = __builtin_LINE()) {
    return shim::shim_barrier(shim::COUNT, p, line);
}
inline int __syncthreads_and(int p, int line = __builtin_LINE()) {
    return shim::shim_barrier(shim::EVERY, p, line);
}
inline int __syncthreads_or(int p, int line = __builtin_LINE()) {
    return shim::shim_barrier(shim::SOME, p, line);
}
inline void __syncwarp(unsigned mask = 0xffffffff, int line = __builtin_LINE()) {
    char nothing = 0;
    shim::shim_together(shim::SYNC, mask, 0, warpSize, &nothing, 0, line);
}
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline unsigned __activemask() { return shim::shim_active_lanes(); }
inline void __trap(int line = __builtin_LINE()) { shim::shim_fail("__trap", line); }

// -- warps -----------------------------------------------------------------------------------------

namespace shim {

template <class T>
T shuffle(int how, unsigned mask, T value, int operand, int width, int line) {
    static_assert(std::is_trivially_copyable<T>::value && sizeof(T) <= 8, "a number of up to 8 bytes");
    shim_together(how, mask, operand, width, &value, sizeof value, line);
    return value;
}

template <class T>
int64_t vote(int what, unsigned mask, T value, int line) {
    int64_t number = 0;
    if constexpr (std::is_integral<T>::value)
        number = value;
    else
        memcpy(&number, &value, sizeof value);
    shim_together(what, mask, 0, warpSize, &number, sizeof number, line);
    return number;
}

}  // namespace shim

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, int line = __builtin_LINE()) {
    return shim::shuffle(shim::SHUFFLE, mask, value, lane, width, line);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
    return shim::shuffle(shim::SHUFFLE_UP, mask, value, delta, width, line);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
    return shim::shuffle(shim::SHUFFLE_DOWN, mask, value, delta, width, line);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, int line = __builtin_LINE()) {
    return shim::shuffle(shim::SHUFFLE_XOR, mask, value, lanes, width, line);
}
inline int __all_sync(unsigned mask, int p, int line = __builtin_LINE()) {
    return shim::vote(shim::ALL, mask, p, line);
}
inline int __any_sync(unsigned mask, int p, int line = __builtin_LINE()) {
    return shim::vote(shim::ANY, mask, p, line);
}
inline unsigned __ballot_sync(unsigned mask, int p, int line = __builtin_LINE()) {
    return shim::vote(shim::BALLOT, mask, p, line);
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, int line = __builtin_LINE()) {
    return shim::vote(shim::MATCH_ANY, mask, value, line);
}
template <class T>
unsigned __match_all_sync(unsigned mask, T value, int* all, int line = __builtin_LINE()) {
    unsigned same = shim::vote(shim::MATCH_ALL, mask, value, line);
    *all = same != 0;
    return same;
}

#define REDUCE(name, type, what)                                                             \
    inline type name(unsigned mask, type value, int line = __builtin_LINE()) {               \
        return static_cast<type>(shim::vote(what, mask, value, line));                       \
    }
REDUCE(__reduce_add_sync, int, shim::ADD)
REDUCE(__reduce_add_sync, unsigned, shim::ADD)
REDUCE(__reduce_min_sync, int, shim::MIN)
REDUCE(__reduce_min_sync, unsigned, shim::MIN_UNSIGNED)
REDUCE(__reduce_max_sync, int, shim::MAX)
REDUCE(__reduce_max_sync, unsigned, shim::MAX_UNSIGNED)
REDUCE(__reduce_and_sync, unsigned, shim::AND)
REDUCE(__reduce_or_sync, unsigned, shim::OR)
REDUCE(__reduce_xor_sync, unsigned, shim::XOR)
#undef REDUCE

// -- atomic operations -----------------------------------------------------------------------------
// Fibers change only where the runtime is called, so the old value and the new one need no care.

namespace shim {

template <class T, class Change>
__attribute__((no_sanitize("thread"))) T atomically(T* at, Change change) {
    shim_atomic(at, sizeof(T));
    T old = *at;
    *at = change(old);
    return old;
}

}  // namespace shim

#define ATOMIC(name, type, formula)                                                          \
    inline type name(type* at, type value) {                                                 \
        return shim::atomically(at, [&](type old) -> type { return formula; });              \
    }
#define ATOMIC_INTEGERS(name, formula)                                                       \
    ATOMIC(name, int, formula)                                                               \
    ATOMIC(name, unsigned, formula)                                                          \
    ATOMIC(name, unsigned long long, formula)
ATOMIC_INTEGERS(atomicAdd, old + value)
ATOMIC(atomicAdd, float, old + value)
ATOMIC(atomicAdd, double, old + value)
ATOMIC(atomicAdd, __half, __hadd(old, value))
ATOMIC(atomicAdd, __nv_bfloat16, __hadd(old, value))
ATOMIC(atomicAdd, __half2, __hadd2(old, value))
ATOMIC(atomicAdd, __nv_bfloat162, __hadd2(old, value))
ATOMIC(atomicSub, int, old - value)
ATOMIC(atomicSub, unsigned, old - value)
ATOMIC_INTEGERS(atomicExch, ((void)old, value))
ATOMIC(atomicExch, float, ((void)old, value))
ATOMIC_INTEGERS(atomicMin, min(old, value))
ATOMIC_INTEGERS(atomicMax, max(old, value))
ATOMIC(atomicMin, long long, min(old, value))
ATOMIC(atomicMax, long long, max(old, value))
ATOMIC_INTEGERS(atomicAnd, old & value)
ATOMIC_INTEGERS(atomicOr, old | value)
ATOMIC_INTEGERS(atomicXor, old ^ value)
ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)
#undef ATOMIC_INTEGERS
#undef ATOMIC

#define COMPARE_AND_SWAP(type)                                                               \
    inline type atomicCAS(type* at, type expected, type value) {                             \
        return shim::atomically(at, [&](type old) { return old == expected ? value : old; });\
    }
COMPARE_AND_SWAP(int)
COMPARE_AND_SWAP(unsigned)
COMPARE_AND_SWAP(unsigned long long)
COMPARE_AND_SWAP(unsigned short)
#undef COMPARE_AND_SWAP

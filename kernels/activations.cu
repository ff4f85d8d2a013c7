// Activation functions and their gradients (activations.py has the formulas): one pass over memory.
//
// Such a kernel waits for memory and nothing else: 16 bytes a thread and read keep it busiest.
#include "common.cuh"

template <class Function>
__device__ __forceinline__ void map(const T* x, T* out, long long n, Function f) {
    long long wide = can_be_wide(x) && can_be_wide(out) ? n / WIDE : 0;
    for (long long i = first_place(); i < wide; i += place_step()) {
        Pack pack = reinterpret_cast<const Pack*>(x)[i];
        for (int k = 0; k < WIDE; k++) pack.at[k] = T(f(A(pack.at[k])));
        reinterpret_cast<Pack*>(out)[i] = pack;
    }
    for (long long i = wide * WIDE + first_place(); i < n; i += place_step()) out[i] = T(f(A(x[i])));
}

template <class Function>
__device__ __forceinline__ void map(const T* g, const T* x, T* out, long long n, Function f) {
    long long wide = can_be_wide(g) && can_be_wide(x) && can_be_wide(out) ? n / WIDE : 0;
    for (long long i = first_place(); i < wide; i += place_step()) {
        Pack up = reinterpret_cast<const Pack*>(g)[i], pack = reinterpret_cast<const Pack*>(x)[i];
        for (int k = 0; k < WIDE; k++) pack.at[k] = T(f(A(up.at[k]), A(pack.at[k])));
        reinterpret_cast<Pack*>(out)[i] = pack;
    }
    for (long long i = wide * WIDE + first_place(); i < n; i += place_step())
        out[i] = T(f(A(g[i]), A(x[i])));
}

// NaN stays NaN in all of them: comparisons are written so that it takes the branch that keeps it.
__device__ __forceinline__ A normal(A x) { return A(0.5) * (A(1) + erf(x * A(0.7071067811865476))); }
__device__ __forceinline__ A tanh_inside(A x) {
    return tanh(A(0.7978845608028654) * (x + A(0.044715) * x * x * x));
}

#define VALUE(name, formula)                                                       \
    extern "C" __global__ void __launch_bounds__(256)                              \
    name(const T* __restrict__ x, T* __restrict__ out, long long n) {              \
        map(x, out, n, [](A v) -> A { return formula; });                          \
    }
VALUE(relu, v < 0 ? A(0) : v)
VALUE(sigmoid_of, logistic(v))
VALUE(erf_of, erf(v))
VALUE(silu, v * logistic(v))
VALUE(gelu, v * normal(v))
VALUE(gelu_tanh, A(0.5) * v * (A(1) + tanh_inside(v)))

// g times the derivative
#define GRADIENT(name, formula)                                                                      \
    extern "C" __global__ void __launch_bounds__(256)                                                \
    name(const T* __restrict__ up, const T* __restrict__ x, T* __restrict__ out, long long n) {      \
        map(up, x, out, n, [](A g, A v) -> A { formula; });                                          \
    }
GRADIENT(relu_gradient, return v > 0 ? g : A(0))
GRADIENT(silu_gradient, A s = logistic(v); return g * s * (A(1) + v * (A(1) - s)))
GRADIENT(gelu_gradient,
         A density = A(0.3989422804014327) * exp(A(-0.5) * v * v);
         return g * (normal(v) + v * density))
GRADIENT(gelu_tanh_gradient,
         A t = tanh_inside(v);
         A inside = A(0.7978845608028654) * (A(1) + A(3 * 0.044715) * v * v);
         return A(0.5) * g * (A(1) + t + v * (A(1) - t * t) * inside))

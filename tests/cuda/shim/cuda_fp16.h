// Stands in for CUDA's cuda_fp16.h: 16-bit floats with 10 bits of mantissa, rounded to nearest even.
#pragma once
#include <math.h>
#include <stdint.h>
#include <string.h>

struct __half {
    uint16_t bits;

    __half() = default;
    __half(float x);
    __half(double x) : __half(static_cast<float>(x)) {}
    __half(int x) : __half(static_cast<float>(x)) {}
    operator float() const;
};
using half = __half;

inline float __half2float(__half x) {
    uint32_t sign = uint32_t(x.bits & 0x8000) << 16, exponent = x.bits >> 10 & 31, mantissa = x.bits & 1023;
    if (exponent == 0) return (sign ? -1.0f : 1.0f) * ldexpf(float(mantissa), -24);
    uint32_t bits = sign | mantissa << 13 | (exponent == 31 ? 0x7F800000 : (exponent + 112) << 23);
    float result;
    memcpy(&result, &bits, 4);
    return result;
}

inline __half __float2half_rn(float x) {
    __half result;
    uint32_t bits;
    memcpy(&bits, &x, 4);
    uint16_t sign = bits >> 16 & 0x8000;
    float size = fabsf(x);
    if (isnan(x)) {
        result.bits = 0x7FFF;
    } else if (size >= 65520) {  // halfway from the largest half, 65504, to 2^16
        result.bits = sign | 0x7C00;
    } else if (size < 0x1p-14f) {  // a multiple of 2^-24
        result.bits = sign | uint16_t(nearbyintf(size * 0x1p24f));
    } else {  // drop 13 bits; a carry from the mantissa raises the exponent, as it must
        uint32_t kept = (bits & 0x7FFFFFFF) - (112u << 23);
        kept += 0xFFF + (kept >> 13 & 1);
        result.bits = sign | uint16_t(kept >> 13);
    }
    return result;
}

inline __half::__half(float x) : bits(__float2half_rn(x).bits) {}
inline __half::operator float() const { return __half2float(*this); }
inline __half __float2half(float x) { return x; }
inline __half __double2half(double x) { return x; }
inline __half __int2half_rn(int x) { return float(x); }
inline __half __ushort_as_half(unsigned short bits) { __half x; x.bits = bits; return x; }
inline unsigned short __half_as_ushort(__half x) { return x.bits; }

struct alignas(4) __half2 {
    __half x, y;
};
using half2 = __half2;

// For the two types alike; float holds the exact result of + - * and / well enough to round once more.
#define HALF_FUNCTIONS(T, T2)                                                                   \
    inline T __hadd(T a, T b) { return float(a) + float(b); }                                   \
    inline T __hsub(T a, T b) { return float(a) - float(b); }                                   \
    inline T __hmul(T a, T b) { return float(a) * float(b); }                                   \
    inline T __hdiv(T a, T b) { return float(a) / float(b); }                                   \
    inline T __hneg(T a) { return -float(a); }                                                  \
    inline T __habs(T a) { return fabsf(a); }                                                   \
    inline T __hfma(T a, T b, T c) { return float(double(float(a)) * float(b) + float(c)); }    \
    inline T __hmax(T a, T b) { return fmaxf(a, b); }                                           \
    inline T __hmin(T a, T b) { return fminf(a, b); }                                           \
    inline bool __hlt(T a, T b) { return float(a) < float(b); }                                 \
    inline bool __hgt(T a, T b) { return float(a) > float(b); }                                 \
    inline bool __heq(T a, T b) { return float(a) == float(b); }                                \
    inline bool __hisnan(T a) { return isnan(float(a)); }                                       \
    inline T hexp(T a) { return expf(a); }                                                      \
    inline T hlog(T a) { return logf(a); }                                                      \
    inline T hsqrt(T a) { return sqrtf(a); }                                                    \
    inline T hrsqrt(T a) { return 1 / sqrtf(a); }                                               \
    inline T htanh(T a) { return tanhf(a); }                                                    \
    inline T operator+(T a, T b) { return __hadd(a, b); }                                       \
    inline T operator-(T a, T b) { return __hsub(a, b); }                                       \
    inline T operator*(T a, T b) { return __hmul(a, b); }                                       \
    inline T operator/(T a, T b) { return __hdiv(a, b); }                                       \
    inline T operator-(T a) { return __hneg(a); }                                               \
    inline T& operator+=(T& a, T b) { return a = __hadd(a, b); }                                \
    inline T& operator-=(T& a, T b) { return a = __hsub(a, b); }                                \
    inline T& operator*=(T& a, T b) { return a = __hmul(a, b); }                                \
    inline T2 __hadd2(T2 a, T2 b) { return {__hadd(a.x, b.x), __hadd(a.y, b.y)}; }              \
    inline T2 __hsub2(T2 a, T2 b) { return {__hsub(a.x, b.x), __hsub(a.y, b.y)}; }              \
    inline T2 __hmul2(T2 a, T2 b) { return {__hmul(a.x, b.x), __hmul(a.y, b.y)}; }              \
    inline T2 __hfma2(T2 a, T2 b, T2 c) { return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)}; }
HALF_FUNCTIONS(__half, __half2)

inline __half2 __halves2half2(__half x, __half y) { return {x, y}; }
inline __half2 make_half2(__half x, __half y) { return {x, y}; }
inline __half2 __half2half2(__half x) { return {x, x}; }
inline __half2 __float2half2_rn(float x) { return {x, x}; }
inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
inline __half __low2half(__half2 v) { return v.x; }
inline __half __high2half(__half2 v) { return v.y; }
inline float __low2float(__half2 v) { return v.x; }
inline float __high2float(__half2 v) { return v.y; }

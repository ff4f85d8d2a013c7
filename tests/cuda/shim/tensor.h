// Stands in for the PTX instructions of kernels/mma.cuh: mma, ldmatrix, cp.async.
//
// Lanes hold what the PTX ISA says they hold ("Matrix fragments for mma.m16n8k16", "... m16n8k8" and
// the figures of ldmatrix): all 32 bring their registers, and the products are taken from there, so a
// kernel that puts a number elsewhere gets other results. Sums are rounded once. A copy's bytes come
// when they are waited for, and until then NaN lies there, which the copying thread "wrote" when it
// began: who reads too early reads NaN, and who still reads what was there before races.
#pragma once
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "intrinsics.h"
#include "runtime.h"
#include "vector_types.h"

namespace shim {

#define UNWATCHED __attribute__((no_sanitize("thread")))

struct Fragments {
    unsigned a[4], b[2];
    float c[4];
};

// Element i of a lane's fragment: its row and column.
struct Place {
    int row, column;
};
UNWATCHED inline Place place_of_c(int lane, int i) { return {lane / 4 + i / 2 * 8, lane % 4 * 2 + i % 2}; }

struct Half {
    static constexpr const char* NAME = "mma_f16";
    static constexpr int K = 16, EACH = 2;  // numbers a register
    UNWATCHED static float number(unsigned bits) { return __half2float(__ushort_as_half(bits)); }
    UNWATCHED static Place place_of_a(int lane, int i) {
        return {lane / 4 + (i / 2 % 2) * 8, lane % 4 * 2 + i % 2 + i / 4 * 8};
    }
    UNWATCHED static Place place_of_b(int lane, int i) { return {lane % 4 * 2 + i % 2 + i / 2 * 8, lane / 4}; }
};

struct Brain : Half {
    static constexpr const char* NAME = "mma_bf16";
    UNWATCHED static float number(unsigned bits) { return __bfloat162float(__ushort_as_bfloat16(bits)); }
};

struct Tensor32 {
    static constexpr const char* NAME = "mma_tf32";
    static constexpr int K = 8, EACH = 1;
    UNWATCHED static float number(unsigned bits) { return __uint_as_float(bits & 0xFFFFE000); }
    UNWATCHED static Place place_of_a(int lane, int i) { return {lane / 4 + i % 2 * 8, lane % 4 + i / 2 * 4}; }
    UNWATCHED static Place place_of_b(int lane, int i) { return {lane % 4 + i * 4, lane / 4}; }
};

template <class Kind>
UNWATCHED float element(const unsigned* registers, int i) {
    unsigned bits = registers[i / Kind::EACH];
    return Kind::number(Kind::EACH == 2 ? bits >> (i % 2 * 16) & 0xFFFF : bits);
}

template <class Kind>
UNWATCHED void multiply(void* const* lanes) {
    float a[16][Kind::K], b[Kind::K][8];
    for (int lane = 0; lane < 32; lane++) {
        const Fragments& mine = *static_cast<Fragments*>(lanes[lane]);
        for (int i = 0; i < 4 * Kind::EACH; i++) {
            Place at = Kind::place_of_a(lane, i);
            a[at.row][at.column] = element<Kind>(mine.a, i);
        }
        for (int i = 0; i < 2 * Kind::EACH; i++) {
            Place at = Kind::place_of_b(lane, i);
            b[at.row][at.column] = element<Kind>(mine.b, i);
        }
    }
    for (int lane = 0; lane < 32; lane++)
        for (int i = 0; i < 4; i++) {
            Place at = place_of_c(lane, i);
            float& c = static_cast<Fragments*>(lanes[lane])->c[i];
            double sum = c;
            for (int k = 0; k < Kind::K; k++) sum += double(a[at.row][k]) * b[k][at.column];
            c = float(sum);
        }
}

template <class Kind>
UNWATCHED void mma(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line) {
    static constexpr Exchange exchange = {Kind::NAME, multiply<Kind>};
    Fragments mine = {{a[0], a[1], a[2], a[3]}, {b0, b1}, {c[0], c[1], c[2], c[3]}};
    shim_exchange(&exchange, &mine, line);
    for (int i = 0; i < 4; i++) c[i] = mine.c[i];
}

struct MatrixRow {
    uint4 row;
    unsigned registers[4];
};

template <bool transposed>
UNWATCHED void distribute(void* const* lanes) {
    for (int lane = 0; lane < 32; lane++)
        for (int m = 0; m < 4; m++) {
            unsigned pair = 0;
            for (int i = 0; i < 2; i++) {
                int row = transposed ? lane % 4 * 2 + i : lane / 4;
                int column = transposed ? lane / 4 : lane % 4 * 2 + i;
                uint16_t numbers[8];
                memcpy(numbers, &static_cast<MatrixRow*>(lanes[8 * m + row])->row, sizeof numbers);
                pair |= unsigned(numbers[column]) << 16 * i;
            }
            static_cast<MatrixRow*>(lanes[lane])->registers[m] = pair;
        }
}

inline void check_place(const char* name, const void* shared, int line) {
    char text[80];
    bool odd = reinterpret_cast<uintptr_t>(shared) % 16;
    snprintf(text, sizeof text, "%s of an address that is %s", name, odd ? "no multiple of 16" : "not in shared memory");
    if (odd || !shim_is_shared(shared, 16)) shim_fail(text, line);
}

template <bool transposed>
void load_matrices(unsigned (&r)[4], const void* row, int line) {
    static constexpr Exchange exchange = {transposed ? "ldmatrix_transposed" : "ldmatrix", distribute<transposed>};
    check_place(exchange.name, row, line);
    MatrixRow mine;
    mine.row = *static_cast<const uint4*>(row);
    shim_exchange(&exchange, &mine, line);
    for (int m = 0; m < 4; m++) r[m] = mine.registers[m];
}

}  // namespace shim

inline void mma_f16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line = __builtin_LINE()) {
    shim::mma<shim::Half>(c, a, b0, b1, line);
}
inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line = __builtin_LINE()) {
    shim::mma<shim::Brain>(c, a, b0, b1, line);
}
inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, int line = __builtin_LINE()) {
    shim::mma<shim::Tensor32>(c, a, b0, b1, line);
}

// To the nearest, and away from zero from halfway; NaN and inf stay what they are.
inline unsigned to_tf32(float x) {
    unsigned bits = __float_as_uint(x);
    return isfinite(x) ? (bits + 0x1000) & 0xFFFFE000 : isnan(x) ? 0x7FFFE000 : bits;
}

inline void ldmatrix(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
    shim::load_matrices<false>(r, row, line);
}
inline void ldmatrix_transposed(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
    shim::load_matrices<true>(r, row, line);
}

inline void copy_async(void* shared, const void* global, bool there, int line = __builtin_LINE()) {
    shim::check_place("copy_async", shared, line);
    if (there && reinterpret_cast<uintptr_t>(global) % 16)
        shim::shim_fail("copy_async from an address that is no multiple of 16", line);
    if (there && shim::shim_is_shared(global, 16)) shim::shim_fail("copy_async from shared memory", line);
    *static_cast<uint4*>(shared) = {~0u, ~0u, ~0u, ~0u};
    shim::shim_copy(shared, there ? global : nullptr);
}
inline void copies_grouped() { shim::shim_group_copies(); }
template <int left>
void copies_arrived() {
    shim::Copy copy;
    while (shim::shim_next_copy(left, &copy))
        *static_cast<uint4*>(copy.to) = copy.from ? *static_cast<const uint4*>(copy.from) : uint4{0, 0, 0, 0};
}

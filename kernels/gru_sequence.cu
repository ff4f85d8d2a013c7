// A GRU's whole sequence in one launch, forward and backward (sequence_cuda.py): see sequence.cuh.
#include "common.cuh"
#include "sequence.cuh"

constexpr int PARTS = 12;  // of backward's sums: H / 4 of the 3 H terms each; the other threads idle

// packed (H, H, 4): W_hh[g H + j, k] at [k, j, g], the fourth 0. from_x (N, 3 H), with b_ih; b_hh (3 H).
// gates (N, 4 H), r, z, n and q, may be missing.
extern "C" __global__ void __launch_bounds__(1024)
gru_sequence(const T* __restrict__ from_x, const A* __restrict__ packed, const T* __restrict__ b_hh,
             T* __restrict__ h_ends, T* __restrict__ out, T* __restrict__ gates,
             const long long* __restrict__ counts, const long long* __restrict__ starts,
             long long steps, long long batch, long long hop, long long reverse, long long kept) {
    extern __shared__ __align__(16) unsigned char room[];
    const int size = blockDim.x, j = threadIdx.x, mine = threadIdx.y, part = threadIdx.y;
    const int rows = size / SEQUENCES;
    Four* const state = reinterpret_cast<Four*>(room);  // (H): unit k of the four sequences
    Four* const parts = state + size;                   // (part, sequence, H): of the three gates
    const Weights weights(packed, parts + SEQUENCES * SEQUENCES * size, part, rows, size, j, kept);
    const Walk walk{counts, starts, steps, batch, hop, reverse != 0};
    const long long first = blockIdx.x * (long long)SEQUENCES, b = first + mine;
    A h = b < batch ? A(h_ends[b * size + j]) : A(0);
    const A bias[3] = {A(b_hh[j]), A(b_hh[size + j]), A(b_hh[2 * size + j])};
    state[j].at[mine] = h;
    __syncthreads();
    for (long long turn = 0; turn < steps; turn++) {
        const long long t = walk.time(turn), count = walk.count(t);
        if (first >= count) continue;  // for the whole block
        const long long row = walk.start(t) + b * hop;
        A given[3] = {}, found[3] = {bias[0], bias[1], bias[2]};
        if (b < count)
            for (int g = 0; g < 3; g++) given[g] = A(from_x[(row * 3 + g) * size + j]);
        Four sums[SEQUENCES] = {};
        weights.multiply(state + part * rows, sums);
        for (int s = 0; s < SEQUENCES; s++) parts[(part * SEQUENCES + s) * size + j] = sums[s];
        __syncthreads();
        if (b < count) {
            for (int p = 0; p < SEQUENCES; p++)
                for (int g = 0; g < 3; g++)
                    found[g] += parts[(p * SEQUENCES + mine) * size + j].at[g];
            const A r = logistic(given[0] + found[0]), z = logistic(given[1] + found[1]), q = found[2];
            const A n = tanh(given[2] + r * q);
            h = n + z * (h - n);
            state[j].at[mine] = h;
            out[row * size + j] = T(h);
            if (gates) {
                T* const to = gates + row * 4 * size + j;
                to[0] = T(r), to[size] = T(z), to[2 * size] = T(n), to[3 * size] = T(q);
            }
        }
        __syncthreads();
    }
    if (b < batch) h_ends[b * size + j] = T(h);
}

// before (N, H): the state before each step; w_hh (3 H, H); dh (B, H): from after the end, for h0
// afterwards. d_x, d_h (N, 3 H): dr, dz and dn, or dn r.
extern "C" __global__ void __launch_bounds__(1024)
gru_sequence_backward(const T* __restrict__ g_out, const T* __restrict__ gates, const T* __restrict__ before,
                      const A* __restrict__ w_hh, T* __restrict__ dh_ends, T* __restrict__ d_x,
                      T* __restrict__ d_h, const long long* __restrict__ counts,
                      const long long* __restrict__ starts, long long steps, long long batch,
                      long long hop, long long reverse, long long kept) {
    extern __shared__ __align__(16) unsigned char room[];
    const int size = blockDim.x, j = threadIdx.x, mine = threadIdx.y;
    const int wide = size / 4, number = mine * size + j, column = number % wide, part = number / wide;
    const int rows = size / 4;
    const bool adds = part < PARTS;
    Four* const slopes = reinterpret_cast<Four*>(room);  // (3 H): of the four sequences
    Four* const parts = slopes + 3 * size;               // (part, sequence, H / 4): of four units
    Four* const chip = parts + PARTS * SEQUENCES * wide;
    const Weights weights(w_hh, chip, adds ? part : 0, adds ? rows : 0, wide, column, adds ? kept : 0);
    const Walk walk{counts, starts, steps, batch, hop, reverse != 0};
    const long long first = blockIdx.x * (long long)SEQUENCES, b = first + mine;
    A dh = b < batch ? A(dh_ends[b * size + j]) : A(0);
    __syncthreads();
    for (long long turn = steps - 1; turn >= 0; turn--) {
        const long long t = walk.time(turn), count = walk.count(t);
        if (first >= count) continue;  // for the whole block
        A found[3] = {}, past = 0;
        if (b < count) {
            const long long row = walk.start(t) + b * hop;
            const T* const of = gates + row * 4 * size + j;
            const A r = A(of[0]), z = A(of[size]), n = A(of[2 * size]), q = A(of[3 * size]);
            const A up = dh + A(g_out[row * size + j]), dn = up * (A(1) - z) * (A(1) - n * n);
            found[0] = dn * q * r * (A(1) - r);
            found[1] = up * (A(before[row * size + j]) - n) * z * (A(1) - z);
            found[2] = dn * r;
            past = up * z;
            for (int k = 0; k < 3; k++) {
                d_x[(row * 3 + k) * size + j] = T(k == 2 ? dn : found[k]);
                d_h[(row * 3 + k) * size + j] = T(found[k]);
            }
        }
        for (int k = 0; k < 3; k++) slopes[k * size + j].at[mine] = found[k];
        __syncthreads();
        if (adds) {
            Four sums[SEQUENCES] = {};
            weights.multiply(slopes + part * rows, sums);
            for (int s = 0; s < SEQUENCES; s++) parts[(part * SEQUENCES + s) * wide + column] = sums[s];
        }
        __syncthreads();
        if (b < count) {
            dh = past;
            for (int p = 0; p < PARTS; p++)
                dh += reinterpret_cast<const A*>(parts)[(p * SEQUENCES + mine) * size + j];
        }
    }
    if (b < batch) dh_ends[b * size + j] = T(dh);
}

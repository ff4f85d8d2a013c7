// An LSTM's whole sequence in one launch, forward and backward (lstm_sequence_cuda.py).
//
// Sequences know nothing of each other, so a block takes four of them through all time steps, and no
// block waits for another: "persistent", as Diamos et al. 2016 ("Persistent RNNs", ICML) keep the
// recurrent weights on the chip, without their barrier between blocks. What of W_hh fits lies in shared
// memory for the whole sequence; the rest comes from the second-level cache at each step. H hidden units
// are 4 H threads; thread (j, s) owns unit j of sequence s: its cell never leaves a register.
//
// In each product a thread adds up a part of the terms of 16 sums: 4 numbers of W_hh times 4 numbers of
// the sequences' states, 16 bytes each, so one load serves 8 multiplications. The parts meet in shared
// memory. H must be a multiple of 4.
#include "common.cuh"

constexpr int SEQUENCES = 4;  // of a block, and parts of forward's sums
constexpr int PARTS = 16;     // of backward's sums

struct alignas(16) Four {
    T at[4];
};

// What a step is: where the rows of its sequences stand, and how many sequences there are.
struct Walk {
    const long long *counts, *starts;  // of packed sequences; else null
    long long steps, batch, hop;
    bool reverse;

    __device__ long long time(long long turn) const { return reverse ? steps - 1 - turn : turn; }
    __device__ long long count(long long t) const { return counts ? counts[t] : batch; }
    __device__ long long start(long long t) const {
        return counts ? starts[t] : hop == 1 ? t * batch : t;
    }
};

// 16 sums of a thread: sums[s] += state.at[s] * weights.
__device__ __forceinline__ void multiply(Four* sums, const Four& state, const Four& weights) {
#pragma unroll
    for (int s = 0; s < SEQUENCES; s++)
#pragma unroll
        for (int k = 0; k < 4; k++) sums[s].at[k] += state.at[s] * weights.at[k];
}

// packed (H, H, 4): W_hh[g H + j, k] at [k, j, g], of which `kept` of each part's rows k fit on the chip.
// from_x (N, 4 H), with the bias. gates (N, 4 H) and cells (N, H) may be missing.
extern "C" __global__ void __launch_bounds__(1024)
lstm_sequence(const T* __restrict__ from_x, const T* __restrict__ packed, T* __restrict__ h_ends,
              T* __restrict__ c_ends, T* __restrict__ out, T* __restrict__ gates, T* __restrict__ cells,
              const long long* __restrict__ counts, const long long* __restrict__ starts,
              long long steps, long long batch, long long hop, long long reverse, long long kept) {
    extern __shared__ __align__(16) unsigned char room[];
    const int size = blockDim.x, j = threadIdx.x, mine = threadIdx.y, part = threadIdx.y;
    const int rows = size / SEQUENCES;
    Four* const state = reinterpret_cast<Four*>(room);  // (H): unit k of the four sequences
    Four* const parts = state + size;                   // (part, sequence, H): of the four gates
    Four* const chip = parts + SEQUENCES * SEQUENCES * size;
    const Walk walk{counts, starts, steps, batch, hop, reverse != 0};
    const long long first = blockIdx.x * (long long)SEQUENCES, b = first + mine;
    const Four* const all = reinterpret_cast<const Four*>(packed) + (long long)part * rows * size + j;
    Four* const near = chip + part * kept * size + j;
    for (int i = 0; i < kept; i++) near[i * size] = all[(long long)i * size];
    T c = b < batch ? c_ends[b * size + j] : T(0);
    state[j].at[mine] = b < batch ? h_ends[b * size + j] : T(0);
    __syncthreads();
    for (long long turn = 0; turn < steps; turn++) {
        const long long t = walk.time(turn), count = walk.count(t);
        if (first >= count) continue;  // for the whole block
        const long long row = walk.start(t) + b * hop;
        T given[4] = {};
        if (b < count)
            for (int g = 0; g < 4; g++) given[g] = from_x[(row * 4 + g) * size + j];
        Four sums[SEQUENCES] = {};
        for (int i = 0; i < kept; i++) multiply(sums, state[part * rows + i], near[i * size]);
#pragma unroll 4
        for (int i = kept; i < rows; i++)
            multiply(sums, state[part * rows + i], all[(long long)i * size]);
        for (int s = 0; s < SEQUENCES; s++) parts[(part * SEQUENCES + s) * size + j] = sums[s];
        __syncthreads();
        if (b < count) {
            for (int p = 0; p < SEQUENCES; p++) {
                const Four found = parts[(p * SEQUENCES + mine) * size + j];
                for (int g = 0; g < 4; g++) given[g] += found.at[g];
            }
            const T i = logistic(given[0]), f = logistic(given[1]), g = tanh(given[2]), o = logistic(given[3]);
            c = f * c + i * g;
            const T h = o * tanh(c);
            state[j].at[mine] = h;
            out[row * size + j] = h;
            if (gates) {
                T* const to = gates + row * 4 * size + j;
                to[0] = i, to[size] = f, to[2 * size] = g, to[3 * size] = o;
                cells[row * size + j] = c;
            }
        }
        __syncthreads();
    }
    if (b < batch) {
        h_ends[b * size + j] = state[j].at[mine];
        c_ends[b * size + j] = c;
    }
}

// w_hh (4 H, H) as it is, of which `kept` of each part's rows fit on the chip. dh, dc (B, H): from after
// the end; for h0 and c0 afterwards. c0 (B, H); d_gates (N, 4 H) is the result.
extern "C" __global__ void __launch_bounds__(1024)
lstm_sequence_backward(const T* __restrict__ g_out, const T* __restrict__ gates, const T* __restrict__ cells,
                       const T* __restrict__ c0, const T* __restrict__ w_hh, T* __restrict__ dh_ends,
                       T* __restrict__ dc_ends, T* __restrict__ d_gates,
                       const long long* __restrict__ counts, const long long* __restrict__ starts,
                       long long steps, long long batch, long long hop, long long reverse, long long kept) {
    extern __shared__ __align__(16) unsigned char room[];
    const int size = blockDim.x, j = threadIdx.x, mine = threadIdx.y;
    const int wide = size / 4, number = mine * size + j, column = number % wide, part = number / wide;
    const int rows = 4 * size / PARTS;
    Four* const slopes = reinterpret_cast<Four*>(room);  // (4 H): of the four sequences
    Four* const parts = slopes + 4 * size;               // (part, sequence, H / 4): of four units
    Four* const chip = parts + PARTS * SEQUENCES * wide;
    const Walk walk{counts, starts, steps, batch, hop, reverse != 0};
    const long long first = blockIdx.x * (long long)SEQUENCES, b = first + mine;
    const Four* const all = reinterpret_cast<const Four*>(w_hh) + (long long)part * rows * wide + column;
    Four* const near = chip + part * kept * wide + column;
    for (int i = 0; i < kept; i++) near[i * wide] = all[(long long)i * wide];
    T dh = 0, dc = 0;
    if (b < batch) dh = dh_ends[b * size + j], dc = dc_ends[b * size + j];
    __syncthreads();
    for (long long turn = steps - 1; turn >= 0; turn--) {
        const long long t = walk.time(turn), count = walk.count(t);
        if (first >= count) continue;  // for the whole block
        T found[4] = {};
        if (b < count) {
            const long long row = walk.start(t) + b * hop;
            const T* const of = gates + row * 4 * size + j;
            const T i = of[0], f = of[size], g = of[2 * size], o = of[3 * size];
            T before = c0[b * size + j];
            if (turn > 0 && b < walk.count(walk.time(turn - 1)))
                before = cells[(walk.start(walk.time(turn - 1)) + b * hop) * size + j];
            const T bent = tanh(cells[row * size + j]), up = dh + g_out[row * size + j];
            const T down = dc + up * o * (T(1) - bent * bent);
            found[0] = down * g * i * (T(1) - i), found[1] = down * before * f * (T(1) - f);
            found[2] = down * i * (T(1) - g * g), found[3] = up * bent * o * (T(1) - o);
            dc = down * f;
            for (int k = 0; k < 4; k++) d_gates[(row * 4 + k) * size + j] = found[k];
        }
        for (int k = 0; k < 4; k++) slopes[k * size + j].at[mine] = found[k];
        __syncthreads();
        Four sums[SEQUENCES] = {};
        for (int i = 0; i < kept; i++) multiply(sums, slopes[part * rows + i], near[i * wide]);
#pragma unroll 4
        for (int i = kept; i < rows; i++)
            multiply(sums, slopes[part * rows + i], all[(long long)i * wide]);
        for (int s = 0; s < SEQUENCES; s++) parts[(part * SEQUENCES + s) * wide + column] = sums[s];
        __syncthreads();
        if (b < count) {
            dh = 0;
            for (int p = 0; p < PARTS; p++)
                dh += reinterpret_cast<const T*>(parts)[(p * SEQUENCES + mine) * size + j];
        }
    }
    if (b < batch) dh_ends[b * size + j] = dh, dc_ends[b * size + j] = dc;
}

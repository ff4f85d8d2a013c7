// An LSTM's whole sequence in one launch, forward and backward (sequence_cuda.py): see sequence.cuh.
#include "common.cuh"
#include "sequence.cuh"

constexpr int PARTS = 16;  // of backward's sums: H / 4 of the 4 H terms each

// packed (H, H, 4): W_hh[g H + j, k] at [k, j, g], of which `kept` of each part's rows k lie on the chip.
// from_x (N, 4 H), with the bias. gates (N, 4 H) and cells (N, H) may be missing.
extern "C" __global__ void __launch_bounds__(1024)
lstm_sequence(const T* __restrict__ from_x, const A* __restrict__ packed, T* __restrict__ h_ends,
              T* __restrict__ c_ends, T* __restrict__ out, T* __restrict__ gates, T* __restrict__ cells,
              const long long* __restrict__ counts, const long long* __restrict__ starts,
              long long steps, long long batch, long long hop, long long reverse, long long kept) {
    extern __shared__ __align__(16) unsigned char room[];
    const int size = blockDim.x, j = threadIdx.x, mine = threadIdx.y, part = threadIdx.y;
    const int rows = size / SEQUENCES;
    Four* const state = reinterpret_cast<Four*>(room);  // (H): unit k of the four sequences
    Four* const parts = state + size;                   // (part, sequence, H): of the four gates
    const Weights weights(packed, parts + SEQUENCES * SEQUENCES * size, part, rows, size, j, kept);
    const Walk walk{counts, starts, steps, batch, hop, reverse != 0};
    const long long first = blockIdx.x * (long long)SEQUENCES, b = first + mine;
    A c = b < batch ? A(c_ends[b * size + j]) : A(0);
    state[j].at[mine] = b < batch ? A(h_ends[b * size + j]) : A(0);
    __syncthreads();
    for (long long turn = 0; turn < steps; turn++) {
        const long long t = walk.time(turn), count = walk.count(t);
        if (first >= count) continue;  // for the whole block
        const long long row = walk.start(t) + b * hop;
        A given[4] = {};
        if (b < count)
            for (int g = 0; g < 4; g++) given[g] = A(from_x[(row * 4 + g) * size + j]);
        Four sums[SEQUENCES] = {};
        weights.multiply(state + part * rows, sums);
        for (int s = 0; s < SEQUENCES; s++) parts[(part * SEQUENCES + s) * size + j] = sums[s];
        __syncthreads();
        if (b < count) {
            for (int p = 0; p < SEQUENCES; p++) {
                const Four found = parts[(p * SEQUENCES + mine) * size + j];
                for (int g = 0; g < 4; g++) given[g] += found.at[g];
            }
            const A i = logistic(given[0]), f = logistic(given[1]), g = tanh(given[2]);
            const A o = logistic(given[3]);
            c = f * c + i * g;
            const A h = o * tanh(c);
            state[j].at[mine] = h;
            out[row * size + j] = T(h);
            if (gates) {
                T* const to = gates + row * 4 * size + j;
                to[0] = T(i), to[size] = T(f), to[2 * size] = T(g), to[3 * size] = T(o);
                cells[row * size + j] = T(c);
            }
        }
        __syncthreads();
    }
    if (b < batch) {
        h_ends[b * size + j] = T(state[j].at[mine]);
        c_ends[b * size + j] = T(c);
    }
}

// w_hh (4 H, H) as it is, of which `kept` of each part's rows lie on the chip. dh, dc (B, H): from after
// the end; for h0 and c0 afterwards. c0 (B, H); d_gates (N, 4 H) is the result.
extern "C" __global__ void __launch_bounds__(1024)
lstm_sequence_backward(const T* __restrict__ g_out, const T* __restrict__ gates, const T* __restrict__ cells,
                       const T* __restrict__ c0, const A* __restrict__ w_hh, T* __restrict__ dh_ends,
                       T* __restrict__ dc_ends, T* __restrict__ d_gates,
                       const long long* __restrict__ counts, const long long* __restrict__ starts,
                       long long steps, long long batch, long long hop, long long reverse, long long kept) {
    extern __shared__ __align__(16) unsigned char room[];
    const int size = blockDim.x, j = threadIdx.x, mine = threadIdx.y;
    const int wide = size / 4, number = mine * size + j, column = number % wide, part = number / wide;
    const int rows = size / 4;
    Four* const slopes = reinterpret_cast<Four*>(room);  // (4 H): of the four sequences
    Four* const parts = slopes + 4 * size;               // (part, sequence, H / 4): of four units
    const Weights weights(w_hh, parts + PARTS * SEQUENCES * wide, part, rows, wide, column, kept);
    const Walk walk{counts, starts, steps, batch, hop, reverse != 0};
    const long long first = blockIdx.x * (long long)SEQUENCES, b = first + mine;
    A dh = 0, dc = 0;
    if (b < batch) dh = A(dh_ends[b * size + j]), dc = A(dc_ends[b * size + j]);
    __syncthreads();
    for (long long turn = steps - 1; turn >= 0; turn--) {
        const long long t = walk.time(turn), count = walk.count(t);
        if (first >= count) continue;  // for the whole block
        A found[4] = {};
        if (b < count) {
            const long long row = walk.start(t) + b * hop;
            const T* const of = gates + row * 4 * size + j;
            const A i = A(of[0]), f = A(of[size]), g = A(of[2 * size]), o = A(of[3 * size]);
            A before = A(c0[b * size + j]);
            if (turn > 0 && b < walk.count(walk.time(turn - 1)))
                before = A(cells[(walk.start(walk.time(turn - 1)) + b * hop) * size + j]);
            const A bent = tanh(A(cells[row * size + j])), up = dh + A(g_out[row * size + j]);
            const A down = dc + up * o * (A(1) - bent * bent);
            found[0] = down * g * i * (A(1) - i), found[1] = down * before * f * (A(1) - f);
            found[2] = down * i * (A(1) - g * g), found[3] = up * bent * o * (A(1) - o);
            dc = down * f;
            for (int k = 0; k < 4; k++) d_gates[(row * 4 + k) * size + j] = T(found[k]);
        }
        for (int k = 0; k < 4; k++) slopes[k * size + j].at[mine] = found[k];
        __syncthreads();
        Four sums[SEQUENCES] = {};
        weights.multiply(slopes + part * rows, sums);
        for (int s = 0; s < SEQUENCES; s++) parts[(part * SEQUENCES + s) * wide + column] = sums[s];
        __syncthreads();
        if (b < count) {
            dh = 0;
            for (int p = 0; p < PARTS; p++)
                dh += reinterpret_cast<const A*>(parts)[(p * SEQUENCES + mine) * size + j];
        }
    }
    if (b < batch) dh_ends[b * size + j] = T(dh), dc_ends[b * size + j] = T(dc);
}

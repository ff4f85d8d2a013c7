// What a recurrent layer's sequence in one launch shares (lstm_sequence.cu, gru_sequence.cu).
//
// Sequences know nothing of each other, so a block takes four of them through all time steps, and no
// block waits for another: "persistent", as Diamos et al. 2016 ("Persistent RNNs", ICML) keep the
// recurrent weights on the chip, without their barrier between blocks. What of W_hh fits lies in shared
// memory for the whole sequence; the rest comes from the second-level cache at each step. H hidden units
// are 4 H threads; thread (j, s) owns unit j of sequence s, whose state never leaves a register.
//
// In each product a thread adds up a part of the terms of 16 sums: 4 numbers of W_hh times 4 numbers of
// the sequences' states, 16 bytes each (in float32; weights of 16 bits come widened), so one load serves 8 multiplications. The parts meet in shared
// memory. H must be a multiple of 4; each part has H / 4 terms.

constexpr int SEQUENCES = 4;  // of a block

struct alignas(16) Four {
    A at[4];
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

// A thread's part of a product: `rows` rows of weights, each `width` times Four, of which it takes one
// a row. The first `kept` rows are copied to shared memory.
struct Weights {
    const Four* far;
    Four* near;
    int rows, width, kept;

    __device__ Weights(const A* all, Four* chip, int part, int rows, int width, int column, int kept)
        : far(reinterpret_cast<const Four*>(all) + (long long)part * rows * width + column),
          near(chip + part * kept * width + column),
          rows(rows),
          width(width),
          kept(kept) {
        for (int i = 0; i < kept; i++) near[i * width] = far[(long long)i * width];
    }

    // sums[s].at[k] += states[i].at[s] * row i's k-th number, over all rows.
    __device__ __forceinline__ void multiply(const Four* states, Four* sums) const {
        for (int i = 0; i < kept; i++) add(states[i], near[i * width], sums);
#pragma unroll 4
        for (int i = kept; i < rows; i++) add(states[i], far[(long long)i * width], sums);
    }

    __device__ static __forceinline__ void add(const Four& state, const Four& weights, Four* sums) {
#pragma unroll
        for (int s = 0; s < SEQUENCES; s++)
#pragma unroll
            for (int k = 0; k < 4; k++) sums[s].at[k] += state.at[s] * weights.at[k];
    }
};

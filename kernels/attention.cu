// Attention by tiles with an online softmax, forward and backward (attention.py has the formulas).
//
// A block of 8 warps takes 32 rows (queries; on the way back to K and V, keys) of one head, 4 a warp.
// What they meet (keys; there queries) comes by in tiles of 32, held in shared memory for all warps.
// Of the scores of 4 rows and a tile, lane j computes column j; sums over the tile are shuffles. Then
// the lanes turn to the columns of the result: lane j has columns j, j + 32, ... of its 4 rows in
// registers. The score matrix never exists, and no sum is shared between blocks: no atomics.
#include "common.cuh"
#include "random_bits.cuh"

constexpr int TILE = 32, ROWS = 4, WARPS = 8, COLUMNS = 4;  // COLUMNS * 32 is the widest head

// How many numbers further the next batch, head and row of an array begin; numbers of a row are
// neighbours.
#define STRIDES(x) long long x##_next_batch, long long x##_next_head, long long x##_next_row
#define HEAD(x, head) (x + batch * x##_next_batch + (head) * x##_next_head)

struct Options {
    long long queries, keys, heads;
    A scale, kept;
    bool causal;
    long long seed, least;
    const unsigned char* allowed;  // the mask: bools, or numbers, or neither
    const T* bias;
    long long mask_batch, mask_head, mask_row, mask_column;

    __device__ bool sees(long long i, long long j) const {
        return i < queries && j < keys && (!causal || j <= i);
    }
    // scale q k + mask, or -inf
    __device__ A score(A dot, long long batch, long long head, long long i, long long j) const {
        if (!sees(i, j)) return -INF;
        long long at = batch * mask_batch + head * mask_head + i * mask_row + j * mask_column;
        if (allowed && !allowed[at]) return -INF;
        return dot * scale + (bias ? A(bias[at]) : A(0));
    }
    // What dropout multiplies the weight by.
    __device__ A keep(long long batch, long long head, long long i, long long j) const {
        if (!least) return A(1);
        return keeps(seed, ((batch * heads + head) * queries + i) * keys + j, least) ? kept : A(0);
    }
};

#define OPTIONS                                                                                      \
    long long queries, long long keys, long long heads, double scale, double kept, long long causal, \
        long long seed, long long least, const unsigned char* allowed, const T* bias,                \
        long long mask_batch, long long mask_head, long long mask_row, long long mask_column
#define GIVEN_OPTIONS                                                                             \
    {queries, keys, heads, A(scale), A(kept), causal != 0, seed, least, allowed, bias, mask_batch, \
     mask_head, mask_row, mask_column}

// 32 rows of x from `first` on, zeros beyond the last. A pitch of width + 1 puts the same column of
// 32 rows into 32 different banks of shared memory.
__device__ __forceinline__ void load(A* tile, const T* x, long long row, long long first, long long rows,
                                     int width) {
    int thread = threadIdx.y * WARP + threadIdx.x;
    for (int k = thread; k < TILE * width; k += WARPS * WARP) {
        int i = k / width, c = k % width;
        tile[i * (width + 1) + c] = first + i < rows ? A(x[(first + i) * row + c]) : A(0);
    }
}

// dot[r] = x_r . (the lane's row of the tile), for the warp's rows x_r; all lanes read the same x_r.
__device__ __forceinline__ void dots(A (&dot)[ROWS], const T* x, long long row, long long first,
                                     long long rows, const A* tile, int width) {
    const A* mine = tile + threadIdx.x * (width + 1);
    const T* at[ROWS];
    for (int r = 0; r < ROWS; r++) {
        at[r] = x + (first + r < rows ? first + r : rows - 1) * row;
        dot[r] = 0;
    }
    for (int c = 0; c < width; c++) {
        A y = mine[c];
        for (int r = 0; r < ROWS; r++) dot[r] += A(at[r][c]) * y;
    }
}

// sum[r][.] += sum over the tile's rows j of weights[r][j] tile[j]
__device__ __forceinline__ void add_rows(A (&sum)[ROWS][COLUMNS], const A (*weights)[TILE], const A* tile,
                                         int width) {
    for (int j = 0; j < TILE; j++)
        for (int k = 0; k < COLUMNS; k++) {
            int c = k * WARP + threadIdx.x;
            A y = c < width ? tile[j * (width + 1) + c] : A(0);
            for (int r = 0; r < ROWS; r++) sum[r][k] += weights[r][j] * y;
        }
}

__device__ __forceinline__ void store(const A (&sum)[ROWS][COLUMNS], T* x, long long row, long long first,
                                      long long rows, int width) {
    for (int r = 0; r < ROWS; r++)
        for (int k = 0; k < COLUMNS; k++) {
            int c = k * WARP + threadIdx.x;
            if (first + r < rows && c < width) x[(first + r) * row + c] = T(sum[r][k]);
        }
}

__device__ __forceinline__ A warp_max(A x) {
    for (int distance = WARP / 2; distance; distance /= 2) {
        A other = __shfl_xor_sync(ALL, x, distance);
        x = other > x ? other : x;
    }
    return x;
}

// Blocks (32 queries, head of a batch).
extern "C" __global__ void __launch_bounds__(256)
attention(const T* __restrict__ q, STRIDES(q), const T* __restrict__ k, STRIDES(k),
          const T* __restrict__ v, STRIDES(v), T* __restrict__ out, STRIDES(out), T* __restrict__ logs,
          long long group, long long d, long long e, OPTIONS) {
    extern __shared__ A shared[];
    __shared__ A weights[WARPS * ROWS][TILE];
    A *k_tile = shared, *v_tile = shared + TILE * (d + 1);
    const Options options = GIVEN_OPTIONS;
    const long long batch = blockIdx.y / heads, head = blockIdx.y % heads;
    const long long first = (long long)blockIdx.x * WARPS * ROWS, mine = first + threadIdx.y * ROWS;
    const T *q_head = HEAD(q, head), *k_head = HEAD(k, head / group), *v_head = HEAD(v, head / group);
    const long long seen = causal && first + WARPS * ROWS < keys ? first + WARPS * ROWS : keys;

    A sum[ROWS][COLUMNS] = {}, total[ROWS] = {}, top[ROWS], dot[ROWS];
    for (int r = 0; r < ROWS; r++) top[r] = -INF;
    for (long long at = 0; at < seen; at += TILE) {
        __syncthreads();  // all have done with the tiles before
        load(k_tile, k_head, k_next_row, at, keys, d);
        load(v_tile, v_head, v_next_row, at, keys, e);
        __syncthreads();
        dots(dot, q_head, q_next_row, mine, queries, k_tile, d);
        for (int r = 0; r < ROWS; r++) {
            const long long i = mine + r, j = at + threadIdx.x;
            A score = options.score(dot[r], batch, head, i, j);
            A most = warp_max(score > top[r] ? score : top[r]);
            A shift = most == -INF ? A(0) : most;  // nothing seen yet: e^(-inf - 0) = 0
            A weight = exp(score - shift), before = exp(top[r] - shift);
            total[r] = total[r] * before + warp_sum(weight);
            top[r] = most;
            for (int c = 0; c < COLUMNS; c++) sum[r][c] *= before;
            weights[threadIdx.y * ROWS + r][threadIdx.x] = weight * options.keep(batch, head, i, j);
        }
        __syncwarp();  // a warp reads the weights that its own lanes wrote
        add_rows(sum, weights + threadIdx.y * ROWS, v_tile, e);
    }
    for (int r = 0; r < ROWS; r++) {
        A by = total[r] == 0 ? A(0) : A(1) / total[r];
        for (int c = 0; c < COLUMNS; c++) sum[r][c] *= by;
        if (mine + r < queries && threadIdx.x == 0)
            logs[blockIdx.y * queries + mine + r] =
                T(total[r] == 0 ? INF : top[r] + log(total[r]));
    }
    store(sum, HEAD(out, head), out_next_row, mine, queries, e);
}

// delta = g . out for each query: a warp a row.
extern "C" __global__ void __launch_bounds__(256)
attention_delta(const T* __restrict__ g, STRIDES(g), const T* __restrict__ out, STRIDES(out),
                A* __restrict__ delta, long long queries, long long heads, long long e) {
    const long long batch = blockIdx.y / heads, head = blockIdx.y % heads;
    const long long i = (long long)blockIdx.x * blockDim.y + threadIdx.y;
    if (i >= queries) return;  // the whole warp: it has one i
    A sum = 0;
    for (long long c = threadIdx.x; c < e; c += WARP)
        sum += A((HEAD(g, head))[i * g_next_row + c]) * A((HEAD(out, head))[i * out_next_row + c]);
    sum = warp_sum(sum);
    if (threadIdx.x == 0) delta[blockIdx.y * queries + i] = sum;
}

// Blocks (32 queries, head of a batch), past all keys.
extern "C" __global__ void __launch_bounds__(256)
attention_dq(const T* __restrict__ g, STRIDES(g), const T* __restrict__ logs, const A* __restrict__ delta,
             const T* __restrict__ q, STRIDES(q), const T* __restrict__ k, STRIDES(k),
             const T* __restrict__ v, STRIDES(v), T* __restrict__ dq, STRIDES(dq), long long group,
             long long d, long long e, OPTIONS) {
    extern __shared__ A shared[];
    __shared__ A slopes[WARPS * ROWS][TILE];
    A *k_tile = shared, *v_tile = shared + TILE * (d + 1);
    const Options options = GIVEN_OPTIONS;
    const long long batch = blockIdx.y / heads, head = blockIdx.y % heads;
    const long long first = (long long)blockIdx.x * WARPS * ROWS, mine = first + threadIdx.y * ROWS;
    const T *q_head = HEAD(q, head), *k_head = HEAD(k, head / group), *v_head = HEAD(v, head / group);
    const long long seen = causal && first + WARPS * ROWS < keys ? first + WARPS * ROWS : keys;

    A sum[ROWS][COLUMNS] = {}, dot[ROWS], up[ROWS];
    for (long long at = 0; at < seen; at += TILE) {
        __syncthreads();
        load(k_tile, k_head, k_next_row, at, keys, d);
        load(v_tile, v_head, v_next_row, at, keys, e);
        __syncthreads();
        dots(dot, q_head, q_next_row, mine, queries, k_tile, d);
        dots(up, HEAD(g, head), g_next_row, mine, queries, v_tile, e);
        for (int r = 0; r < ROWS; r++) {
            const long long i = mine + r, j = at + threadIdx.x;
            A slope = 0;
            if (options.sees(i, j)) {
                const long long place = blockIdx.y * queries + i;
                A weight = exp(options.score(dot[r], batch, head, i, j) - A(logs[place]));
                slope = weight * (up[r] * options.keep(batch, head, i, j) - delta[place]) * options.scale;
            }
            slopes[threadIdx.y * ROWS + r][threadIdx.x] = slope;
        }
        __syncwarp();
        add_rows(sum, slopes + threadIdx.y * ROWS, k_tile, d);
    }
    store(sum, HEAD(dq, head), dq_next_row, mine, queries, d);
}

// Blocks (32 keys, head of keys of a batch), past the queries of all heads that share it.
extern "C" __global__ void __launch_bounds__(256)
attention_dkv(const T* __restrict__ g, STRIDES(g), const T* __restrict__ logs, const A* __restrict__ delta,
              const T* __restrict__ q, STRIDES(q), const T* __restrict__ k, STRIDES(k),
              const T* __restrict__ v, STRIDES(v), T* __restrict__ dk, STRIDES(dk), T* __restrict__ dv,
              STRIDES(dv), long long group, long long d, long long e, OPTIONS) {
    extern __shared__ A shared[];
    __shared__ A slopes[WARPS * ROWS][TILE], weights[WARPS * ROWS][TILE];
    A *q_tile = shared, *g_tile = shared + TILE * (d + 1);
    const Options options = GIVEN_OPTIONS;
    const long long every = heads / group, batch = blockIdx.y / every, shared_head = blockIdx.y % every;
    const long long first = (long long)blockIdx.x * WARPS * ROWS, mine = first + threadIdx.y * ROWS;
    const T *k_head = HEAD(k, shared_head), *v_head = HEAD(v, shared_head);

    A k_sum[ROWS][COLUMNS] = {}, v_sum[ROWS][COLUMNS] = {}, dot[ROWS], up[ROWS];
    for (long long head = shared_head * group; head < (shared_head + 1) * group; head++)
        for (long long at = causal ? first / TILE * TILE : 0; at < queries; at += TILE) {
            __syncthreads();
            load(q_tile, HEAD(q, head), q_next_row, at, queries, d);
            load(g_tile, HEAD(g, head), g_next_row, at, queries, e);
            __syncthreads();
            dots(dot, k_head, k_next_row, mine, keys, q_tile, d);
            dots(up, v_head, v_next_row, mine, keys, g_tile, e);
            for (int r = 0; r < ROWS; r++) {
                const long long j = mine + r, i = at + threadIdx.x;
                A slope = 0, weight = 0;
                if (options.sees(i, j)) {
                    const long long place = (batch * heads + head) * queries + i;
                    A keep = options.keep(batch, head, i, j);
                    weight = exp(options.score(dot[r], batch, head, i, j) - A(logs[place]));
                    slope = weight * (up[r] * keep - delta[place]) * options.scale;
                    weight *= keep;
                }
                slopes[threadIdx.y * ROWS + r][threadIdx.x] = slope;
                weights[threadIdx.y * ROWS + r][threadIdx.x] = weight;
            }
            __syncwarp();
            add_rows(k_sum, slopes + threadIdx.y * ROWS, q_tile, d);
            add_rows(v_sum, weights + threadIdx.y * ROWS, g_tile, e);
        }
    store(k_sum, HEAD(dk, shared_head), dk_next_row, mine, keys, d);
    store(v_sum, HEAD(dv, shared_head), dv_next_row, mine, keys, e);
}

// Attention by tiles with an online softmax: the way forward (attention.py has the formulas).
//
// A block takes BLOCK_ROWS queries of one head, each warp its own; keys and values come by in tiles
// (tiles.cuh). The score matrix never exists: a tile of it lies in registers, turns into weights there,
// and these are multiplied with the values at once. Tri Dao 2023, "FlashAttention-2". Products are those
// of tensor cores (TENSOR) or of ordinary arithmetic.
#include "common.cuh"
#include "random_bits.cuh"
#include "mma.cuh"
#include "tiles.cuh"
#if TENSOR
#define SUMS_APART
#include "products_mma.cuh"
#else
#include "products_simt.cuh"
#endif
#include "attention_scores.cuh"

// Blocks of a processor that registers must suffice for, as they do for its shared memory; 0: any number.
constexpr int AT_ONCE = TENSOR == 3 ? 2 : 0;

// Blocks (BLOCK_ROWS queries, head of a batch); with causal order those with most to do come first.
extern "C" __global__ void __launch_bounds__(THREADS, AT_ONCE)
attention(const T* __restrict__ q, STRIDES(q), const T* __restrict__ k, STRIDES(k),
          const T* __restrict__ v, STRIDES(v), T* __restrict__ out, STRIDES(out), A* __restrict__ logs,
          long long group, long long d, long long e, OPTIONS) {
    extern __shared__ __align__(16) unsigned char room[];
    T *q_rows = (T*)room, *tiles = q_rows + BLOCK_ROWS * PITCH;
    const int warp = threadIdx.x / WARP;
    A* scratch = (A*)(tiles + STAGES * 2 * TILE_SIZE) + warp * SCRATCH;
    T* own = q_rows + warp * OWN * PITCH;
    if (EXTRAS && least) seed = seed_of(seed);
    const Options options = GIVEN_OPTIONS;
    const long long batch = blockIdx.y / heads, head = blockIdx.y % heads;
    const long long first = (causal ? gridDim.x - 1 - blockIdx.x : blockIdx.x) * (long long)BLOCK_ROWS;
    const long long mine = first + warp * OWN;
    const long long seen = causal && first + BLOCK_ROWS < keys ? first + BLOCK_ROWS : keys;
    const Rows k_head = ROWS(k, head / group, keys, d), v_head = ROWS(v, head / group, keys, e);
    const int count = int((seen + TILE - 1) / TILE);
    auto load = [&](int t) {
        T* tile = tiles + t % STAGES * 2 * TILE_SIZE;
        load_rows<TILE>(tile, k_head, (long long)t * TILE);
        load_rows<TILE>(tile + TILE_SIZE, v_head, (long long)t * TILE);
        copies_grouped();
    };

    Sums sums = {};
    A total[MY_ROWS] = {}, top[MY_ROWS];  // total: of the lane's own columns
    EACH(r, MY_ROWS) top[r] = -INF;
    load_rows<BLOCK_ROWS>(q_rows, ROWS(q, head, queries, d), first);
    load(0);
    for (int t = 0; t < count; t++) {
        copies_arrived<0>();
        __syncthreads();  // this tile is there for all, and all have done with the one before
        if (STAGES == 2 && t + 1 < count) load(t + 1);
        const T* tile = tiles + t % STAGES * 2 * TILE_SIZE;
        if (!causal || (long long)t * TILE < mine + OWN) {
            Scores scores = {};
            add_dots(scores, own, tile);
            const A factor = finish<false>(scores, options, batch, head, mine, (long long)t * TILE);
            A before[MY_ROWS];
            bool risen = false;
            EACH(r, MY_ROWS) {
                A most = scores.at(r, 0);
                EACH(c, Scores::COLUMNS) most = max(most, scores.at(r, c));
                most = max(top[r], row_max(most) * factor);
                const A shift = most == -INF ? A(0) : most;  // nothing seen yet: 2^(-inf - 0) = 0
                before[r] = power_of_two(top[r] - shift);
                risen |= before[r] != 1;
                A part = 0;
                EACH(c, Scores::COLUMNS) {
                    const A weight = power_of_two(scores.at(r, c) * factor - shift);
                    part += weight;
                    scores.at(r, c) = weight;
                }
                total[r] = total[r] * before[r] + part;
                top[r] = most;
            }
            if (__any_sync(ALL, risen))  // seldom, after the first tiles
                EACH(r, MY_ROWS) EACH(c, Sums::COLUMNS) sums.at(r, c) *= before[r];
            if (EXTRAS && least)
                EACH(r, MY_ROWS) {
                    const unsigned place = options.row(batch, head, mine + my_row(r)) + unsigned(t * TILE);
                    EACH(c, Scores::COLUMNS)
                        if (!keeps(seed, place + Scores::column(c), least)) scores.at(r, c) = 0;
                }
            add_weighted(sums, scores, tile + TILE_SIZE, scratch);
        }
        if (STAGES == 1 && t + 1 < count) {
            __syncthreads();
            load(t + 1);
        }
    }
    A by[MY_ROWS];
    EACH(r, MY_ROWS) {
        const A all = row_sum(total[r]);
        const long long i = mine + my_row(r);
        by[r] = all == 0 ? A(0) : options.kept / all;
        if (LANE % SHARE == 0 && i < queries)
            logs[blockIdx.y * queries + i] = all == 0 ? INF : (top[r] + log2(all)) * LN2;
    }
    put_rows(sums, by, own, ROWS(out, head, queries, e), mine);
}

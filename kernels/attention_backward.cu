// Attention by tiles: the way back (attention.py has the formulas, attention.cu the way forward).
//
// The weights are worked out once more, tile by tile, from the logs of the softmax's denominators. A block
// that owns queries meets all keys and sums up their dq; a block that owns keys meets all queries and sums
// up dk and dv. So each sum is one block's own, and its order is always the same: no atomics.
#include "common.cuh"
#include "random_bits.cuh"
#include "mma.cuh"
#include "tiles.cuh"
#if TENSOR
#include "products_mma.cuh"
#else
#include "products_simt.cuh"
#endif
#include "attention_scores.cuh"

// delta = g . out for each query: 8 lanes a row.
extern "C" __global__ void __launch_bounds__(256)
attention_delta(const T* __restrict__ g, STRIDES(g), const T* __restrict__ out, STRIDES(out),
                A* __restrict__ delta, long long queries, long long heads, long long e) {
    const long long batch = blockIdx.y / heads, head = blockIdx.y % heads;
    const long long i = (long long)blockIdx.x * (blockDim.x / 8) + threadIdx.x / 8;
    A sum = 0;
    if (i < queries) {
        const T* x = ROWS(g, head, queries, e).x + i * g_next_row;
        const T* y = ROWS(out, head, queries, e).x + i * out_next_row;
        if (VECTORS)
            for (long long c = threadIdx.x % 8 * WIDE; c < e; c += 8 * WIDE) {
                const Pack some = *(const Pack*)(x + c), others = *(const Pack*)(y + c);
                EACH(j, WIDE) sum += A(some.at[j]) * A(others.at[j]);
            }
        else
            for (long long c = threadIdx.x % 8; c < e; c += 8) sum += A(x[c]) * A(y[c]);
    }
    EACH(k, 3) sum += __shfl_xor_sync(ALL, sum, 1 << k);
    if (i < queries && threadIdx.x % 8 == 0) delta[blockIdx.y * queries + i] = sum;
}

// Blocks (BLOCK_ROWS queries, head of a batch), past all keys.
extern "C" __global__ void __launch_bounds__(THREADS)
attention_dq(const T* __restrict__ g, STRIDES(g), const A* __restrict__ logs, const A* __restrict__ delta,
             const T* __restrict__ q, STRIDES(q), const T* __restrict__ k, STRIDES(k),
             const T* __restrict__ v, STRIDES(v), T* __restrict__ dq, STRIDES(dq), long long group,
             long long d, long long e, OPTIONS) {
    extern __shared__ __align__(16) unsigned char room[];
    T *q_rows = (T*)room, *g_rows = q_rows + BLOCK_ROWS * PITCH, *tiles = g_rows + BLOCK_ROWS * PITCH;
    const int warp = threadIdx.x / WARP;
    A* scratch = (A*)(tiles + STAGES * 2 * TILE_SIZE) + warp * SCRATCH;
    T *q_own = q_rows + warp * OWN * PITCH, *g_own = g_rows + warp * OWN * PITCH;
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

    A log[MY_ROWS], mean[MY_ROWS];
    EACH(r, MY_ROWS) {
        const long long i = mine + my_row(r), place = blockIdx.y * queries + i;
        log[r] = i < queries ? logs[place] * LOG2E : INF;
        mean[r] = i < queries ? delta[place] : A(0);
    }
    Sums sums = {};
    load_rows<BLOCK_ROWS>(q_rows, ROWS(q, head, queries, d), first);
    load_rows<BLOCK_ROWS>(g_rows, ROWS(g, head, queries, e), first);
    load(0);
    for (int t = 0; t < count; t++) {
        copies_arrived<0>();
        __syncthreads();
        if (STAGES == 2 && t + 1 < count) load(t + 1);
        const T* tile = tiles + t % STAGES * 2 * TILE_SIZE;
        if (!causal || (long long)t * TILE < mine + OWN) {
            Scores scores = {}, ups = {};
            add_dots(scores, q_own, tile);
            add_dots(ups, g_own, tile + TILE_SIZE);
            const A factor = finish<false>(scores, options, batch, head, mine, (long long)t * TILE);
            EACH(r, MY_ROWS) {
                const unsigned place = options.row(batch, head, mine + my_row(r)) + unsigned(t * TILE);
                EACH(c, Scores::COLUMNS) {
                    const A weight = power_of_two(scores.at(r, c) * factor - log[r]);
                    A up = ups.at(r, c);
                    if (EXTRAS && least)
                        up = keeps(seed, place + Scores::column(c), least) ? up * options.kept : A(0);
                    scores.at(r, c) = weight * (up - mean[r]);
                }
            }
            add_weighted(sums, scores, tile, scratch);
        }
        if (STAGES == 1 && t + 1 < count) {
            __syncthreads();
            load(t + 1);
        }
    }
    put_rows(sums, options.scale, q_own, ROWS(dq, head, queries, d), mine);
}

// Blocks (BLOCK_ROWS keys, head of keys of a batch), past the queries of all heads that share it. Scores
// are turned here: a row for each key.
extern "C" __global__ void __launch_bounds__(THREADS)
attention_dkv(const T* __restrict__ g, STRIDES(g), const A* __restrict__ logs, const A* __restrict__ delta,
              const T* __restrict__ q, STRIDES(q), const T* __restrict__ k, STRIDES(k),
              const T* __restrict__ v, STRIDES(v), T* __restrict__ dk, STRIDES(dk), T* __restrict__ dv,
              STRIDES(dv), long long group, long long d, long long e, OPTIONS) {
    extern __shared__ __align__(16) unsigned char room[];
    T *k_rows = (T*)room, *v_rows = k_rows + BLOCK_ROWS * PITCH, *tiles = v_rows + BLOCK_ROWS * PITCH;
    const int warp = threadIdx.x / WARP;
    A* marks = (A*)(tiles + STAGES * 2 * TILE_SIZE);  // logs and delta of a tile's queries
    A* scratch = marks + STAGES * 2 * TILE + warp * SCRATCH;
    T *k_own = k_rows + warp * OWN * PITCH, *v_own = v_rows + warp * OWN * PITCH;
    if (EXTRAS && least) seed = seed_of(seed);
    const Options options = GIVEN_OPTIONS;
    const long long every = heads / group, batch = blockIdx.y / every, shared_head = blockIdx.y % every;
    const long long first = (long long)blockIdx.x * BLOCK_ROWS, mine = first + warp * OWN;
    const int begin = causal ? int(first / TILE) : 0, end = int((queries + TILE - 1) / TILE);
    const int each = begin < end ? end - begin : 0, count = each * int(group);
    auto load = [&](int t) {
        const long long head = shared_head * group + t / each, at = (long long)(begin + t % each) * TILE;
        T* tile = tiles + t % STAGES * 2 * TILE_SIZE;
        load_rows<TILE>(tile, ROWS(q, head, queries, d), at);
        load_rows<TILE>(tile + TILE_SIZE, ROWS(g, head, queries, e), at);
        copies_grouped();
        for (int i = threadIdx.x; i < TILE; i += THREADS) {
            const long long place = (batch * heads + head) * queries + at + i;
            A* mark = marks + t % STAGES * 2 * TILE + i;
            mark[0] = at + i < queries ? logs[place] * LOG2E : INF;
            mark[TILE] = at + i < queries ? delta[place] : A(0);
        }
    };

    Sums k_sums = {}, v_sums = {};
    load_rows<BLOCK_ROWS>(k_rows, ROWS(k, shared_head, keys, d), first);
    load_rows<BLOCK_ROWS>(v_rows, ROWS(v, shared_head, keys, e), first);
    copies_grouped();
    if (count) load(0);
    for (int t = 0; t < count; t++) {
        copies_arrived<0>();
        __syncthreads();
        if (STAGES == 2 && t + 1 < count) load(t + 1);
        const T* tile = tiles + t % STAGES * 2 * TILE_SIZE;
        const A* mark = marks + t % STAGES * 2 * TILE;
        const long long head = shared_head * group + t / each, at = (long long)(begin + t % each) * TILE;
        if (!causal || at + TILE > mine) {
            Scores scores = {}, ups = {};
            add_dots(scores, k_own, tile);
            add_dots(ups, v_own, tile + TILE_SIZE);
            const A factor = finish<true>(scores, options, batch, head, mine, at);
            EACH(c, Scores::COLUMNS) {
                const int i = Scores::column(c);
                const A log = mark[i], mean = mark[TILE + i];
                const unsigned place = options.row(batch, head, at + i) + unsigned(mine);
                EACH(r, MY_ROWS) {
                    const A weight = power_of_two(scores.at(r, c) * factor - log);
                    A up = ups.at(r, c);
                    scores.at(r, c) = weight;
                    if (EXTRAS && least) {
                        const bool keep = keeps(seed, place + my_row(r), least);
                        up = keep ? up * options.kept : A(0);
                        if (!keep) scores.at(r, c) = 0;
                    }
                    ups.at(r, c) = weight * (up - mean);
                }
            }
            add_weighted(v_sums, scores, tile + TILE_SIZE, scratch);
            add_weighted(k_sums, ups, tile, scratch);
        }
        if (STAGES == 1 && t + 1 < count) {
            __syncthreads();
            load(t + 1);
        }
    }
    copies_arrived<0>();
    __syncthreads();  // also where there was nothing to meet, the own rows have come
    put_rows(k_sums, options.scale, k_own, ROWS(dk, shared_head, keys, d), mine);
    put_rows(v_sums, options.kept, v_own, ROWS(dv, shared_head, keys, e), mine);
}

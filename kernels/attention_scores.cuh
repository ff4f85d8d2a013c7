// What attention's three kernels share: which query sees which key, masks, dropout, their arguments.

// How many numbers further the next batch, head and row of an array begin; numbers of a row are
// neighbours.
#define STRIDES(x) long long x##_next_batch, long long x##_next_head, long long x##_next_row
#define ROWS(x, head, count, width) \
    Rows{x + batch * x##_next_batch + (head) * x##_next_head, x##_next_row, count, int(width)}

struct Options {
    long long queries, keys, heads;
    A scale, kept;  // kept: what weights are multiplied by that dropout keeps
    bool causal;
    long long seed, least;         // of dropout's random bits
    const unsigned char* allowed;  // the mask: bools, or numbers, or neither
    const T* bias;
    long long mask_batch, mask_head, mask_row, mask_column;

    __device__ __forceinline__ bool sees(long long i, long long j) const {
        return i < queries && j < keys && (!causal || j <= i);
    }
    // Where a head's row of weights begins, for the random bits of dropout.
    __device__ __forceinline__ unsigned row(long long batch, long long head, long long i) const {
        return unsigned(((batch * heads + head) * queries + i) * keys);
    }
};

#define OPTIONS                                                                                      \
    long long queries, long long keys, long long heads, double scale, double kept, long long causal, \
        long long seed, long long least, const unsigned char* allowed, const T* bias,                \
        long long mask_batch, long long mask_head, long long mask_row, long long mask_column
#define GIVEN_OPTIONS                                                                             \
    {queries, keys, heads, A(scale), A(kept), causal != 0, seed, least, allowed, bias, mask_batch, \
     mask_head, mask_row, mask_column}

// From a tile of dots q k to scores times log2 e, -inf where a query does not see a key: gives the
// factor that is still missing. Rows are queries from `row` on and columns keys from `column` on;
// turned, the other way round. Most tiles need nothing.
template <bool turned>
__device__ __forceinline__ A finish(Scores& scores, const Options& o, long long batch, long long head,
                                    long long row, long long column) {
    const long long i0 = turned ? column : row, j0 = turned ? row : column;
    const int last_i = (turned ? TILE : OWN) - 1, last_j = (turned ? OWN : TILE) - 1;
    A factor = o.scale * LOG2E;
    if (EXTRAS || o.scale <= 0) {  // -inf times it would not be -inf
        EACH(r, MY_ROWS) EACH(c, Scores::COLUMNS) scores.at(r, c) *= factor;
        factor = 1;
    }
    if (EXTRAS && (o.allowed || o.bias)) {
        const long long first = batch * o.mask_batch + head * o.mask_head;
        EACH(a, turned ? MY_ROWS : Scores::COLUMNS) {
            const long long j = j0 + (turned ? my_row(a) : Scores::column(a));
            bool hidden = false;
            A more = 0;
            EACH(b, turned ? Scores::COLUMNS : MY_ROWS) {
                const long long i = i0 + (turned ? Scores::column(b) : my_row(b));
                if ((b == 0 || o.mask_row) && i < o.queries && j < o.keys) {  // else as for the query before
                    const long long at = first + i * o.mask_row + j * o.mask_column;
                    if (o.allowed)
                        hidden = !o.allowed[at];
                    else
                        more = A(o.bias[at]) * LOG2E;
                }
                A& score = turned ? scores.at(a, b) : scores.at(b, a);
                score = hidden ? -INF : score + more;
            }
        }
    }
    if (i0 + last_i >= o.queries || j0 + last_j >= o.keys || (o.causal && j0 + last_j > i0))
        EACH(r, MY_ROWS) EACH(c, Scores::COLUMNS) {
            const int x = my_row(r), y = Scores::column(c);
            if (!o.sees(i0 + (turned ? y : x), j0 + (turned ? x : y))) scores.at(r, c) = -INF;
        }
    return factor;
}

// Over the lanes that share a row: the largest and the sum.
__device__ __forceinline__ A row_max(A x) {
    EACH(i, SHARE == 8 ? 3 : 2) x = max(x, __shfl_xor_sync(ALL, x, 1 << i));
    return x;
}
__device__ __forceinline__ A row_sum(A x) {
    EACH(i, SHARE == 8 ? 3 : 2) x += __shfl_xor_sync(ALL, x, 1 << i);
    return x;
}

// Sums times a factor for each row, or one for all, to where they belong.
__device__ __forceinline__ void put_rows(Sums& sums, const A (&factor)[MY_ROWS], T* own, const Rows& rows,
                                         long long first) {
    __syncwarp();  // all lanes have read what lay there before
    EACH(r, MY_ROWS) EACH(c, Sums::COLUMNS)
        own[my_row(r) * PITCH + Sums::column(c)] = T(sums.at(r, c) * factor[r]);
    store_rows(own, rows, first);
}
__device__ __forceinline__ void put_rows(Sums& sums, A factor, T* own, const Rows& rows, long long first) {
    A factors[MY_ROWS];
    EACH(r, MY_ROWS) factors[r] = factor;
    put_rows(sums, factors, own, rows, first);
}

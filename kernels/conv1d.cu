// Convolution over time as a product of matrices (conv1d.py has the formulas; "implicit GEMM").
//
// A row of the left matrix is a window of x, K C numbers, and is read from x where it lies: windows
// that overlap are never written out. Places in x are counted in numbers: text b begins at b text, row
// i of its result reads from there at step i + first + hop k, `width` neighbours for each tap k. With
// dilation 1 all taps are neighbours: one tap, K times as wide. The gradient for x is such a
// convolution too, of the output's gradient, whose windows may reach beyond the text's ends.
#include "common.cuh"
#include "mma.cuh"
#include "product.cuh"

struct Source {
    const T* x;
    long long text, count, step, first, hop, width;  // count: rows of the result, of a text

    __device__ bool wide() const { return fours(x, text | step | first | hop | width); }
};

// (x[by], x[by + 1], ...), round the end; without an index that is not known when this is compiled.
__device__ __forceinline__ Quad turned(Quad x, int by) {
    if (by & 1) x = {x.at[1], x.at[2], x.at[3], x.at[0]};
    if (by & 2) x = {x.at[2], x.at[3], x.at[0], x.at[1]};
    return x;
}

// A loader of 64 windows as rows, from row `begin` of the result on, as long as there are any.
struct Windows {
    const Source& of;
    const T* text[2];
    long long at[2], column;  // at: where the window of this tap begins in the text
    bool wide;
    Quad held[2];

    __device__ Windows(const Source& of, long long begin, long long end)
        : of(of), column(threadIdx.x % 4 * 4), wide(of.wide()) {
        for (int r = 0; r < 2; r++) {
            const long long row = begin + threadIdx.x / 4 + 32 * r;
            const unsigned m = row < end ? row : 0, b = m / unsigned(of.count);
            text[r] = of.x + b * of.text;
            at[r] = row < end ? (m - b * of.count) * of.step + of.first : -(1LL << 62);
        }
    }
    __device__ __forceinline__ void fetch() {
        for (int r = 0; r < 2; r++) {
            const long long count = at[r] >= 0 && at[r] < of.text ? of.width - column : 0;
            held[r] = load(count > 0 ? text[r] + at[r] + column : text[r], count, wide);
        }
        column += DEEP;
        if (column - threadIdx.x % 4 * 4 >= of.width) {
            column = threadIdx.x % 4 * 4;
            at[0] += of.hop, at[1] += of.hop;
        }
    }
    __device__ __forceinline__ void put(A (*slice)[PITCH]) const {
        const int by = threadIdx.x % 4;  // turned by so many, neighbours get to different banks
        for (int r = 0; r < 2; r++) {
            const Quad from = turned(held[r], by);
            for (int k = 0; k < 4; k++)
                slice[by * 4 + (k + by) % 4][threadIdx.x / 4 + 32 * r] = from.at[k];
        }
    }
};

__device__ __forceinline__ long long slices(long long width) { return (width + DEEP - 1) / DEEP; }

#define SOURCE                                                                                       \
    const T *__restrict__ x, long long text, long long count, long long step, long long first,       \
        long long hop, long long width
#define GIVEN_SOURCE {x, text, count, step, first, hop, width}

// out[b, i] = bias + sum over taps of window[b, i, tap] matrix[tap], matrix (taps, width, n), its taps
// matrix_hop apart; row i of text b is written at b out_text + i out_step.
// Blocks: (64 rows, 64 columns).
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
conv1d(SOURCE, const T* __restrict__ matrix, long long matrix_hop, long long taps,
       const T* __restrict__ bias, T* __restrict__ out, long long out_text, long long out_step,
       long long rows, long long n) {
    __shared__ __align__(16) A tiles[4 * DEEP][PITCH];
    const Source source = GIVEN_SOURCE;
    const long long begin = (long long)blockIdx.x * SIDE;
    const long long first_column = (long long)blockIdx.y * SIDE;
    Windows left(source, begin, rows);
    Rows right(matrix, width, matrix_hop, n, first_column);
    A sum[HIGH][4];
    multiply(sum, left, right, taps * slices(width), tiles);

    const long long column = first_column + tile_column();
    const long long there = bias ? n - column : 0;
    const Quad shift = load(there > 0 ? bias + column : matrix, there, false);
    const bool wide = fours(out, out_text | out_step | n);
    for (int i = 0; i < HIGH; i++) {
        const long long row = begin + tile_row() + i;
        if (row >= rows) break;
        const unsigned b = unsigned(row) / unsigned(count);
        for (int j = 0; j < 4; j++) sum[i][j] += shift.at[j];
        if (column < n)
            store(out + b * out_text + (row - b * count) * out_step + column, sum[i], n - column, wide);
    }
}

// -- with ReLU and the maximum over time ------------------------------------------------------------

__device__ __forceinline__ bool better(A value, A than) {  // the first NaN is better than any number
    return value > than || (value != value && than == than);
}

// The maximum over a text's rows of relu(window matrix + bias), and the step where it first stands.
// A block takes 64 columns of `texts` texts: as many as fit into one tile of rows, or one text, tile
// after tile. A text may be cut into parts of `span` rows, for blocks blockIdx.z: then the maxima of
// part z are written to tops[z] and where[z], for conv1d_best_part; else to best and where.
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
conv1d_relu_max(SOURCE, const T* __restrict__ matrix, long long taps, const T* __restrict__ bias,
                T* __restrict__ best, A* __restrict__ tops, long long* __restrict__ where,
                long long batch, long long n, long long texts, long long span) {
    __shared__ __align__(16) A tiles[4 * DEEP][PITCH];
    const Source source = GIVEN_SOURCE;
    const long long text_first = blockIdx.x * texts, first_column = (long long)blockIdx.y * SIDE;
    texts = text_first + texts < batch ? texts : batch - text_first;
    const long long time_first = blockIdx.z * span;
    const long long time_end = time_first + span < count ? time_first + span : count;
    const long long row_first = text_first * count + time_first;
    const long long row_end =
        texts > 1 ? row_first + texts * count : text_first * count + time_end;

    const int mine = threadIdx.x % SIDE;  // the column whose maxima this thread takes
    const long long column = first_column + mine, quad = first_column + tile_column();
    const Quad shift = load(quad < n ? bias + quad : bias, n - quad, false);
    A top = -INF;
    long long place = 0;
    for (long long begin = row_first; begin < row_end; begin += SIDE) {
        Windows left(source, begin, row_end);
        Rows right(matrix, width, width * n, n, first_column);
        A sum[HIGH][4];
        multiply(sum, left, right, taps * slices(width), tiles);
        for (int i = 0; i < HIGH; i++)
            for (int j = 0; j < 4; j++) {
                const A value = sum[i][j] + shift.at[j];
                tiles[tile_row() + i][tile_column() + j] = value < 0 ? A(0) : value;  // NaN stays
            }
        __syncthreads();
        for (long long t = threadIdx.x / SIDE; t < texts; t += TILE_THREADS / SIDE) {
            long long row = 0, end = row_end - begin < SIDE ? row_end - begin : SIDE;
            long long before = begin - row_first + time_first;  // the step of the tile's row 0
            if (texts > 1) row = t * count, end = row + count, before = -row, top = -INF;
            for (; row < end; row++)
                if (better(tiles[row][mine], top)) top = tiles[row][mine], place = before + row;
            if (column < n && begin + SIDE >= row_end) {
                const long long at = (blockIdx.z * batch + text_first + t) * n + column;
                where[at] = place;
                if (tops) tops[at] = top;
                else best[at] = T(top);
            }
        }
        __syncthreads();  // before the next rows come into the tiles
    }
}

// best and where (size) of the parts' tops and places (parts, size): the first part that has the most.
extern "C" __global__ void __launch_bounds__(256)
conv1d_best_part(const A* __restrict__ tops, const long long* __restrict__ places, T* __restrict__ best,
                 long long* __restrict__ where, long long parts, long long size) {
    for (long long i = first_place(); i < size; i += place_step()) {
        A top = tops[i];
        long long place = places[i];
        for (long long p = 1; p < parts; p++)
            if (better(tops[p * size + i], top))
                top = tops[p * size + i], place = places[p * size + i];
        best[i] = T(top);
        where[i] = place;
    }
}

// -- the gradient for the weights -------------------------------------------------------------------

// A loader of rows of windows: row m is the window of result row m, 64 of its taps * width numbers.
struct WindowColumns {
    const Source& of;
    long long end, offset[4];  // offset: of this thread's four numbers, from where the row begins
    int numbers;
    bool wide;
    long long b[2], i[2];
    Quad held[2];

    __device__ WindowColumns(const Source& of, long long taps, long long begin, long long end,
                             long long first_column)
        : of(of), end(end), wide(of.wide()) {
        const long long column = first_column + threadIdx.x % 16 * 4, left = taps * of.width - column;
        numbers = left < 0 ? 0 : left < 4 ? int(left) : 4;
        for (int k = 0; k < 4; k++) {
            const long long at = k < numbers ? column + k : 0;
            offset[k] = at / of.width * of.hop + at % of.width;
        }
        for (int r = 0; r < 2; r++) {
            const long long m = begin + threadIdx.x / 16 + 8 * r;
            b[r] = m / of.count, i[r] = m % of.count;
        }
    }
    __device__ __forceinline__ void fetch() {
        for (int r = 0; r < 2; r++) {
            const bool there = b[r] * of.count + i[r] < end;
            const T* from = there ? of.x + b[r] * of.text + i[r] * of.step : of.x;
            held[r] = Quad{};
            if (wide)
                held[r] = load(from + offset[0], there ? numbers : 0, true);
            else if (there)
                for (int k = 0; k < 4; k++)
                    if (k < numbers) held[r].at[k] = A(from[offset[k]]);
            for (i[r] += DEEP; i[r] >= of.count; i[r] -= of.count) b[r]++;
        }
    }
    __device__ __forceinline__ void put(A (*slice)[PITCH]) const {
        for (int r = 0; r < 2; r++)
            *reinterpret_cast<Quad*>(&slice[threadIdx.x / 16 + 8 * r][threadIdx.x % 16 * 4]) = held[r];
    }
};

// sums[part] (n, taps width) = g^T windows, over the part's rows, `span` of them: g (rows, n). Blocks:
// (64 numbers of a window, 64 columns of g, part).
extern "C" __global__ void __launch_bounds__(TILE_THREADS)
conv1d_weight(SOURCE, const T* __restrict__ g, A* __restrict__ sums, long long taps, long long rows,
              long long n, long long span) {
    __shared__ __align__(16) A tiles[4 * DEEP][PITCH];
    const Source source = GIVEN_SOURCE;
    const long long begin = blockIdx.z * span, end = begin + span < rows ? begin + span : rows;
    const long long first_row = (long long)blockIdx.y * SIDE;
    const long long first_column = (long long)blockIdx.x * SIDE;
    Rows left(g + begin * n, end - begin, 0, n, first_row);
    WindowColumns right(source, taps, begin, end, first_column);
    A sum[HIGH][4];
    multiply(sum, left, right, slices(end - begin), tiles);

    const long long size = taps * width, column = first_column + tile_column();
    for (int i = 0; i < HIGH; i++) {
        const long long row = first_row + tile_row() + i;
        for (int j = 0; j < 4; j++)
            if (row < n && column + j < size)
                sums[(blockIdx.z * n + row) * size + column + j] = sum[i][j];
    }
}

// dw (n, channels, kernel), as weights are kept, of the parts' sums (parts, n, kernel, channels), which
// are added in their order: the same bits on every run.
extern "C" __global__ void __launch_bounds__(256)
conv1d_weight_sum(const A* __restrict__ sums, T* __restrict__ dw, long long parts, long long n,
                  long long channels, long long kernel) {
    const long long size = n * channels * kernel;
    for (long long at = first_place(); at < size; at += place_step()) {
        const long long o = at / (channels * kernel), c = at / kernel % channels, k = at % kernel;
        const A* from = sums + (o * kernel + k) * channels + c;
        A total = 0;
        for (long long p = 0; p < parts; p++) total += from[p * size];
        dw[at] = T(total);
    }
}

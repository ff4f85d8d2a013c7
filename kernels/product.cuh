// Products of matrices in tiles of 64 x 64, by blocks of 128 threads: what conv1d.cu's kernels share.
//
// Both operands come by in slices 16 deep, through shared memory, where they stand as [k][row] and
// [k][column]. While a slice is multiplied the next one is on its way from global memory to registers;
// two buffers, so one __syncthreads a slice. Where the operands' numbers come from is the loaders'
// business: fetch() reads a thread's share of the next slice, put() writes it to a buffer.
//
// By ordinary arithmetic, a thread keeps 8 rows x 4 columns of the tile in registers: 32
// multiplications for 12 numbers read. With TENSOR (mma.cuh) each of the 4 warps has 32 rows x 32
// columns on tensor cores, as TF32, which 16-bit numbers are without loss. A float is rounded to one
// (TENSOR 1), or is the sum of two (TENSOR 3), whose three larger products are as exact as float32;
// infinity becomes NaN then.

#ifndef TENSOR
#define TENSOR 0
#endif

constexpr int SIDE = 64, DEEP = 16, HIGH = 8, TILE_THREADS = 128;
// From row to row of a slice 8 banks further, so that 4 rows x 8 neighbours are in different ones.
constexpr int PITCH = SIDE + 8;

struct alignas(16) Quad {  // in shared memory and registers
    A at[4];
};
struct alignas(sizeof(T) < 4 ? 8 : 16) Four {  // in global memory
    T at[4];
};

__device__ __forceinline__ bool fours(const void* at, long long steps) {
    return (size_t)at % alignof(Four) == 0 && steps % 4 == 0;
}

// Four neighbours, zeros from `count` on; wide: in one access, count is no more than a yes or no.
__device__ __forceinline__ Quad load(const T* at, long long count, bool wide) {
    Quad found = {};
    if (wide && count > 0) {
        Four four = *reinterpret_cast<const Four*>(at);
        for (int k = 0; k < 4; k++) found.at[k] = A(four.at[k]);
    } else {
        for (int k = 0; k < 4; k++)
            if (k < count) found.at[k] = A(at[k]);
    }
    return found;
}

__device__ __forceinline__ void store(T* at, const A (&values)[4], long long count, bool wide) {
    if (wide && count > 0) {
        Four four;
        for (int k = 0; k < 4; k++) four.at[k] = T(values[k]);
        *reinterpret_cast<Four*>(at) = four;
    } else {
        for (int k = 0; k < 4; k++)
            if (k < count) at[k] = T(values[k]);
    }
}

// A loader of rows of a matrix, 64 columns of them: (taps, width, n), the taps `hop` numbers apart.
// A slice never reaches into the next tap; what lacks to 16 rows is zeros.
struct Rows {
    const T* at;
    long long width, hop, n, column;
    bool wide;
    long long row;
    Quad held[2];

    __device__ Rows(const T* from, long long width, long long hop, long long n, long long first)
        : at(from), width(width), hop(hop), n(n), column(first + threadIdx.x % 16 * 4),
          wide(fours(from, n | hop)), row(threadIdx.x / 16) {}

    __device__ __forceinline__ void fetch() {
        for (int r = 0; r < 2; r++) {
            const long long k = row + 8 * r, count = k < width ? n - column : 0;
            held[r] = load(count > 0 ? at + k * n + column : at, count, wide);
        }
        row += DEEP;
        if (row - threadIdx.x / 16 >= width) row = threadIdx.x / 16, at += hop;
    }
    __device__ __forceinline__ void put(A (*slice)[PITCH]) const {
        for (int r = 0; r < 2; r++)
            *reinterpret_cast<Quad*>(&slice[threadIdx.x / 16 + 8 * r][threadIdx.x % 16 * 4]) = held[r];
    }
};

// The row and column of the tile where this thread's 8 x 4 numbers begin.
__device__ __forceinline__ int tile_row() { return threadIdx.x / 16 * HIGH; }
__device__ __forceinline__ int tile_column() { return threadIdx.x % 16 * 4; }

#if TENSOR

// Numbers as TF32; `rest` is what they lack.
template <int count>
struct Factors {
    unsigned bits[count], rest[count];
    __device__ __forceinline__ void set(int i, float x) {
        bits[i] = sizeof(T) == 2 ? __float_as_uint(x) : to_tf32(x);
        if (TENSOR == 3) rest[i] = to_tf32(x - __uint_as_float(bits[i]));
    }
};

// A warp's part of the tile: which rows and columns a lane has, mma.cuh tells.
struct Sums {
    float c[2][4][4] = {};
    int row, column, k;

    __device__ Sums()
        : row(threadIdx.x / 64 * 32 + threadIdx.x % WARP / 4),
          column(threadIdx.x / WARP % 2 * 32), k(threadIdx.x % 4) {}

    __device__ __forceinline__ void add(const A (*left)[PITCH], const A (*right)[PITCH]) {
        const int other = column + threadIdx.x % WARP / 4;
#pragma unroll
        for (int first = 0; first < DEEP; first += 8) {
            Factors<4> a[2];
            Factors<2> b[4];
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int e = 0; e < 4; e++)
                    a[i].set(e, left[first + k + e / 2 * 4][row + 16 * i + e % 2 * 8]);
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int e = 0; e < 2; e++) b[j].set(e, right[first + k + e * 4][other + 8 * j]);
            if (TENSOR == 3) {  // the small ones first
                each([&](int i, int j) { mma_tf32(c[i][j], a[i].rest, b[j].bits[0], b[j].bits[1]); });
                each([&](int i, int j) { mma_tf32(c[i][j], a[i].bits, b[j].rest[0], b[j].rest[1]); });
            }
            each([&](int i, int j) { mma_tf32(c[i][j], a[i].bits, b[j].bits[0], b[j].bits[1]); });
        }
    }
    template <class Product>
    __device__ __forceinline__ static void each(Product product) {
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int j = 0; j < 4; j++) product(i, j);
    }
    // Each thread gets its 8 x 4 numbers, by way of the tiles.
    __device__ __forceinline__ void take(A (&sum)[HIGH][4], A (*tiles)[PITCH]) const {
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 4; j++)
                for (int e = 0; e < 4; e++)
                    tiles[row + 16 * i + e / 2 * 8][column + 8 * j + 2 * k + e % 2] = c[i][j][e];
        __syncthreads();
        for (int i = 0; i < HIGH; i++)
            for (int j = 0; j < 4; j++) sum[i][j] = tiles[tile_row() + i][tile_column() + j];
        __syncthreads();
    }
};

#else

struct Sums {
    A c[HIGH][4] = {};

    __device__ __forceinline__ void add(const A (*left)[PITCH], const A (*right)[PITCH]) {
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            const Quad* from = reinterpret_cast<const Quad*>(left[k] + tile_row());
            const Quad a[2] = {from[0], from[1]};
            const Quad b = *reinterpret_cast<const Quad*>(right[k] + tile_column());
#pragma unroll
            for (int i = 0; i < HIGH; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) c[i][j] += a[i / 4].at[i % 4] * b.at[j];
        }
    }
    __device__ __forceinline__ void take(A (&sum)[HIGH][4], A (*)[PITCH]) const {
        for (int i = 0; i < HIGH; i++)
            for (int j = 0; j < 4; j++) sum[i][j] = c[i][j];
    }
};

#endif

// sum = left right, over so many slices; tiles: 64 rows of shared memory, free again afterwards.
template <class Left, class Right>
__device__ __forceinline__ void multiply(A (&sum)[HIGH][4], Left& left, Right& right, long long slices,
                                         A (*tiles)[PITCH]) {
    Sums sums;
    A(*const others)[PITCH] = tiles + 2 * DEEP;
    if (slices > 0) {
        left.fetch(), right.fetch();
        left.put(tiles), right.put(others);
    }
    __syncthreads();
    for (long long s = 0; s < slices; s++) {
        const int now = s % 2 * DEEP, next = DEEP - now;
        const bool more = s + 1 < slices;
        if (more) left.fetch(), right.fetch();
        sums.add(tiles + now, others + now);
        if (more) left.put(tiles + next), right.put(others + next);
        __syncthreads();
    }
    sums.take(sum, tiles);
}

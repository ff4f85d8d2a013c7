// Products of matrices in tiles of 64 x 64, by blocks of 128 threads: what conv1d.cu's kernels share.
//
// Both operands come by in slices 16 deep, through shared memory, where they stand as [k][row] and
// [k][column]. A thread keeps 8 rows x 4 columns of the tile in registers: 32 multiplications for 12
// numbers read. While a slice is multiplied the next one is on its way from global memory to
// registers; two buffers, so one __syncthreads a slice. Where the operands' numbers come from is the
// loaders' business: fetch() reads a thread's share of the next slice, put() writes it to a buffer.

constexpr int SIDE = 64, DEEP = 16, HIGH = 8, TILE_THREADS = 128;
constexpr int PITCH = SIDE + 4;  // 4: the rows of a slice begin in different banks, and at 16 bytes

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

// sum += left right, over so many slices; tiles: 64 rows of shared memory, free again afterwards.
template <class Left, class Right>
__device__ __forceinline__ void multiply(A (&sum)[HIGH][4], Left& left, Right& right, long long slices,
                                         A (*tiles)[PITCH]) {
    const int row = tile_row(), column = tile_column();
    if (slices > 0) {
        left.fetch(), right.fetch();
        left.put(tiles), right.put(tiles + 2 * DEEP);
    }
    __syncthreads();
    for (long long s = 0; s < slices; s++) {
        const int now = s % 2 * DEEP, next = DEEP - now;
        const bool more = s + 1 < slices;
        if (more) left.fetch(), right.fetch();
#pragma unroll
        for (int k = 0; k < DEEP; k++) {
            const A* from = tiles[now + k] + row;
            const Quad a[2] = {*reinterpret_cast<const Quad*>(from),
                               *reinterpret_cast<const Quad*>(from + 4)};
            const Quad b = *reinterpret_cast<const Quad*>(tiles[2 * DEEP + now + k] + column);
#pragma unroll
            for (int i = 0; i < HIGH; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sum[i][j] += a[i / 4].at[i % 4] * b.at[j];
        }
        if (more) left.put(tiles + next), right.put(tiles + 2 * DEEP + next);
        __syncthreads();
    }
}

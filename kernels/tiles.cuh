// Tiles: rows of an array in shared memory, copied there while the tile before is worked on.
//
// A block has WARPS warps, each with 16 * TALL rows of its own; what they meet comes by in tiles of TILE
// rows, STAGES of them in memory. Rows have WIDTH numbers, zeros beyond those that there are. With VECTORS
// all rows begin at multiples of 16 bytes and end at them. attention_cuda.py chooses; these are examples.

#ifndef WIDTH
#define WIDTH 64
#define WARPS 4
#define TALL 1
#define TILE 64
#define STAGES 2
#define TENSOR 0
#define VECTORS 1
#define EXTRAS 1
#endif

#define EACH(i, n) _Pragma("unroll") for (int i = 0; i < (n); i++)

constexpr int THREADS = WARP * WARPS;
constexpr int OWN = 16 * TALL;            // rows of a warp
constexpr int BLOCK_ROWS = OWN * WARPS;   // of all warps
constexpr int PIECES = WIDTH / WIDE;      // of 16 bytes, in a row
constexpr int PITCH = WIDTH + WIDE;       // an odd number of pieces from row to row: 8 rows, 8 x 4 banks
constexpr int TILE_SIZE = TILE * PITCH;

#define LANE int(threadIdx.x % WARP)

struct Rows {  // where rows lie: numbers from one to the next, how many, numbers a row
    const T* x;
    long long step, count;
    int width;
};

// n rows from `first` on, all threads together: on their way until copies_arrived and a barrier.
template <int n>
__device__ __forceinline__ void load_rows(T* tile, const Rows& rows, long long first) {
    for (int k = threadIdx.x; k < n * PIECES; k += THREADS) {
        const int i = k / PIECES, c = k % PIECES * WIDE;
        const bool there = first + i < rows.count && c < rows.width;
        const T* from = rows.x + (there ? (first + i) * rows.step + c : 0);
        T* to = tile + i * PITCH + c;
        if (VECTORS)
            copy_async(to, from, there);
        else
            EACH(j, WIDE) to[j] = there && c + j < rows.width ? from[j] : T(0);
    }
}

// A warp's own rows, from shared memory, where its lanes have put them.
__device__ __forceinline__ void store_rows(const T* own, const Rows& rows, long long first) {
    __syncwarp();
    for (int k = LANE; k < OWN * PIECES; k += WARP) {
        const int i = k / PIECES, c = k % PIECES * WIDE;
        if (first + i >= rows.count || c >= rows.width) continue;
        T* to = const_cast<T*>(rows.x) + (first + i) * rows.step + c;
        const T* from = own + i * PITCH + c;
        if (VECTORS)
            *(Pack*)to = *(const Pack*)from;
        else
            EACH(j, WIDE) if (c + j < rows.width) to[j] = from[j];
    }
}

// e^x = 2^(x log2 e): the exponential that the hardware has is that of 2.
constexpr A LOG2E = A(1.4426950408889634), LN2 = A(0.6931471805599453);

__device__ __forceinline__ double power_of_two(double x) { return exp2(x); }
__device__ __forceinline__ float power_of_two(float x) {
#ifdef __CUDACC__
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return exp2f(x);
#endif
}

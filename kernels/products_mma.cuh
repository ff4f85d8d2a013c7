// Products of tiles on tensor cores, sums in registers: 16-bit numbers, or floats.
//
// Lane 4 g + t of a warp holds rows g and g + 8 of each 16, and of each 8 columns 2t and 2t + 1: see
// mma.cuh. One instruction takes 32 bytes of a row: STEP numbers. Of floats tensor cores see TF32, 11 bits
// of mantissa. TENSOR says whether that suffices (1), or each number is taken as a sum of two of them, and
// three of the four products are added up (3): to within 2^-21 that is the product of floats. Ootomo &
// Yokota 2022, "Recovering single precision accuracy from Tensor Cores".

constexpr int SHARE = 4;         // lanes that have the same rows
constexpr int MY_ROWS = 2 * TALL;
constexpr int STEP = 32 / sizeof(T);
constexpr int SCRATCH = 0;       // numbers of shared memory that a warp needs for a product
static_assert(WIDTH % 16 == 0 && TILE % 16 == 0, "");

__device__ __forceinline__ int my_row(int r) { return LANE / 4 + r * 8; }

template <int n>
struct Grid {  // a lane's part of OWN rows of n numbers
    static constexpr int COLUMNS = n / 4;
    float value[TALL][n / 8][4];
    __device__ __forceinline__ float& at(int r, int c) { return value[r / 2][c / 2][r % 2 * 2 + c % 2]; }
    __device__ __forceinline__ static int column(int c) { return LANE % 4 * 2 + c / 2 * 8 + c % 2; }
};
using Scores = Grid<TILE>;
using Sums = Grid<WIDTH>;

#if defined(HALF) || defined(BFLOAT16)

struct Fragment {  // registers of a left side, or of two right sides
    unsigned bits[4];
    __device__ __forceinline__ void take() {}
};

__device__ __forceinline__ void mma(float (&c)[4], const Fragment& a, const Fragment& b, int first) {
#if defined(HALF)
    mma_f16(c, a.bits, b.bits[first], b.bits[first + 1]);
#else
    mma_bf16(c, a.bits, b.bits[first], b.bits[first + 1]);
#endif
}

// Two numbers in a register.
__device__ __forceinline__ unsigned pair(float x, float y) {
#if defined(HALF)
    const __half2 both = __floats2half2_rn(x, y);
#else
    const __nv_bfloat162 both = __floats2bfloat162_rn(x, y);
#endif
    return *(const unsigned*)&both;
}

#else

struct Fragment {
    unsigned bits[4] = {}, rest[4] = {};
    // From floats to TF32, and what is missing then.
    __device__ __forceinline__ void take() {
        EACH(i, 4) {
            const float x = __uint_as_float(bits[i]);
            bits[i] = to_tf32(x);
            if (TENSOR == 3) rest[i] = to_tf32(x - __uint_as_float(bits[i]));
        }
    }
};

__device__ __forceinline__ void mma(float (&c)[4], const Fragment& a, const Fragment& b, int first) {
    if constexpr (TENSOR == 3) {  // the small ones first
        mma_tf32(c, a.rest, b.bits[first], b.bits[first + 1]);
        mma_tf32(c, a.bits, b.rest[first], b.rest[first + 1]);
    }
    mma_tf32(c, a.bits, b.bits[first], b.bits[first + 1]);
}

#endif

// sum += own . tile^T: own has OWN rows, tile TILE, all of WIDTH numbers.
__device__ __forceinline__ void add_dots(Scores& sum, const T* own, const T* tile) {
    const T* left = own + LANE % 16 * PITCH + LANE / 16 * (STEP / 2);
    const T* right = tile + (LANE % 8 + LANE / 16 * 8) * PITCH + LANE / 8 % 2 * (STEP / 2);
    EACH(step, WIDTH / STEP) {
        Fragment a[TALL], b;
        EACH(m, TALL) {
            ldmatrix(a[m].bits, left + m * 16 * PITCH + step * STEP);
            a[m].take();
        }
        EACH(n, TILE / 16) {  // 16 rows of the tile: two times 8 columns of the sum
            ldmatrix(b.bits, right + n * 16 * PITCH + step * STEP);
            b.take();
            EACH(m, TALL) EACH(half, 2) mma(sum.value[m][2 * n + half], a[m], b, 2 * half);
        }
    }
}

#if defined(HALF) || defined(BFLOAT16)

// sum += weights tile: the registers of two 16 x 8 sums are, as pairs, those of a 16 x 16 left side.
__device__ __forceinline__ void add_weighted(Sums& sum, Scores& weights, const T* tile, A*) {
    const T* right = tile + LANE % 16 * PITCH + LANE / 16 * 8;
    EACH(step, TILE / 16) {
        Fragment a[TALL], b;
        EACH(m, TALL) EACH(high, 2) EACH(down, 2) {
            const float(&w)[4] = weights.value[m][2 * step + high];
            a[m].bits[2 * high + down] = pair(w[2 * down], w[2 * down + 1]);
        }
        EACH(n, WIDTH / 16) {
            ldmatrix_transposed(b.bits, right + step * 16 * PITCH + n * 16);
            EACH(m, TALL) EACH(half, 2) mma(sum.value[m][2 * n + half], a[m], b, 2 * half);
        }
    }
}

#else

// The same of floats. A lane has columns 2t and 2t + 1 of the weights, where the left side needs t and
// t + 4: which is which does not matter to a sum over them, if the rows of the tile are taken alike.
// Tensor cores cut off what does not fit into a sum: with SUMS_APART those of 16 rows of the tile are
// summed up first, and added to the long ones outside, where sums are rounded.
__device__ __forceinline__ void add_weighted(Sums& sum, Scores& weights, const T* tile, A*) {
#ifdef SUMS_APART
    constexpr bool apart = true;
#else
    constexpr bool apart = false;
#endif
    constexpr int steps = apart ? 2 : 1;
    const T* right = tile + LANE % 4 * 2 * PITCH + LANE / 4;
    EACH(first, TILE / 8 / steps) {
        Fragment a[steps][TALL], b;
        EACH(step, steps) EACH(m, TALL) {
            const float(&w)[4] = weights.value[m][steps * first + step];
            EACH(i, 4) a[step][m].bits[i] = __float_as_uint(w[i % 2 * 2 + i / 2]);
            a[step][m].take();
        }
        EACH(n, WIDTH / 8) {
            float part[TALL][4];
            EACH(m, TALL) EACH(i, 4) part[m][i] = apart ? 0 : sum.value[m][n][i];
            EACH(step, steps) {
                const T* at = right + (steps * first + step) * 8 * PITCH + n * 8;
                EACH(i, 2) b.bits[i] = __float_as_uint(at[i * PITCH]);
                b.take();
                EACH(m, TALL) mma(part[m], a[step][m], b, 0);
            }
            EACH(m, TALL) EACH(i, 4) sum.value[m][n][i] = part[m][i] + (apart ? sum.value[m][n][i] : 0);
        }
    }
}

#endif

// Products of tiles by ordinary arithmetic, each lane with a rectangle of the sums in registers.
//
// The 32 lanes of a warp are 4 x 8: lane 8 y + x has rows y, y + 4, ... of the warp's own. Of scores it
// has columns x, x + 8, ...; of sums along a row, FEW neighbours of each 8 * FEW. So what lanes read at
// once from shared memory are 8 rows of the tile, or 128 neighbouring bytes: no bank is asked twice.

constexpr int SHARE = 8;        // lanes that have the same rows
constexpr int MY_ROWS = OWN / 4;
constexpr int FEW = sizeof(T) == 8 ? 2 : 4;    // numbers of the arrays that are read at once
constexpr int SOME = 16 / sizeof(A);           // weights that are read at once
constexpr int SCRATCH_PITCH = TILE + 8;
constexpr int SCRATCH = OWN * SCRATCH_PITCH;   // numbers of shared memory that a warp needs for a product
static_assert(WIDTH % (8 * FEW) == 0 && TILE % 8 == 0, "");

struct alignas(FEW * sizeof(T)) Few {
    T at[FEW];
};
struct alignas(16) Some {
    A at[SOME];
};

__device__ __forceinline__ int my_row(int r) { return LANE / 8 + r * 4; }

struct Scores {  // a lane's part of OWN rows of TILE numbers
    static constexpr int COLUMNS = TILE / 8;
    A value[MY_ROWS][COLUMNS];
    __device__ __forceinline__ A& at(int r, int c) { return value[r][c]; }
    __device__ __forceinline__ static int column(int c) { return LANE % 8 + c * 8; }
};

struct Sums {  // a lane's part of OWN rows of WIDTH numbers
    static constexpr int COLUMNS = WIDTH / 8;
    A value[MY_ROWS][COLUMNS];
    __device__ __forceinline__ A& at(int r, int c) { return value[r][c]; }
    __device__ __forceinline__ static int column(int c) {
        return LANE % 8 * FEW + c / FEW * 8 * FEW + c % FEW;
    }
};

// sum += own . tile^T: own has OWN rows, tile TILE, all of WIDTH numbers.
__device__ __forceinline__ void add_dots(Scores& sum, const T* own, const T* tile) {
#pragma unroll 2
    for (int k = 0; k < WIDTH; k += FEW) {
        Few x[MY_ROWS];
        EACH(r, MY_ROWS) x[r] = *(const Few*)(own + my_row(r) * PITCH + k);
        EACH(c, Scores::COLUMNS) {
            const Few y = *(const Few*)(tile + Scores::column(c) * PITCH + k);
            EACH(i, FEW) EACH(r, MY_ROWS) sum.value[r][c] += A(x[r].at[i]) * A(y.at[i]);
        }
    }
}

// sum += weights tile. Each lane needs all weights of its rows: they pass through shared memory.
__device__ __forceinline__ void add_weighted(Sums& sum, Scores& weights, const T* tile, A* scratch) {
    __syncwarp();  // all lanes have read what lay there before
    EACH(r, MY_ROWS) EACH(c, Scores::COLUMNS)
        scratch[my_row(r) * SCRATCH_PITCH + Scores::column(c)] = weights.value[r][c];
    __syncwarp();
#pragma unroll 2
    for (int k = 0; k < TILE; k += SOME) {
        Some w[MY_ROWS];
        EACH(r, MY_ROWS) w[r] = *(const Some*)(scratch + my_row(r) * SCRATCH_PITCH + k);
        EACH(i, SOME) EACH(c, Sums::COLUMNS / FEW) {
            const Few y = *(const Few*)(tile + (k + i) * PITCH + Sums::column(c * FEW));
            EACH(j, FEW) EACH(r, MY_ROWS) sum.value[r][c * FEW + j] += w[r].at[i] * A(y.at[j]);
        }
    }
}

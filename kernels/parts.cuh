// Many arrays in one launch: a table has a line for each part of them, and a block takes a line
// (cuda_parts.py makes the table).

struct Part {
    long long size;
    T *w, *g, *a, *b, *c;  // parameter, gradient, state; a missing one is w
};

// The same, and where the parameter's step count stands.
struct CountedPart {
    Part part;
    const float* count;
};

// update(w, g, a, b, c) for every number of the block's part, 16 bytes at a time where all the arrays
// that it uses are aligned; `used`: how many of the five those are. All but g are written back.
template <bool writes = true, class Update>
__device__ __forceinline__ void each_of(const Part& part, int used, Update update) {
    T* const arrays[5] = {part.w, part.g, part.a, part.b, part.c};
    bool aligned = true;
    for (int k = 0; k < 5; k++) aligned &= k >= used || can_be_wide(arrays[k]);
    long long wide = aligned ? part.size / WIDE : 0;
    for (long long i = threadIdx.x; i < wide; i += blockDim.x) {
        Pack packs[5];
        for (int k = 0; k < 5; k++)
            if (k < used) packs[k] = reinterpret_cast<const Pack*>(arrays[k])[i];
        for (int j = 0; j < WIDE; j++) {
            A x[5];
            for (int k = 0; k < 5; k++) x[k] = k < used ? A(packs[k].at[j]) : A(0);
            update(x[0], x[1], x[2], x[3], x[4]);
            for (int k = 0; k < 5; k++)
                if (writes && k < used && k != 1) packs[k].at[j] = T(x[k]);
        }
        for (int k = 0; k < 5; k++)
            if (writes && k < used && k != 1) reinterpret_cast<Pack*>(arrays[k])[i] = packs[k];
    }
    for (long long i = wide * WIDE + threadIdx.x; i < part.size; i += blockDim.x) {
        A x[5];
        for (int k = 0; k < 5; k++) x[k] = k < used ? A(arrays[k][i]) : A(0);
        update(x[0], x[1], x[2], x[3], x[4]);
        for (int k = 0; k < 5; k++)
            if (writes && k < used && k != 1) arrays[k][i] = T(x[k]);
    }
}

template <bool writes = true, class Update>
__device__ __forceinline__ void each(const long long* table, int used, Update update) {
    each_of<writes>(reinterpret_cast<const Part*>(table)[blockIdx.x], used, update);
}

__device__ __forceinline__ A gradient(A w, A g, double decay, double sign) {
    A x = A(sign) * g;
    return decay != 0 ? x + A(decay) * w : x;
}

// The larger one; NaN if `old` is NaN.
__device__ __forceinline__ A larger(A old, A other) { return old > other || old != old ? old : other; }

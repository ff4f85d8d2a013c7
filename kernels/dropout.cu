// Dropout (dropout.py): out = x * scale where a place is kept, else 0; the mask is made on the way.
#include "common.cuh"
#include "random_bits.cuh"

extern "C" __global__ void __launch_bounds__(256)
dropout(const T* __restrict__ x, T* __restrict__ out, long long n, double scale, long long seed,
        long long least) {
    const T by = T(scale);
    seed = seed_of(seed);
    long long wide = can_be_wide(x) && can_be_wide(out) ? n / WIDE : 0;
    for (long long i = first_place(); i < wide; i += place_step()) {
        Pack pack = reinterpret_cast<const Pack*>(x)[i];
        for (int k = 0; k < WIDE; k++)
            pack.at[k] = keeps(seed, i * WIDE + k, least) ? T(A(pack.at[k]) * A(by)) : T(0);
        reinterpret_cast<Pack*>(out)[i] = pack;
    }
    for (long long i = wide * WIDE + first_place(); i < n; i += place_step())
        out[i] = keeps(seed, i, least) ? T(A(x[i]) * A(by)) : T(0);
}

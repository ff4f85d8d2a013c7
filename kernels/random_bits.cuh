// Random bits by counting, the same as those of random_bits.py: a hash of a seed and a place.

__device__ __forceinline__ unsigned keep_bits(long long seed, unsigned index) {
    unsigned x = index + (unsigned)seed;
    x ^= x >> 17;
    x *= 0xED5AD4BB;
    x ^= x >> 11;
    // The seed's high half: as unsigned numbers, where a product that is too large just wraps around.
    x += (unsigned)((long long)((unsigned long long)seed * 0x9E3779B97F4A7C1ull) >> 30);
    x *= 0xAC4C1B51;
    x ^= x >> 15;
    x *= 0x31848BAB;
    return x ^ x >> 14;
}

// The seed itself: a number below 0 is minus the address where it stands. So a captured graph, whose
// arguments are fixed, drops other places at each replay. Called once, at the start of a kernel.
__device__ __forceinline__ long long seed_of(long long given) {
    return given < 0 ? *reinterpret_cast<const long long*>(-given) : given;
}

// True with probability 1 - p; least is p as a multiple of 2^-24.
__device__ __forceinline__ bool keeps(long long seed, long long index, long long least) {
    return (keep_bits(seed, (unsigned)index) >> 8) >= (unsigned)least;
}

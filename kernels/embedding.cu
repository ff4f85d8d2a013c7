// Rows of a table: looked up, and summed by id (embedding.py), with atomic additions or without.
#include "common.cuh"

// out[k] = table[ids[k]]: a thread copies 16 bytes, the threads of a row lie side by side.
extern "C" __global__ void __launch_bounds__(256)
gather_rows(const T* __restrict__ table, const long long* __restrict__ ids, T* __restrict__ out,
            long long count, long long width) {
    if (width % WIDE == 0 && can_be_wide(table) && can_be_wide(out)) {
        const Pack* from = reinterpret_cast<const Pack*>(table);
        Pack* to = reinterpret_cast<Pack*>(out);
        long long packs = width / WIDE;
        for (long long i = first_place(); i < count * packs; i += place_step())
            to[i] = from[ids[i / packs] * packs + i % packs];
    } else {
        for (long long i = first_place(); i < count * width; i += place_step())
            out[i] = table[ids[i / width] * width + i % width];
    }
}

// out[ids[k]] += rows[k]. Equal ids meet in atomic additions, in an order that differs from run to
// run, and so do the last bits of the sums.
extern "C" __global__ void __launch_bounds__(256)
scatter_add_atomic(const T* __restrict__ rows, const long long* __restrict__ ids, T* __restrict__ out,
                   long long count, long long width) {
    for (long long i = first_place(); i < count * width; i += place_step())
        atomicAdd(&out[ids[i / width] * width + i % width], rows[i]);
}

// The same in the order of k, without sorting: the block of the first k of an id adds up all its rows,
// 256 columns of them; block (k, columns). It compares count^2 ids, of which a launch stays short up to
// some 10^5.
extern "C" __global__ void __launch_bounds__(256)
scatter_add_in_order(const T* __restrict__ rows, const long long* __restrict__ ids, T* __restrict__ out,
                     long long count, long long width) {
    __shared__ unsigned equal[256 / WARP];
    const long long first = blockIdx.x, column = blockIdx.y * 256ll + threadIdx.x, id = ids[first];
    for (long long begin = 0; begin < first; begin += 256) {
        const long long k = begin + threadIdx.x;
        if (__syncthreads_or(k < first && ids[k] == id)) return;
    }
    A sum = 0;
    for (long long begin = first / 256 * 256; begin < count; begin += 256) {
        const long long k = begin + threadIdx.x;
        const unsigned found = __ballot_sync(ALL, k >= first && k < count && ids[k] == id);
        __syncthreads();  // the last ones may still be read
        if (threadIdx.x % WARP == 0) equal[threadIdx.x / WARP] = found;
        __syncthreads();
        if (column < width)
            for (int part = 0; part < 256 / WARP; part++)
                for (unsigned left = equal[part]; left; left &= left - 1)
                    sum += A(rows[(begin + part * WARP + __ffs(left) - 1) * width + column]);
    }
    if (column < width) out[id * width + column] = T(sum);
}

// The same without: ids are sorted first, equal ones then stand in one segment. Segments are cut into
// pieces of bounded length, so that a word that is everywhere does not keep one block busy alone; the
// sums of pieces are rows again, which the same kernel adds up. Every sum has one fixed order.
//
// out[into[s]] = sum over k from starts[s] to ends[s] of rows[order[k]]; `order` and `into` may be
// missing: k and s themselves.
template <class From, class To>
__device__ __forceinline__ void segment_sums(const From* rows, const long long* order,
                                             const long long* starts, const long long* ends,
                                             const long long* into, To* out, long long segments,
                                             long long width) {
    // blockDim (32, 8): a warp takes 32 columns of a segment, 8 segments a block
    long long j = (long long)blockIdx.y * WARP + threadIdx.x;
    if (j >= width) return;
    for (long long s = (long long)blockIdx.x * blockDim.y + threadIdx.y; s < segments;
         s += (long long)gridDim.x * blockDim.y) {
        A sum = 0;
        for (long long k = starts[s]; k < ends[s]; k++)
            sum += A(rows[(order ? order[k] : k) * width + j]);
        out[(into ? into[s] : s) * width + j] = To(sum);
    }
}

// Rows to sums of pieces, which keep the bits of A.
extern "C" __global__ void __launch_bounds__(256)
sum_pieces(const T* __restrict__ rows, const long long* __restrict__ order,
           const long long* __restrict__ starts, const long long* __restrict__ ends,
           A* __restrict__ out, long long segments, long long width) {
    segment_sums(rows, order, starts, ends, (const long long*)nullptr, out, segments, width);
}

// Sums of pieces to sums of longer pieces.
extern "C" __global__ void __launch_bounds__(256)
sum_sums(const A* __restrict__ rows, const long long* __restrict__ starts,
         const long long* __restrict__ ends, A* __restrict__ out, long long segments, long long width) {
    segment_sums(rows, (const long long*)nullptr, starts, ends, (const long long*)nullptr, out, segments,
                 width);
}

// Sums of pieces to the rows of a table.
extern "C" __global__ void __launch_bounds__(256)
sum_into_rows(const A* __restrict__ rows, const long long* __restrict__ starts,
              const long long* __restrict__ ends, const long long* __restrict__ into,
              T* __restrict__ out, long long segments, long long width) {
    segment_sums(rows, (const long long*)nullptr, starts, ends, into, out, segments, width);
}

// Tensor cores, by their PTX instructions: products of small matrices that a warp holds together.
//
// All 32 lanes of a warp must call these together. With g = lane / 4 and t = lane % 4, a lane holds
//
//                      16-bit numbers, two a register          TF32, one a register
//     A (16 rows, k)   a0: row g,     columns 2t, 2t + 1       a0: row g,     column t
//                      a1: row g + 8, columns 2t, 2t + 1       a1: row g + 8, column t
//                      a2: row g,     columns 2t + 8, 2t + 9   a2: row g,     column t + 4
//                      a3: row g + 8, columns 2t + 8, 2t + 9   a3: row g + 8, column t + 4
//     B (k, 8 columns) b0: rows 2t, 2t + 1, column g           b0: row t,     column g
//                      b1: rows 2t + 8, 2t + 9, column g       b1: row t + 4, column g
//     C (16 rows, 8 columns) of floats: c0, c1: row g, columns 2t, 2t + 1; c2, c3: row g + 8
//
// (PTX ISA, "Matrix fragments for mma.m16n8k16" and "mma.m16n8k8".) In bytes both are the same: a row of A
// has 32 of them, so that one `ldmatrix` fills the registers of either from rows in shared memory.
//
// They are there for every CUDA compiler; the tests' CPU has functions of the same names instead.

#ifdef __CUDACC__

__device__ __forceinline__ unsigned shared_address(const void* at) {
    return (unsigned)__cvta_generic_to_shared(at);
}

// c += A B for 16 rows, 8 columns and k = 16, of halves. GPUs of 2018 take k = 8 at a time.
__device__ __forceinline__ void mma_f16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if __CUDA_ARCH__ >= 800
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile(
        "mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[2]), "r"(a[3]), "r"(b1));
#endif
}

#if __CUDA_ARCH__ >= 800

// The same of bfloat16.
__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The same of TF32, k = 8.
__device__ __forceinline__ void mma_tf32(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, "
                 "{%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The nearest TF32: a float with 10 bits of mantissa, as the bits of a float.
__device__ __forceinline__ unsigned to_tf32(float x) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// 16 bytes from global to shared memory, past the registers; zeros instead if not `there`. They are on
// their way until `copies_arrived`, and a barrier must follow before other threads read them.
__device__ __forceinline__ void copy_async(void* shared, const void* global, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global),
                 "r"(there ? 16 : 0)
                 : "memory");
}

// The copies of this thread since the last such call become one group.
__device__ __forceinline__ void copies_grouped() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait until of this thread's groups no more than the latest `left` are on their way.
template <int left>
__device__ __forceinline__ void copies_arrived() {
    asm volatile("cp.async.wait_group %0;" ::"n"(left) : "memory");
}

#else  // GPUs of 2018: copies by way of registers, and no tensor cores for bfloat16 and TF32

__device__ __forceinline__ void copy_async(void* shared, const void* global, bool there) {
    *(uint4*)shared = there ? *(const uint4*)global : make_uint4(0, 0, 0, 0);
}
__device__ __forceinline__ void copies_grouped() {}
template <int left>
__device__ __forceinline__ void copies_arrived() {}

#endif

// Four 8 x 8 matrices of 16-bit numbers in shared memory. Lane 8 m + i gives the address of row i of
// matrix m: 16 bytes, at a multiple of 16. Of matrix m it gets, in r[m], columns 2t and 2t + 1 of row g.
__device__ __forceinline__ void ldmatrix(unsigned (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

// The same of the transposed matrices: rows 2t and 2t + 1 of column g.
__device__ __forceinline__ void ldmatrix_transposed(unsigned (&r)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                 : "r"(shared_address(row)));
}

#endif

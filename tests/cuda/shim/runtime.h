// What a compiled kernel and the runtime that plays the GPU (runtime.cpp) know of each other.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
    constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
};

namespace shim {

struct State {  // of the thread that runs
    uint3 thread;
    int lane;
    uint3 block;
    dim3 block_size, grid_size;
    unsigned char* dynamic;  // the block's dynamic shared memory
};

// What lanes of a warp do together; the runtime works out the result when the last lane of the
// mask has come. Integers are widened to 64 bits.
enum Together {
    SYNC, SHUFFLE, SHUFFLE_UP, SHUFFLE_DOWN, SHUFFLE_XOR, ALL, ANY, BALLOT, MATCH_ANY, MATCH_ALL,
    ADD, MIN, MAX, MIN_UNSIGNED, MAX_UNSIGNED, AND, OR, XOR, EXCHANGE
};
struct Exchange {  // something else that all lanes of a warp do together, on what each brings
    const char* name;
    void (*run)(void* const* lanes);
};
struct Copy {  // 16 bytes on their way to shared memory; zeros, if they come from nowhere
    void* to;
    const void* from;
    int group;
};
enum Barrier { PLAIN, COUNT, EVERY, SOME };

struct Range {  // memory that a kernel may touch
    const char *begin, *end;
    int argument;   // its place among the arguments
    int unit;       // bytes of one number: finer sharing between threads is not told apart
};

struct Launch {
    unsigned grid[3], block[3];
    uint64_t shared_bytes, seed;
    char *statics, *statics_end;  // the module's static shared memory
    const char *image, *image_end;  // where the module itself lies
    const Range* ranges;
    int range_count;
    int checked;  // the module tells of each access
};

using Call = void (*)(void** arguments);

extern "C" {
extern State shim_state;
int shim_barrier(int kind, int predicate, int line);
// The result overwrites `value` (size bytes).
void shim_together(int what, unsigned mask, int operand, int width, void* value, int size, int line);
// All 32 lanes; `brought` is read and written where it lies.
void shim_exchange(const Exchange* exchange, void* brought, int line);
// The running thread's copies: one more; a group ends; the next one that is due, of all groups but
// the latest `left`, if there is one. The caller moves the bytes.
void shim_copy(void* to, const void* from);
void shim_group_copies();
int shim_next_copy(int left, Copy* copy);
int shim_is_shared(const void* at, int size);
unsigned shim_active_lanes();
void shim_atomic(const void* at, int size);
void shim_yield();
[[noreturn]] void shim_fail(const char* why, int line);
// An empty text if all went well.
const char* shim_launch(Call call, void** arguments, const Launch* launch, const char* name);
}
}  // namespace shim

// Watches each access of memory: who may touch it, and in which order with other threads.
//
// g++ -fsanitize=thread puts a call of __tsan_read4(address) and the like before every access. Here
// those calls are answered for a GPU's threads in place of the operating system's. An error is:
//   - an access outside of the arguments' arrays and of shared memory, or not aligned to its size,
//   - reading shared memory that no thread of the block has written,
//   - a race: two threads at one place, at least one of which writes, not both by atomic operations,
//     with nothing between them that orders them. Orders: a barrier, for the threads of a block;
//     __syncwarp, for the lanes of its mask (shuffles and votes promise nothing about memory); the
//     end of the launch, for blocks.
// Each unit of memory keeps its last write and the reads since. A lane's clock counts the __syncwarps
// that it has passed, and each lane knows up to which count it has seen the others (vector clocks,
// Lamport 1978; the shadow cells are like those of FastTrack, Flanagan & Freund 2009).
#include <stdio.h>
#include <stdlib.h>

#include <memory>

#include "threads.h"

namespace shim {
namespace {

struct Mark {  // by whom and when: block, barriers that it had passed, warp, lanes and their clock
    int block;  // its number from 1; 0: there is no such mark
    unsigned barriers;
    int warp;
    unsigned lanes, clock;
    bool atomic;
};
constexpr int SEVERAL = -1;

struct Cell {
    Mark write, read;
};

struct Free {
    void operator()(Cell* cells) const { free(cells); }
};

struct Watched {
    const char *begin, *end;
    int unit, argument;
    std::unique_ptr<Cell[], Free> cells;  // one a unit; the system gives zeros, page by page

    Watched(const void* from, size_t size, int unit, int argument)
        : begin(static_cast<const char*>(from)), end(begin + size), unit(unit), argument(argument),
          cells(static_cast<Cell*>(calloc(size / unit + 1, sizeof(Cell)))) {}
    bool holds(const char* at, int size) const { return at >= begin && at + size <= end; }
    bool is_shared() const { return argument < 0; }
};
constexpr int DYNAMIC = -1, STATIC = -2;  // in the place of the argument's number

std::vector<Watched> arrays;  // the last two are shared memory

Mark now(bool atomic) {
    const Thread& t = *block.self;
    return {int(block.number) + 1, block.barriers, t.warp, 1u << t.lane, t.clock[t.lane], atomic};
}

// The mark was made before anything that the running thread does now.
bool ordered(const Mark& mark) {
    const Thread& self = *block.self;
    if (!mark.block) return true;
    if (mark.block != int(block.number) + 1) return false;
    if (mark.barriers < block.barriers) return true;
    if (mark.warp != self.warp) return false;
    for (int lane = 0; lane < WARP; lane++)
        if (mark.lanes >> lane & 1 && lane != self.lane && self.clock[lane] <= mark.clock) return false;
    return true;
}

// Both reads, or atomic operations, in one mark.
void join(Mark& mark, const Mark& more) {
    if (mark.block != more.block) mark.block = SEVERAL;
    if (mark.warp != more.warp) mark.warp = SEVERAL;
    mark.lanes |= more.lanes;
    mark.clock = mark.clock > more.clock ? mark.clock : more.clock;
}

void race(const char* mine, const char* theirs, const Mark& mark, const Watched& in, size_t offset) {
    char whose[80] = "another block";
    if (mark.block == int(block.number) + 1 && mark.warp == SEVERAL)
        snprintf(whose, sizeof whose, "other warps");
    else if (mark.block == int(block.number) + 1)
        snprintf(whose, sizeof whose, "warp %d, lanes %#x", mark.warp, mark.lanes);
    if (!in.is_shared())
        fail("race: this thread %s byte %zu of argument %d, %s %s it", mine, offset, in.argument, whose, theirs);
    fail("race: this thread %s byte %zu of %s, %s %s it", mine, offset,
         in.argument == DYNAMIC ? "dynamic shared memory" : "static shared memory", whose, theirs);
}

void touch(Watched& in, const char* at, int size, bool writes, bool atomic) {
    size_t first = (at - in.begin) / in.unit, last = (at + size - 1 - in.begin) / in.unit;
    for (size_t i = first; i <= last; i++) {
        Cell& cell = in.cells[i];
        const Mark mine = now(atomic);
        if (in.is_shared() && cell.write.block != mine.block) cell = Cell();  // of another block
        const char* doing = atomic ? "atomically changes" : writes ? "writes" : "reads";
        if (in.is_shared() && !writes && !cell.write.block)
            fail("this thread reads byte %zu of shared memory, which no thread has written", size_t(at - in.begin));
        bool both_atomic = atomic && cell.write.atomic;
        if (!both_atomic && !ordered(cell.write))
            race(doing, cell.write.atomic ? "atomically changes" : "writes", cell.write, in, i * in.unit);
        if (writes) {
            if (!ordered(cell.read)) race(doing, "reads", cell.read, in, i * in.unit);
            cell.read = Mark();
            if (both_atomic && !ordered(cell.write))
                join(cell.write, mine);
            else
                cell.write = mine;
        } else if (ordered(cell.read)) {
            cell.read = mine;
        } else {
            join(cell.read, mine);
        }
    }
}

// Memory of the harness and of the module: stacks, threadIdx and its like, constants.
bool is_innocent(const char* at, int size) {
    const char* state = reinterpret_cast<const char*>(&shim_state);
    const Launch& launch = *block.launch;
    return on_a_stack(at) || (at >= state && at + size <= state + sizeof shim_state) ||
           (at >= launch.image && at < launch.image_end);
}

void report_outside(const char* doing, const char* at, int size) {
    constexpr ptrdiff_t NEAR = 4096;
    for (const Watched& array : arrays) {
        if (at < array.begin - NEAR || at >= array.end + NEAR || array.begin == array.end) continue;
        ptrdiff_t offset = at - array.begin, bytes = array.end - array.begin;
        if (array.is_shared())
            fail("%s %d bytes at byte %td of shared memory, which has %td bytes", doing, size, offset, bytes);
        fail("%s %d bytes at byte %td of argument %d, which has %td bytes", doing, size, offset,
             array.argument, bytes);
    }
    fail("%s %d bytes at %p, which is in no array", doing, size, at);
}

void access(const void* address, int size, bool writes, bool atomic, bool aligned, const void* from) {
    if (!block.launch || !block.launch->checked) return;
    site = static_cast<const char*>(from);
    const char* at = static_cast<const char*>(address);
    const char* doing = atomic ? "an atomic operation on" : writes ? "a write of" : "a read of";
    static size_t latest = 0;  // most accesses are where the one before was
    Watched* in = latest < arrays.size() && arrays[latest].holds(at, size) ? &arrays[latest] : nullptr;
    for (size_t i = 0; i < arrays.size() && !in; i++)
        if (arrays[i].holds(at, size)) in = &arrays[latest = i];
    if (!in && !is_innocent(at, size)) report_outside(doing, at, size);
    if (in && aligned && reinterpret_cast<uintptr_t>(at) % size)
        fail("%s %d bytes at %p, which is not a multiple of %d", doing, size, address, size);
    if (in) touch(*in, at, size, writes, atomic);
    site = nullptr;
    if (in && in->is_shared() && chance(8)) shim_yield();
}

}  // namespace

void start_checking(const Launch& launch) {
    arrays.clear();
    for (int i = 0; i < launch.range_count; i++) {
        const Range& r = launch.ranges[i];
        arrays.emplace_back(r.begin, r.end - r.begin, r.unit, r.argument);
    }
    arrays.emplace_back(shim_state.dynamic, launch.shared_bytes, 1, DYNAMIC);
    arrays.emplace_back(launch.statics, launch.statics_end - launch.statics, 1, STATIC);
}

extern "C" {

void shim_atomic(const void* at, int size) {
    access(at, size, true, true, true, __builtin_return_address(0));
    if (chance(4)) shim_yield();
}

// What the compiler calls.
#define ANSWER(name, size, writes, aligned) \
    void __tsan_##name##size(void* at) {    \
        access(at, size, writes, false, aligned, __builtin_return_address(0)); \
    }
#define ANSWERS(size)                           \
    ANSWER(read, size, false, true)             \
    ANSWER(write, size, true, true)             \
    ANSWER(volatile_read, size, false, true)    \
    ANSWER(volatile_write, size, true, true)    \
    ANSWER(unaligned_read, size, false, false)  \
    ANSWER(unaligned_write, size, true, false)
ANSWERS(1)
ANSWERS(2)
ANSWERS(4)
ANSWERS(8)
ANSWERS(16)
void __tsan_read_range(void* at, size_t size) {
    access(at, int(size), false, false, false, __builtin_return_address(0));
}
void __tsan_write_range(void* at, size_t size) {
    access(at, int(size), true, false, false, __builtin_return_address(0));
}
void __tsan_init() {}
}
}  // namespace shim

// Plays the GPU for a kernel: one block after the other, the threads of a block as fibers.
//
// A thread runs until it waits (at a barrier, or for lanes of its warp) or gives way (at an atomic
// operation, and at some accesses of memory where those are watched); then the next is drawn from
// those that can run, by the launch's seed. Seed 0 takes threads and blocks in their order. Lanes
// run in step only where a mask says so. What a real GPU would punish by hanging or by wrong
// results is an error here:
//   - a barrier that some threads of the block do not reach, or reach at another line of the source,
//   - a warp operation without a lane that its mask names, with different masks, or by a lane that
//     the mask does not name; a shuffle from a lane that takes no part,
//   - asynchronous copies that nobody waits for.
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <string>

#include "threads.h"
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace shim {

Block block;
const char* site;

namespace {

Fiber outside;  // the stack that launches
std::deque<Thread*> ready;
std::string failure;
const char* kernel_name;
Call call;
void** arguments;
uint64_t random_state;
constexpr size_t STACK = 256 << 10;
char* stacks;

uint64_t random_bits() {  // splitmix64: Steele, Lea & Flood 2014
    uint64_t z = (random_state += 0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

void leave() { block.self->fiber.switch_to(outside); }  // for the scheduler

void run_thread() {
    Fiber::arrived(outside);
    for (;;) {
        call(arguments);
        if (!block.self->copies.empty()) fail("asynchronous copies that this thread never waits for");
        block.self->status = ENDED;
        block.ended++;
        leave();
    }
}

void resume(Thread& thread) {
    block.self = &thread;
    shim_state.thread = thread.index;
    shim_state.lane = thread.lane;
    outside.switch_to(thread.fiber);
}

Thread* next() {
    if (block.launch->seed) std::swap(ready.front(), ready[random_bits() % ready.size()]);
    Thread* thread = ready.front();
    ready.pop_front();
    return thread;
}

void make_ready(Thread& thread) {
    thread.status = READY;
    ready.push_back(&thread);
}

const char* together_name(int what, const Exchange* exchange) {
    if (what == EXCHANGE) return exchange->name;
    static const char* names[] = {
        "__syncwarp", "__shfl_sync", "__shfl_up_sync", "__shfl_down_sync", "__shfl_xor_sync",
        "__all_sync", "__any_sync", "__ballot_sync", "__match_any_sync", "__match_all_sync",
        "__reduce_add_sync", "__reduce_min_sync", "__reduce_max_sync", "__reduce_min_sync",
        "__reduce_max_sync", "__reduce_and_sync", "__reduce_or_sync", "__reduce_xor_sync"};
    return names[what];
}

std::string state_of(const Thread& t) {
    std::string line = ", line " + std::to_string(t.line);
    char mask[24];
    snprintf(mask, sizeof mask, ", mask %#x", t.mask);
    switch (t.status) {
        case AT_BARRIER: return "at __syncthreads" + line;
        case TOGETHER: return std::string("at ") + together_name(t.what, t.exchange) + line + mask;
        case ENDED: return "have left the kernel";
        default: return "can run";
    }
}

// Nobody can run, and not all have ended: who is where.
void report_deadlock() {
    failure = "deadlock, these wait for each other:";
    for (int i = 0; i < block.size;) {
        std::string state = state_of(block.threads[i]);
        int first = i;
        while (i < block.size && state_of(block.threads[i]) == state) i++;
        failure += " threads " + std::to_string(first) + " to " + std::to_string(i - 1) + " " + state + ";";
        if (failure.size() > 600) break;
    }
    failure.back() = '.';
}

// Also over the gaps that AddressSanitizer leaves between arrays.
__attribute__((no_sanitize("address"), noinline)) void fill(void* begin, void* end) {
    for (volatile char* at = static_cast<char*>(begin); at < end; at++) *at = -1;
}

void run_block(unsigned number) {
    const Launch& launch = *block.launch;
    const unsigned* grid = launch.grid;
    shim_state.block = {number % grid[0], number / grid[0] % grid[1], number / grid[0] / grid[1]};
    block.number = number;
    block.ended = block.at_barrier = 0;
    block.barriers = 0;
    ready.clear();
    for (int i = 0; i < block.size; i++) {
        make_ready(block.threads[i]);
        memset(block.threads[i].clock, 0, sizeof block.threads[i].clock);
        block.threads[i].copies.clear();
        block.threads[i].groups = 0;
    }
    // What a block finds in shared memory is anybody's guess: NaN, so that results show it.
    fill(launch.statics, launch.statics_end);
    fill(shim_state.dynamic, shim_state.dynamic + launch.shared_bytes);
    while (!ready.empty() && failure.empty()) resume(*next());
    if (failure.empty() && block.ended < block.size) report_deadlock();
}

void prepare_threads(const Launch& launch) {
    if (!stacks) {
        void* got = mmap(nullptr, STACK * MOST_THREADS, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (got == MAP_FAILED) {
            failure = "no memory for the threads' stacks";
            return;
        }
        stacks = static_cast<char*>(got);
    }
    const unsigned* size = launch.block;
    block.size = size[0] * size[1] * size[2];
    for (int i = 0; i < block.size; i++) {
        Thread& t = block.threads[i];
        t.number = i;
        t.index = {i % size[0], i / size[0] % size[1], i / size[0] / size[1]};
        t.lane = i % WARP;
        t.warp = i / WARP;
        t.exchange = nullptr;
#if defined(__SANITIZE_ADDRESS__)
        __asan_unpoison_memory_region(stacks + i * STACK + Fiber::GUARD, STACK - Fiber::GUARD);
#endif
        t.fiber.create(stacks + i * STACK, STACK, run_thread);
    }
}

// -- lanes of a warp together ----------------------------------------------------------------------

Thread* lane_of(const Thread& self, int lane) {
    int number = self.warp * WARP + lane;
    return number < block.size ? &block.threads[number] : nullptr;
}

// Which lane's value `t` reads; itself where the lane lies outside its part of the warp.
int source_lane(const Thread& t) {
    int first = t.lane & ~(t.width - 1), last = first + t.width - 1, from = t.lane;
    switch (t.what) {
        case SHUFFLE: return first + (t.operand & (t.width - 1));
        case SHUFFLE_UP: from = t.lane - t.operand; return from < first ? t.lane : from;
        case SHUFFLE_DOWN: from = t.lane + t.operand; return from > last ? t.lane : from;
        default: from = t.lane ^ t.operand; return from > last ? t.lane : from;
    }
}

int64_t number_of(const Thread& t) {
    int64_t number;
    memcpy(&number, t.value, 8);
    return number;
}

int64_t reduced(int what, int64_t a, int64_t b) {
    switch (what) {
        case ADD: return a + b;
        case MIN: return std::min(a, b);
        case MAX: return std::max(a, b);
        case MIN_UNSIGNED: return std::min<uint64_t>(a, b);
        case MAX_UNSIGNED: return std::max<uint64_t>(a, b);
        case AND: return a & b;
        case OR: return a | b;
        default: return a ^ b;
    }
}

// All lanes of the mask are here: the results, and all may go on.
void complete(std::vector<Thread*>& lanes) {
    const int what = lanes[0]->what;
    unsigned char results[WARP][LARGEST_VALUE];
    if (what == SYNC) {
        unsigned seen[WARP] = {};
        for (Thread* t : lanes) {
            t->clock[t->lane]++;
            for (int i = 0; i < WARP; i++) seen[i] = std::max(seen[i], t->clock[i]);
        }
        for (Thread* t : lanes) memcpy(t->clock, seen, sizeof seen);
    } else if (what == EXCHANGE) {
        void* brought[WARP];
        for (Thread* t : lanes) memcpy(&brought[t->lane], t->value, sizeof(void*));
        lanes[0]->exchange->run(brought);
    } else if (what <= SHUFFLE_XOR) {
        for (Thread* t : lanes) {
            int from = source_lane(*t);
            if (!(t->mask >> from & 1))
                fail("%s, line %d, reads lane %d, which is not in the mask %#x",
                     together_name(what, nullptr), t->line, from, t->mask);
            memcpy(results[t->lane], lane_of(*t, from)->value, t->size);
        }
    } else {
        unsigned holding = 0;
        int64_t total = number_of(*lanes[0]);
        for (Thread* t : lanes) {
            holding |= unsigned(number_of(*t) != 0) << t->lane;
            if (t != lanes[0]) total = reduced(what, total, number_of(*t));
        }
        for (Thread* t : lanes) {
            unsigned same = 0;
            for (Thread* u : lanes) same |= unsigned(number_of(*u) == number_of(*t)) << u->lane;
            int64_t result = total;
            if (what == ALL) result = holding == t->mask;
            if (what == ANY) result = holding != 0;
            if (what == BALLOT) result = holding;
            if (what == MATCH_ANY) result = same;
            if (what == MATCH_ALL) result = same == t->mask ? same : 0;
            memcpy(results[t->lane], &result, 8);
        }
    }
    for (Thread* t : lanes) {
        if (what != SYNC && what != EXCHANGE) memcpy(t->value, results[t->lane], t->size);
        make_ready(*t);
    }
}

}  // namespace

// -- for the other files ---------------------------------------------------------------------------

void fail(const char* format, ...) {
    char text[600];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const Thread& t = *block.self;
    const uint3& b = shim_state.block;
    char where[160];
    snprintf(where, sizeof where, " [%s, block (%u, %u, %u), thread (%u, %u, %u)]", kernel_name, b.x,
             b.y, b.z, t.index.x, t.index.y, t.index.z);
    char code[40] = "";  // builder.py finds the line
    if (site) snprintf(code, sizeof code, ", +%#tx", site - block.launch->image - 1);
    site = nullptr;
    failure = std::string(text) + code + where;
    leave();  // for good: the launch ends here
    __builtin_unreachable();
}

bool chance(unsigned one_in) { return block.launch->seed && random_bits() % one_in == 0; }

bool on_a_stack(const char* at) { return at >= stacks && at < stacks + STACK * MOST_THREADS; }

extern "C" {

State shim_state;

void shim_yield() {
    make_ready(*block.self);
    leave();
}

int shim_is_shared(const void* place, int size) {
    const char *at = static_cast<const char*>(place), *end = at + size;
    const char* dynamic = reinterpret_cast<const char*>(shim_state.dynamic);
    const Launch& launch = *block.launch;
    return (at >= dynamic && end <= dynamic + launch.shared_bytes) ||
           (at >= launch.statics && end <= launch.statics_end);
}

void shim_copy(void* to, const void* from) {
    block.self->copies.push_back({to, from, block.self->groups});
}

void shim_group_copies() { block.self->groups++; }

int shim_next_copy(int left, Copy* copy) {
    Thread& self = *block.self;
    if (self.copies.empty() || self.copies.front().group >= self.groups - left) return 0;
    *copy = self.copies.front();
    self.copies.pop_front();
    return 1;
}

int shim_barrier(int kind, int predicate, int line) {
    Thread& self = *block.self;
    for (int i = 0; i < block.size && block.at_barrier; i++) {
        const Thread& other = block.threads[i];
        if (other.status != AT_BARRIER) continue;
        if (other.line != line || other.kind != kind)
            fail("divergent barrier: this thread is at __syncthreads in line %d, another in line %d",
                 line, other.line);
        break;
    }
    if (block.ended)
        fail("__syncthreads, line %d: %d threads of the block have left the kernel", line, block.ended);
    self.status = AT_BARRIER;
    self.line = line;
    self.kind = kind;
    self.predicate = predicate != 0;
    if (++block.at_barrier == block.size) {
        int holding = 0;
        for (int i = 0; i < block.size; i++) holding += block.threads[i].predicate;
        int result = kind == COUNT ? holding : kind == EVERY ? holding == block.size : holding > 0;
        block.at_barrier = 0;
        block.barriers++;
        for (int i = 0; i < block.size; i++) {
            block.threads[i].result = result;
            make_ready(block.threads[i]);
        }
    }
    leave();
    return self.result;
}

void shim_together(int what, unsigned mask, int operand, int width, void* value, int size, int line) {
    Thread& self = *block.self;
    const char* name = together_name(what, self.exchange);
    if (!(mask >> self.lane & 1))
        fail("%s, line %d: lane %d calls it with mask %#x, which lacks it", name, line, self.lane, mask);
    if (width < 1 || width > WARP || (width & (width - 1)))
        fail("%s, line %d: width %d is not a power of two up to 32", name, line, width);
    self.what = what, self.mask = mask, self.operand = operand, self.width = width;
    self.size = size, self.line = line;
    memcpy(self.value, value, size);
    static std::vector<Thread*> lanes;
    lanes.clear();
    bool all = true;
    for (int lane = 0; lane < WARP; lane++) {
        if (!(mask >> lane & 1)) continue;
        Thread* t = lane_of(self, lane);
        if (!t) fail("%s, line %d: the mask %#x names lane %d; the block ends before it", name, line, mask, lane);
        if (t->status == ENDED)
            fail("%s, line %d: the mask %#x names lane %d, which has left the kernel", name, line, mask, lane);
        if (t->status == TOGETHER && (t->what != what || t->mask != mask || t->exchange != self.exchange))
            fail("%s, line %d, with mask %#x: lane %d is at %s, line %d, with mask %#x", name, line, mask,
                 lane, together_name(t->what, t->exchange), t->line, t->mask);
        all &= t == &self || t->status == TOGETHER;
        lanes.push_back(t);
    }
    self.status = TOGETHER;
    if (all) complete(lanes);
    leave();
    memcpy(value, self.value, size);
    self.exchange = nullptr;
}

void shim_exchange(const Exchange* exchange, void* brought, int line) {
    block.self->exchange = exchange;
    shim_together(EXCHANGE, 0xffffffff, 0, WARP, &brought, sizeof brought, line);
}

unsigned shim_active_lanes() {
    unsigned mask = 0;
    for (int lane = 0; lane < WARP; lane++) {
        Thread* t = lane_of(*block.self, lane);
        mask |= unsigned(t && t->status != ENDED) << lane;
    }
    return mask;
}

void shim_fail(const char* why, int line) { fail("%s, line %d", why, line); }

const char* shim_launch(Call to_call, void** given, const Launch* launch, const char* name) {
    failure.clear();
    kernel_name = name;
    call = to_call;
    arguments = given;
    block.launch = launch;
    random_state = launch->seed;
    const unsigned *grid = launch->grid, *size = launch->block;
    shim_state.block_size = {size[0], size[1], size[2]};
    shim_state.grid_size = {grid[0], grid[1], grid[2]};
    prepare_threads(*launch);
    // A block of its own for AddressSanitizer to watch the ends of; 16-byte aligned like malloc's.
    std::vector<unsigned char> dynamic(launch->shared_bytes);
    shim_state.dynamic = dynamic.data();
    if (launch->checked) start_checking(*launch);
    std::vector<unsigned> order(size_t(grid[0]) * grid[1] * grid[2]);
    std::iota(order.begin(), order.end(), 0);
    if (launch->seed)
        for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random_bits() % i]);
    for (size_t i = 0; i < order.size() && failure.empty(); i++) run_block(order[i]);
    block.launch = nullptr;
    return failure.c_str();
}
}
}  // namespace shim

// The threads of a block, as the scheduler (runtime.cpp) and the race detector (access.cpp) see them.
#pragma once
#include <stdarg.h>

#include <deque>
#include <vector>

#include "fiber.h"
#include "runtime.h"

namespace shim {

constexpr int WARP = 32, MOST_THREADS = 1024, LARGEST_VALUE = 16;

enum Status { READY, AT_BARRIER, TOGETHER, ENDED };

struct Thread {
    Fiber fiber;
    uint3 index;
    int number, lane, warp;
    Status status;
    int line;  // of the source, where it waits
    // at a barrier
    int kind, predicate, result;
    // together with other lanes
    int what, operand, width, size;
    unsigned mask;
    alignas(8) unsigned char value[LARGEST_VALUE];
    const Exchange* exchange;
    // copies on their way, and how many groups of them there were
    std::deque<Copy> copies;
    int groups;
    // for the race detector: what this thread has seen of the lanes of its warp (a vector clock)
    unsigned clock[WARP];
};

struct Block {
    std::vector<Thread> threads = std::vector<Thread>(MOST_THREADS);
    int size = 0, ended = 0, at_barrier = 0;
    unsigned number = 0;     // of the block in the grid
    unsigned barriers = 0;   // that it has passed
    const Launch* launch = nullptr;
    Thread* self = nullptr;
};

extern Block block;
extern const char* site;  // where in the module's code an access stands that is being looked at

[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));
bool chance(unsigned one_in);  // by the launch's seed; never with seed 0
void start_checking(const Launch& launch);
bool on_a_stack(const char* at);

}  // namespace shim

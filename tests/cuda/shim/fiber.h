// Fibers: many stacks in one thread of the operating system, and a switch from one to another.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// Saves the registers that a called function must keep on the stack, and takes up the other stack.
extern "C" void shim_switch(void** leave, void* enter);
asm(R"(
.text
.globl shim_switch
.hidden shim_switch
.type shim_switch, @function
shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size shim_switch, . - shim_switch
)");
#else
#include <ucontext.h>
#endif

namespace shim {

class Fiber {
  public:
    // The thread's own stack: nothing to set up.
    Fiber() = default;

    // A stack of its own, on which `entry` (which never returns) will run; below it a guard page.
    void create(char* memory, size_t bytes, void (*entry)()) {
        mprotect(memory, GUARD, PROT_NONE);
        bottom = memory + GUARD;
        size = bytes - GUARD;
#if defined(__x86_64__)
        void** top = reinterpret_cast<void**>(memory + bytes - 64);  // 16-byte aligned
        *--top = nullptr;  // where `entry` would return to; keeps the alignment that calls have
        *--top = reinterpret_cast<void*>(entry);
        for (int i = 0; i < 6; i++) *--top = nullptr;
        place = top;
#else
        getcontext(&context);
        context.uc_stack.ss_sp = const_cast<char*>(bottom);
        context.uc_stack.ss_size = size;
        context.uc_link = nullptr;
        makecontext(&context, entry, 0);
#endif
    }

    // Leave this stack for another; comes back when somebody switches here.
    void switch_to(Fiber& other) {
#if defined(__SANITIZE_ADDRESS__)
        void* fake = nullptr;
        __sanitizer_start_switch_fiber(&fake, other.bottom, other.size);
#endif
#if defined(__x86_64__)
        shim_switch(&place, other.place);
#else
        swapcontext(&context, &other.context);
#endif
#if defined(__SANITIZE_ADDRESS__)
        __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    }

    // First thing on a new stack: AddressSanitizer tells where the stack is that was left.
    static void arrived([[maybe_unused]] Fiber& from) {
#if defined(__SANITIZE_ADDRESS__)
        const void* old = nullptr;
        __sanitizer_finish_switch_fiber(nullptr, &old, &from.size);
        from.bottom = static_cast<const char*>(old);
#endif
    }

    bool holds(const char* address) const { return address >= bottom && address < bottom + size; }

    static constexpr size_t GUARD = 4096;

  private:
    const char* bottom = nullptr;
    size_t size = 0;
#if defined(__x86_64__)
    void* place = nullptr;
#else
    ucontext_t context;
#endif
};

}  // namespace shim

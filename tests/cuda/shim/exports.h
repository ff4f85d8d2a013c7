// What a compiled module tells builder.py: its kernels, their parameters and how to call them.
#pragma once
#include <utility>

namespace shim {

// One letter for the kind, and the size: f4 is float, i8 long long, u1 unsigned char, h2 __half,
// b2 __nv_bfloat16, v0 void, s16 a struct of 16 bytes; p before it: a pointer to one.
template <class T>
void describe(char*& text) {
    using Plain = std::remove_cv_t<T>;
    if constexpr (std::is_pointer<Plain>::value) {
        *text++ = 'p';
        describe<std::remove_pointer_t<Plain>>(text);
    } else if constexpr (std::is_void<Plain>::value) {
        text += sprintf(text, "v0 ");
    } else {
        char kind = 's';
        if (std::is_floating_point<Plain>::value) kind = 'f';
        if (std::is_integral<Plain>::value) kind = std::is_signed<Plain>::value ? 'i' : 'u';
        if (std::is_same<Plain, __half>::value) kind = 'h';
        if (std::is_same<Plain, __nv_bfloat16>::value) kind = 'b';
        text += sprintf(text, "%c%zu ", kind, sizeof(T));
    }
}

template <auto kernel>
struct Export;

template <class... P, void (*kernel)(P...)>
struct Export<kernel> {
    static void call(void** arguments) { call_with(arguments, std::index_sequence_for<P...>()); }

    template <size_t... i>
    __attribute__((no_sanitize("thread"))) static void call_with(void** arguments, std::index_sequence<i...>) {
        kernel(*static_cast<std::remove_cv_t<P>*>(arguments[i])...);
    }

    static const char* parameters() {
        static char text[24 * sizeof...(P) + 1];
        char* end = text;
        (describe<P>(end), ...);
        return text;
    }
};

struct Exported {
    const char* name;
    Call call;
    const char* (*parameters)();
};

}  // namespace shim

#define SHIM_KERNEL(name) {#name, shim::Export<&name>::call, shim::Export<&name>::parameters},
#define SHIM_EXPORTS(kernels)                                                                    \
    extern "C" const shim::Exported* shim_exports() {                                            \
        static const shim::Exported table[] = {kernels {nullptr, nullptr, nullptr}};             \
        return table;                                                                            \
    }                                                                                            \
    extern "C" void shim_statics(char** begin, char** end) {                                     \
        *begin = __start_cuda_shared;                                                            \
        *end = __stop_cuda_shared;                                                               \
    }

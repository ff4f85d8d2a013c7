// What happens at one time step of the plain recurrent layer beside the matrix products (rnn.py).
//
// A thread for each hidden unit of each sequence. Sequence b has row start + b hop at this step.
#include "common.cuh"

#define PLACES for (long long at = first_place(); at < count * size; at += place_step())
#define ROW (start + at / size * hop) * size + at % size

// h (B, H) and its row of out (N, H) = f(from_x + from_h): from_x (N, H), with the bias; from_h
// (count, H); f is relu or else tanh.
extern "C" __global__ void __launch_bounds__(256)
rnn_step(const T* __restrict__ from_x, const T* __restrict__ from_h, T* __restrict__ h,
         T* __restrict__ out, long long start, long long hop, long long relu, long long count,
         long long size) {
    PLACES {
        const long long row = ROW;
        const A sum = A(from_x[row]) + A(from_h[at]);
        h[at] = out[row] = T(!relu ? tanh(sum) : sum < 0 ? A(0) : sum);  // so written, NaN stays NaN
    }
}

// d (N, H), and this step's once more in `step` (count, H): (dh + g_out) f', with dh (B, H) from step
// t + 1 and f' from the outputs h.
extern "C" __global__ void __launch_bounds__(256)
rnn_step_backward(const T* __restrict__ g_out, const T* __restrict__ out, const T* __restrict__ dh,
                  T* __restrict__ d, T* __restrict__ step, long long start, long long hop,
                  long long relu, long long count, long long size) {
    PLACES {
        const long long row = ROW;
        const A h = A(out[row]), slope = relu ? A(h > 0) : A(1) - h * h;
        d[row] = step[at] = T((A(dh[at]) + A(g_out[row])) * slope);
    }
}

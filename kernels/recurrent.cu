// What happens at one time step of an LSTM or a GRU beside the matrix products (lstm.py, gru.py).
//
// The products of the inputs are made for all steps at once, before; a step adds the product of the
// state, made by the library, and does all else in one pass: a thread for each hidden unit of each
// sequence. Sequence b has row start + b hop at this step. gates (N, 4 H) may be missing; cells too.
#include "common.cuh"

#define PLACES for (long long at = first_place(); at < count * size; at += place_step())
#define PLACE const long long b = at / size, j = at % size, row = start + b * hop

// from_x (N, 4 H), with the bias; from_h (count, 4 H); the order of gates is i, f, g, o.
extern "C" __global__ void __launch_bounds__(256)
lstm_step(const T* __restrict__ from_x, const T* __restrict__ from_h, T* __restrict__ h,
          T* __restrict__ c, T* __restrict__ out, T* __restrict__ gates, T* __restrict__ cells,
          long long start, long long hop, long long count, long long size) {
    PLACES {
        PLACE;
        const T *x = from_x + row * 4 * size + j, *y = from_h + b * 4 * size + j;
        A i = logistic(A(x[0]) + A(y[0])), f = logistic(A(x[size]) + A(y[size]));
        A g = tanh(A(x[2 * size]) + A(y[2 * size])), o = logistic(A(x[3 * size]) + A(y[3 * size]));
        A cell = f * A(c[at]) + i * g, hidden = o * tanh(cell);
        c[at] = T(cell);
        h[at] = T(hidden);
        out[row * size + j] = T(hidden);
        if (gates) {
            T* kept = gates + row * 4 * size + j;
            kept[0] = T(i), kept[size] = T(f), kept[2 * size] = T(g), kept[3 * size] = T(o);
            cells[row * size + j] = T(cell);
        }
    }
}

// dh (B, H) from step t + 1, dc (B, H) on its way to step t - 1; d_gates (N, 4 H), and this step's once
// more in `step` (count, 4 H). Before this step came the rows from start_before, of count_before
// sequences; the others began with c0.
extern "C" __global__ void __launch_bounds__(256)
lstm_step_backward(const T* __restrict__ g_out, const T* __restrict__ gates, const T* __restrict__ cells,
                   const T* __restrict__ c0, const T* __restrict__ dh, T* __restrict__ dc,
                   T* __restrict__ d_gates, T* __restrict__ step, long long start,
                   long long start_before, long long count_before, long long hop, long long count,
                   long long size) {
    PLACES {
        PLACE;
        const T* of = gates + row * 4 * size + j;
        A i = A(of[0]), f = A(of[size]), g = A(of[2 * size]), o = A(of[3 * size]);
        A before = A(b < count_before ? cells[(start_before + b * hop) * size + j] : c0[at]);
        A t = tanh(A(cells[row * size + j]));
        A up = A(dh[at]) + A(g_out[row * size + j]);
        A down = A(dc[at]) + up * o * (A(1) - t * t);
        T found[4] = {T(down * g * i * (A(1) - i)), T(down * before * f * (A(1) - f)),
                      T(down * i * (A(1) - g * g)), T(up * t * o * (A(1) - o))};
        for (int k = 0; k < 4; k++) {
            d_gates[row * 4 * size + k * size + j] = found[k];
            step[b * 4 * size + k * size + j] = found[k];
        }
        dc[at] = T(down * f);
    }
}

// from_x (N, 3 H), with b_ih; from_h (count, 3 H) without b_hh; gates: r, z, n and q.
extern "C" __global__ void __launch_bounds__(256)
gru_step(const T* __restrict__ from_x, const T* __restrict__ from_h, const T* __restrict__ b_hh,
         T* __restrict__ h, T* __restrict__ out, T* __restrict__ gates, long long start, long long hop,
         long long count, long long size) {
    PLACES {
        PLACE;
        const T *x = from_x + row * 3 * size + j, *y = from_h + b * 3 * size + j, *bias = b_hh + j;
        A r = logistic(A(x[0]) + A(y[0]) + A(bias[0]));
        A z = logistic(A(x[size]) + A(y[size]) + A(bias[size]));
        A q = A(y[2 * size]) + A(bias[2 * size]), n = tanh(A(x[2 * size]) + r * q);
        A hidden = n + z * (A(h[at]) - n);
        h[at] = T(hidden);
        out[row * size + j] = T(hidden);
        if (gates) {
            T* kept = gates + row * 4 * size + j;
            kept[0] = T(r), kept[size] = T(z), kept[2 * size] = T(n), kept[3 * size] = T(q);
        }
    }
}

// dh (B, H): from step t + 1; what goes past the gates to step t - 1 afterwards. Gradients of what came
// from x and from h (N, 3 H): dr, dz and dn, or dn r; the latter once more in `step` (count, 3 H).
extern "C" __global__ void __launch_bounds__(256)
gru_step_backward(const T* __restrict__ g_out, const T* __restrict__ gates, const T* __restrict__ before,
                  T* __restrict__ dh, T* __restrict__ d_x, T* __restrict__ d_h, T* __restrict__ step,
                  long long start, long long hop, long long count, long long size) {
    PLACES {
        PLACE;
        const T* of = gates + row * 4 * size + j;
        A r = A(of[0]), z = A(of[size]), n = A(of[2 * size]), q = A(of[3 * size]);
        A up = A(dh[at]) + A(g_out[row * size + j]);
        A dn = up * (A(1) - z) * (A(1) - n * n);
        A dz = up * (A(before[row * size + j]) - n) * z * (A(1) - z), dr = dn * q * r * (A(1) - r);
        T from_x[3] = {T(dr), T(dz), T(dn)}, from_h[3] = {T(dr), T(dz), T(dn * r)};
        for (int k = 0; k < 3; k++) {
            d_x[row * 3 * size + k * size + j] = from_x[k];
            d_h[row * 3 * size + k * size + j] = from_h[k];
            step[b * 3 * size + k * size + j] = from_h[k];
        }
        dh[at] = T(up * z);
    }
}

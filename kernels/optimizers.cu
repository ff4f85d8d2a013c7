// Optimizers' updates (optimizers.py has the formulas): all parameters of a model in one launch.
//
// A model has hundreds of small parameters; a launch for each would take longer than its arithmetic.
// So every parameter is cut into parts, and a table names each part: its length and the addresses of
// its arrays. A block takes a part. What limits it is memory: Adam moves seven numbers for each
// parameter (reads w, g, m, v, writes w, m, v), array code some twenty.
#include "common.cuh"
#include "parts.cuh"

#define OPTIMIZER(name, ...)  \
    extern "C" __global__ void __launch_bounds__(256) name(const long long* __restrict__ table, __VA_ARGS__)

OPTIMIZER(sgd, double lr, double momentum, double keep, double decay, double nesterov, double sign) {
    each(table, momentum != 0 ? 3 : 2, [=](A& w, A& g, A& v, A&, A&) {
        A x = gradient(w, g, decay, sign);
        if (momentum != 0) {
            v = A(momentum) * v + A(keep) * x;
            x = nesterov != 0 ? x + A(momentum) * v : v;
        }
        w -= A(lr) * x;
    });
}

OPTIMIZER(adam, double lr, double b1, double b2, double root, double eps, double decay, double shrink,
          double amsgrad, double sign) {
    const A c1 = A(1 - b1), c2 = A(1 - b2), unroot = A(1 / root);
    each(table, amsgrad != 0 ? 5 : 4, [=](A& w, A& g, A& m, A& v, A& top) {
        A x = gradient(w, g, decay, sign);
        m += c1 * (x - m);
        v = A(b2) * v + c2 * (x * x);
        if (amsgrad != 0) top = larger(top, v);
        A square = amsgrad != 0 ? top : v;
        w = w * A(shrink) - A(lr) * (m / (sqrt(square) * unroot + A(eps)));
    });
}

OPTIMIZER(adamax, double lr, double b1, double b2, double eps, double decay, double sign) {
    const A c1 = A(1 - b1);
    each(table, 4, [=](A& w, A& g, A& m, A& u, A&) {
        A x = gradient(w, g, decay, sign);
        m += c1 * (x - m);
        u = larger(A(b2) * u, fabs(x) + A(eps));
        w -= A(lr) * (m / u);
    });
}

OPTIMIZER(nadam, double lr_g, double lr_m, double b1, double b2, double root, double eps, double decay,
          double shrink, double sign) {
    const A c1 = A(1 - b1), c2 = A(1 - b2), unroot = A(1 / root);
    each(table, 4, [=](A& w, A& g, A& m, A& v, A&) {
        A x = gradient(w, g, decay, sign);
        m += c1 * (x - m);
        v = A(b2) * v + c2 * (x * x);
        A spread = sqrt(v) * unroot + A(eps);
        w = w * A(shrink) - A(lr_g) * (x / spread) - A(lr_m) * (m / spread);
    });
}

OPTIMIZER(radam, double lr, double b1, double b2, double reliable, double eps, double decay,
          double shrink, double sign) {
    const A c1 = A(1 - b1), c2 = A(1 - b2);
    each(table, 4, [=](A& w, A& g, A& m, A& v, A&) {
        A x = gradient(w, g, decay, sign);
        m += c1 * (x - m);
        v = A(b2) * v + c2 * (x * x);
        w = w * A(shrink) - A(lr) * (reliable != 0 ? m / (sqrt(v) + A(eps)) : m);
    });
}

OPTIMIZER(adagrad, double lr, double eps, double decay, double sign) {
    each(table, 3, [=](A& w, A& g, A& s, A&, A&) {
        A x = gradient(w, g, decay, sign);
        s += x * x;
        w -= A(lr) * (x / (sqrt(s) + A(eps)));
    });
}

// The fourth array is v, the fifth m.
OPTIMIZER(rmsprop, double lr, double alpha, double eps, double decay, double momentum, double centered,
          double sign) {
    const A rest = A(1 - alpha);
    each(table, centered != 0 ? 5 : momentum != 0 ? 4 : 3, [=](A& w, A& g, A& s, A& v, A& m) {
        A x = gradient(w, g, decay, sign);
        s = A(alpha) * s + rest * (x * x);
        A square = s;
        if (centered != 0) {
            m += rest * (x - m);
            square -= m * m;
        }
        x /= sqrt(square) + A(eps);
        if (momentum != 0) x = v = v * A(momentum) + x;
        w -= A(lr) * x;
    });
}

OPTIMIZER(adadelta, double lr, double rho, double eps, double decay, double sign) {
    const A rest = A(1 - rho);
    each(table, 4, [=](A& w, A& g, A& s, A& u, A&) {
        A x = gradient(w, g, decay, sign);
        s = A(rho) * s + rest * (x * x);
        A d = sqrt(u + A(eps)) / sqrt(s + A(eps)) * x;
        u = A(rho) * u + rest * (d * d);
        w -= A(lr) * d;
    });
}

// -- the norm of all gradients together, and their clipping (clip.py) --------------------------------

// sums[part] = sum of the squares of a part.
extern "C" __global__ void __launch_bounds__(256)
squares(const long long* __restrict__ table, double* __restrict__ sums) {
    A sum = 0;
    each<false>(table, 1, [&](A& x, A&, A&, A&, A&) { sum += x * x; });
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = double(sum);
}

OPTIMIZER(scale_all, const double* factor) {
    const A by = A(*factor);
    each(table, 1, [=](A& x, A&, A&, A&, A&) { x *= by; });
}

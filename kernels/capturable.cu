// Updates whose step count and learning rate lie on the GPU (capturable.py): a captured graph, whose
// arguments are fixed, takes another step at each replay.
#include "common.cuh"
#include "parts.cuh"

extern "C" __global__ void __launch_bounds__(256) count_up(const long long* __restrict__ table) {
    each(table, 1, [](A& count, A&, A&, A&, A&) { count += A(1); });
}

// rate_at: the learning rate, if it is not missing; else `rate`. apart: weight decay shrinks w instead
// of being added to the gradient. The corrections for the start are one thread's business.
extern "C" __global__ void __launch_bounds__(256)
adam_counted(const long long* __restrict__ table, const double* __restrict__ rate_at, double rate, double b1,
             double b2, double eps, double decay, double apart, double amsgrad, double sign) {
    const CountedPart line = reinterpret_cast<const CountedPart*>(table)[blockIdx.x];
    __shared__ double shared_size, shared_root, shared_shrink;
    if (threadIdx.x == 0) {
        const double t = *line.count, lr = rate_at ? *rate_at : rate;
        shared_size = lr / (1 - pow(b1, t));
        shared_root = sqrt(1 - pow(b2, t));
        shared_shrink = apart != 0 ? 1 - lr * decay : 1;
    }
    __syncthreads();
    const A size = A(shared_size), unroot = A(1 / shared_root), shrink = A(shared_shrink);
    const A c1 = A(1 - b1), c2 = A(1 - b2);
    const double added = apart != 0 ? 0 : decay;
    each_of(line.part, amsgrad != 0 ? 5 : 4, [=](A& w, A& g, A& m, A& v, A& top) {
        A x = gradient(w, g, added, sign);
        m += c1 * (x - m);
        v = A(b2) * v + c2 * (x * x);
        if (amsgrad != 0) top = larger(top, v);
        A square = amsgrad != 0 ? top : v;
        w = w * shrink - size * (m / (sqrt(square) * unroot + A(eps)));
    });
}

extern "C" __global__ void __launch_bounds__(256)
sgd_at_rate(const long long* __restrict__ table, const double* __restrict__ rate_at, double momentum,
            double keep, double decay, double nesterov, double sign) {
    const A rate = A(*rate_at);
    each(table, momentum != 0 ? 3 : 2, [=](A& w, A& g, A& v, A&, A&) {
        A x = gradient(w, g, decay, sign);
        if (momentum != 0) {
            v = A(momentum) * v + A(keep) * x;
            x = nesterov != 0 ? x + A(momentum) * v : v;
        }
        w -= rate * x;
    });
}

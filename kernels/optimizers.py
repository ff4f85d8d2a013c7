"""Optimizers' updates: one pass over a parameter, its gradient and its state, all changed in place.

In array code every operation reads and writes whole arrays: Adam moves some 20 arrays' worth of
memory, and memory is what it waits for. One pass moves 7.

Each kernel takes `rows`, a tuple of arrays for each parameter: (w, g, state, ...). All options are
numbers. `sign` is -1 where the objective is maximized, else 1. `decay` is added to the gradient as
decay * w; `shrink` multiplies w first (decoupled weight decay). Formulas and papers stand with the
classes in minigrad/optim.
"""

from math import sqrt

from ..backend import array_module
from . import cuda_parts
from .kernel import Kernel
from .parts import elementwise, run


def _gradient(w, g, decay, sign):
    g = g if sign > 0 else -g
    return g + decay * w if decay else g


# -- SGD -------------------------------------------------------------------------------------------


def sgd(rows, lr, momentum, keep, decay, nesterov, sign):
    """v = momentum v + keep g;  w -= lr v  (nesterov: lr (g + momentum v)); without momentum lr g.

    rows: (w, g, v), or (w, g) without momentum.
    """
    for w, g, *state in rows:
        g = _gradient(w, g, decay, sign)
        if momentum:
            v = state[0]
            v *= momentum
            v += keep * g
            g = g + momentum * v if nesterov else v
        w -= lr * g


sgd = Kernel(sgd)


@elementwise
def _sgd(w, g, v, b, c, lr, momentum, keep, decay, nesterov, sign):
    if momentum == 0:
        for i in range(w.size):
            x = sign * g[i]
            if decay != 0:
                x += decay * w[i]
            w[i] -= lr * x
    else:
        for i in range(w.size):
            x = sign * g[i]
            if decay != 0:
                x += decay * w[i]
            now = momentum * v[i] + keep * x
            v[i] = now
            w[i] -= lr * (x + momentum * now if nesterov != 0 else now)


@sgd.implement("numpy")
def sgd_numba(rows, lr, momentum, keep, decay, nesterov, sign):
    """One pass over all parameters."""
    numbers = lr, momentum, keep, decay, nesterov, sign
    sgd.reference(run(_sgd, rows, numbers), *numbers)


# -- Adam ------------------------------------------------------------------------------------------


def adam(rows, lr, b1, b2, root, eps, decay, shrink, amsgrad, sign):
    """m += (1 - b1) (g - m);  v = b2 v + (1 - b2) g^2;  w -= lr m / (sqrt(v) / root + eps).

    rows: (w, g, m, v), with amsgrad (w, g, m, v, top): top = max(top, v) takes the place of v then.
    lr and root = sqrt(1 - b2^t) include the corrections for the start.
    """
    for w, g, m, v, *top in rows:
        xp = array_module(w)
        g = _gradient(w, g, decay, sign)
        if shrink != 1:
            w *= shrink
        m += (1 - b1) * (g - m)
        v *= b2
        v += (1 - b2) * (g * g)
        if amsgrad:
            v = xp.maximum(top[0], v, out=top[0])
        w -= lr * (m / (xp.sqrt(v) / root + eps))


adam = Kernel(adam)


@elementwise
def _adam(w, g, m, v, top, lr, b1, b2, c1, c2, unroot, eps, decay, shrink, amsgrad, sign):
    if amsgrad == 0:
        for i in range(w.size):
            x = sign * g[i]
            if decay != 0:
                x += decay * w[i]
            mean = m[i] + c1 * (x - m[i])
            square = b2 * v[i] + c2 * (x * x)
            m[i] = mean
            v[i] = square
            w[i] = w[i] * shrink - lr * (mean / (sqrt(square) * unroot + eps))
    else:
        for i in range(w.size):
            x = sign * g[i]
            if decay != 0:
                x += decay * w[i]
            mean = m[i] + c1 * (x - m[i])
            square = b2 * v[i] + c2 * (x * x)
            m[i] = mean
            v[i] = square
            largest = top[i]
            largest = largest if largest > square or largest != largest else square
            top[i] = largest
            w[i] = w[i] * shrink - lr * (mean / (sqrt(largest) * unroot + eps))


@adam.implement("numpy")
def adam_numba(rows, lr, b1, b2, root, eps, decay, shrink, amsgrad, sign):
    """One pass over all parameters."""
    numbers = lr, b1, b2, 1 - b1, 1 - b2, 1 / root, eps, decay, shrink, amsgrad, sign
    left = run(_adam, rows, numbers)
    adam.reference(left, lr, b1, b2, root, eps, decay, shrink, amsgrad, sign)


def adamax(rows, lr, b1, b2, eps, decay, sign):
    """m += (1 - b1) (g - m);  u = max(b2 u, |g| + eps);  w -= lr m / u.  rows: (w, g, m, u)."""
    for w, g, m, u in rows:
        xp = array_module(w)
        g = _gradient(w, g, decay, sign)
        m += (1 - b1) * (g - m)
        xp.maximum(u * b2, xp.abs(g) + eps, out=u)
        w -= lr * (m / u)


adamax = Kernel(adamax)


@elementwise
def _adamax(w, g, m, u, c, lr, c1, b2, eps, decay, sign):
    for i in range(w.size):
        x = sign * g[i]
        if decay != 0:
            x += decay * w[i]
        mean = m[i] + c1 * (x - m[i])
        m[i] = mean
        old, new = b2 * u[i], abs(x) + eps
        largest = old if old > new or old != old else new
        u[i] = largest
        w[i] -= lr * (mean / largest)


@adamax.implement("numpy")
def adamax_numba(rows, lr, b1, b2, eps, decay, sign):
    """One pass over all parameters."""
    left = run(_adamax, rows, (lr, 1 - b1, b2, eps, decay, sign))
    adamax.reference(left, lr, b1, b2, eps, decay, sign)


def nadam(rows, lr_g, lr_m, b1, b2, root, eps, decay, shrink, sign):
    """Adam's m and v;  w -= (lr_g g + lr_m m) / (sqrt(v) / root + eps).  rows: (w, g, m, v).

    lr_g and lr_m hold the schedule mu_t, root = sqrt(1 - b2^t).
    """
    for w, g, m, v in rows:
        xp = array_module(w)
        g = _gradient(w, g, decay, sign)
        if shrink != 1:
            w *= shrink
        m += (1 - b1) * (g - m)
        v *= b2
        v += (1 - b2) * (g * g)
        spread = xp.sqrt(v) / root + eps
        w -= lr_g * (g / spread)
        w -= lr_m * (m / spread)


nadam = Kernel(nadam)


@elementwise
def _nadam(w, g, m, v, c, lr_g, lr_m, c1, b2, c2, unroot, eps, decay, shrink, sign):
    for i in range(w.size):
        x = sign * g[i]
        if decay != 0:
            x += decay * w[i]
        mean = m[i] + c1 * (x - m[i])
        square = b2 * v[i] + c2 * (x * x)
        m[i] = mean
        v[i] = square
        spread = sqrt(square) * unroot + eps
        w[i] = (w[i] * shrink - lr_g * (x / spread)) - lr_m * (mean / spread)


@nadam.implement("numpy")
def nadam_numba(rows, lr_g, lr_m, b1, b2, root, eps, decay, shrink, sign):
    """One pass over all parameters."""
    numbers = lr_g, lr_m, 1 - b1, b2, 1 - b2, 1 / root, eps, decay, shrink, sign
    left = run(_nadam, rows, numbers)
    nadam.reference(left, lr_g, lr_m, b1, b2, root, eps, decay, shrink, sign)


def radam(rows, lr, b1, b2, reliable, eps, decay, shrink, sign):
    """Adam's m and v;  w -= lr m / (sqrt(v) + eps) if v is reliable, else lr m.  rows: (w, g, m, v)."""
    for w, g, m, v in rows:
        xp = array_module(w)
        g = _gradient(w, g, decay, sign)
        if shrink != 1:
            w *= shrink
        m += (1 - b1) * (g - m)
        v *= b2
        v += (1 - b2) * (g * g)
        w -= lr * (m / (xp.sqrt(v) + eps) if reliable else m)


radam = Kernel(radam)


@elementwise
def _radam(w, g, m, v, c, lr, c1, b2, c2, reliable, eps, decay, shrink, sign):
    for i in range(w.size):
        x = sign * g[i]
        if decay != 0:
            x += decay * w[i]
        mean = m[i] + c1 * (x - m[i])
        square = b2 * v[i] + c2 * (x * x)
        m[i] = mean
        v[i] = square
        w[i] = w[i] * shrink - lr * (mean / (sqrt(square) + eps) if reliable != 0 else mean)


@radam.implement("numpy")
def radam_numba(rows, lr, b1, b2, reliable, eps, decay, shrink, sign):
    """One pass over all parameters."""
    left = run(_radam, rows, (lr, 1 - b1, b2, 1 - b2, reliable, eps, decay, shrink, sign))
    radam.reference(left, lr, b1, b2, reliable, eps, decay, shrink, sign)


# -- before Adam -----------------------------------------------------------------------------------


def adagrad(rows, lr, eps, decay, sign):
    """s += g^2;  w -= lr g / (sqrt(s) + eps).  rows: (w, g, s)."""
    for w, g, s in rows:
        xp = array_module(w)
        g = _gradient(w, g, decay, sign)
        s += g * g
        w -= lr * (g / (xp.sqrt(s) + eps))


adagrad = Kernel(adagrad)


@elementwise
def _adagrad(w, g, s, b, c, lr, eps, decay, sign):
    for i in range(w.size):
        x = sign * g[i]
        if decay != 0:
            x += decay * w[i]
        total = s[i] + x * x
        s[i] = total
        w[i] -= lr * (x / (sqrt(total) + eps))


@adagrad.implement("numpy")
def adagrad_numba(rows, lr, eps, decay, sign):
    """One pass over all parameters."""
    adagrad.reference(run(_adagrad, rows, (lr, eps, decay, sign)), lr, eps, decay, sign)


def rmsprop(rows, lr, alpha, eps, decay, momentum, centered, sign):
    """s = alpha s + (1 - alpha) g^2;  w -= lr g / (sqrt(s) + eps).

    rows: (w, g, s), then v if momentum: v = momentum v + the quotient, which replaces it; then m if
    centered: m += (1 - alpha) (g - m), and s - m^2 is what the root is taken of.
    """
    for w, g, s, *state in rows:
        xp = array_module(w)
        g = _gradient(w, g, decay, sign)
        s *= alpha
        s += (1 - alpha) * (g * g)
        if centered:
            m = state[-1]
            m += (1 - alpha) * (g - m)
            spread = xp.sqrt(s - m * m) + eps
        else:
            spread = xp.sqrt(s) + eps
        if momentum:
            v = state[0]
            v *= momentum
            v += g / spread
            w -= lr * v
        else:
            w -= lr * (g / spread)


rmsprop = Kernel(rmsprop)


@elementwise
def _rmsprop(w, g, s, v, m, lr, alpha, rest, eps, decay, momentum, centered, sign):
    for i in range(w.size):
        x = sign * g[i]
        if decay != 0:
            x += decay * w[i]
        square = alpha * s[i] + rest * (x * x)
        s[i] = square
        if centered != 0:
            mean = m[i] + rest * (x - m[i])
            m[i] = mean
            square -= mean * mean
        x /= sqrt(square) + eps
        if momentum != 0:
            x += momentum * v[i]
            v[i] = x
        w[i] -= lr * x


@rmsprop.implement("numpy")
def rmsprop_numba(rows, lr, alpha, eps, decay, momentum, centered, sign):
    """One pass over all parameters."""
    if centered and not momentum:  # the loop's fourth array is v, its fifth m
        rows = [(w, g, s, m, m) for w, g, s, m in rows]
    numbers = lr, alpha, 1 - alpha, eps, decay, momentum, centered, sign
    left = run(_rmsprop, rows, numbers)
    rmsprop.reference(left, lr, alpha, eps, decay, momentum, centered, sign)


def adadelta(rows, lr, rho, eps, decay, sign):
    """s = rho s + (1 - rho) g^2;  d = g sqrt(u + eps) / sqrt(s + eps);  u = rho u + (1 - rho) d^2;

    w -= lr d.  rows: (w, g, s, u).
    """
    for w, g, s, u in rows:
        xp = array_module(w)
        g = _gradient(w, g, decay, sign)
        s *= rho
        s += (1 - rho) * (g * g)
        d = xp.sqrt(u + eps) / xp.sqrt(s + eps) * g
        u *= rho
        u += (1 - rho) * (d * d)
        w -= lr * d


adadelta = Kernel(adadelta)


@elementwise
def _adadelta(w, g, s, u, c, lr, rho, rest, eps, decay, sign):
    for i in range(w.size):
        x = sign * g[i]
        if decay != 0:
            x += decay * w[i]
        square = rho * s[i] + rest * (x * x)
        s[i] = square
        d = sqrt(u[i] + eps) / sqrt(square + eps) * x
        u[i] = rho * u[i] + rest * (d * d)
        w[i] -= lr * d


@adadelta.implement("numpy")
def adadelta_numba(rows, lr, rho, eps, decay, sign):
    """One pass over all parameters."""
    left = run(_adadelta, rows, (lr, rho, 1 - rho, eps, decay, sign))
    adadelta.reference(left, lr, rho, eps, decay, sign)


# -- on the GPU: optimizers.cu ---------------------------------------------------------------------


def _implement_on_gpu(kernel):
    @kernel.implement("cupy")
    def one_launch(rows, *numbers):
        kernel.reference(cuda_parts.run("optimizers.cu", kernel.name, rows, numbers), *numbers)


for _kernel in (sgd, adam, adamax, nadam, radam, adagrad, adadelta):
    _implement_on_gpu(_kernel)


@rmsprop.implement("cupy")
def rmsprop_cuda(rows, lr, alpha, eps, decay, momentum, centered, sign):
    """One launch over all parameters."""
    if centered and not momentum:  # the fourth array is v, the fifth m
        rows = [(w, g, s, m, m) for w, g, s, m in rows]
    numbers = lr, alpha, eps, decay, momentum, centered, sign
    rmsprop.reference(cuda_parts.run("optimizers.cu", "rmsprop", rows, numbers), *numbers)

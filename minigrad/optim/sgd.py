"""Stochastic gradient descent, with momentum and averaging."""

from ..backend import array_module
from ..kernels.capturable import sgd_at_rate
from ..kernels.optimizers import sgd
from ..kernels.row_updates import sgd_rows
from ..op import wrap
from .optimizer import (
    Optimizer,
    Rows,
    as_number,
    check_at_least,
    count,
    counter,
    rate_of,
    sign,
    zeros_like,
)


class SGD(Optimizer):
    """w <- w - lr v,  v <- momentum v + (1 - dampening) g  (Nesterov: w <- w - lr (g + momentum v)).

    Robbins & Monro 1951; Polyak 1964; Sutskever et al. 2013. weight_decay adds weight_decay * w to
    the gradient. The first v is the first gradient itself. lr may be a tensor; one on a GPU is read
    there, so that a captured step (minigrad.cuda.graph) follows it.
    """

    def __init__(
        self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *,
        maximize=False, foreach=None, differentiable=False, fused=None,
    ):  # fmt: skip
        check_at_least("learning rate", as_number(lr))
        check_at_least("momentum value", momentum)
        check_at_least("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = dict(
            lr=lr, momentum=momentum, dampening=dampening, weight_decay=weight_decay,
            nesterov=nesterov, maximize=maximize, foreach=foreach, differentiable=differentiable,
            fused=fused,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update_all(self, group, dense):
        momentum = group["momentum"]
        rows = Rows()
        for p, g in dense:
            if not momentum:
                rows.add(2, p.array, g)
                continue
            state = self.state[p]
            buffer = state.get("momentum_buffer")
            t = 1 if buffer is None else 2
            if t == 1:
                self.first_step()
                state["momentum_buffer"] = buffer = zeros_like(p)
            rows.add(t, p.array, g, buffer.array)
        rate = rate_of(group["lr"])
        for t, xp, some in rows.runs():
            keep = 1 if t == 1 else 1 - group["dampening"]
            step = sgd_at_rate if hasattr(rate, "dtype") else sgd
            step[xp](
                some, rate, momentum, keep, group["weight_decay"], group["nesterov"], sign(group)
            )

    def only_rows(self, group):
        return not group["momentum"] and not group["weight_decay"]

    def update_rows(self, group, p, g):
        if group["momentum"] or group["weight_decay"]:
            raise RuntimeError("SGD: sparse gradients need momentum=0 and weight_decay=0")
        lr = as_number(group["lr"]) * sign(group)
        for ids, rows in g.parts:
            sgd_rows[array_module(p.array)](p.array, ids, rows, lr)


class ASGD(Optimizer):
    """SGD whose average over steps `ax` is the result wanted.  Polyak & Juditsky 1992.

    eta_t = lr / (1 + lambd lr t)^alpha; w <- (1 - lambd eta) w - eta g; from step t0 on ax averages w.
    """

    def __init__(
        self, params, lr=1e-2, lambd=1e-4, alpha=0.75, t0=1e6, weight_decay=0, foreach=None,
        maximize=False, differentiable=False, capturable=False,
    ):  # fmt: skip
        check_at_least("learning rate", as_number(lr))
        check_at_least("weight_decay value", weight_decay)
        defaults = dict(
            lr=lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay, foreach=foreach,
            maximize=maximize, differentiable=differentiable, capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update(self, group, p, g, state):
        xp = array_module(p.array)
        if not state:
            state["step"] = counter()
            state["eta"] = wrap(xp.asarray(as_number(group["lr"]), "float32"))
            state["mu"] = wrap(xp.ones((), "float32"))
            state["ax"] = zeros_like(p)
        t = count(state)
        w, ax = p.array, state["ax"].array
        eta, mu = state["eta"].item(), state["mu"].item()
        lr = as_number(group["lr"])
        if group["weight_decay"]:
            g = g + group["weight_decay"] * w
        w *= 1 - group["lambd"] * eta
        w += -eta * g
        if mu == 1:
            ax[...] = w
        else:
            ax += (w - ax) * mu
        state["eta"].array[...] = lr / (1 + group["lambd"] * lr * t) ** group["alpha"]
        state["mu"].array[...] = 1 / max(1, t - group["t0"])


class Rprop(Optimizer):
    """Steps whose size depends on signs alone.  Riedmiller & Braun 1993.

    A weight's step grows by eta+ while its gradient keeps its sign and shrinks by eta- when it turns
    (and that gradient is then skipped); w <- w - sign(g) step.
    """

    def __init__(
        self, params, lr=1e-2, etas=(0.5, 1.2), step_sizes=(1e-6, 50), *, capturable=False,
        foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_at_least("learning rate", as_number(lr))
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = dict(
            lr=lr, etas=etas, step_sizes=step_sizes, foreach=foreach, maximize=maximize,
            differentiable=differentiable, capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update(self, group, p, g, state):
        xp = array_module(p.array)
        if not state:
            state["step"] = counter()
            state["prev"] = zeros_like(p)
            state["step_size"] = wrap(xp.full_like(p.array, as_number(group["lr"])))
        count(state)
        down, up = group["etas"]
        low, high = group["step_sizes"]
        sign = xp.sign(g * state["prev"].array)
        factor = xp.where(sign > 0, up, xp.where(sign < 0, down, 1)).astype(p.array.dtype)
        size = state["step_size"].array
        size *= factor
        xp.clip(size, low, high, out=size)
        g = xp.where(sign < 0, xp.zeros((), g.dtype), g)
        p.array[...] -= xp.sign(g) * size
        state["prev"].array[...] = g

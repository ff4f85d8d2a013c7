"""Adam and its relatives: a running mean of gradients over the root of a running mean of squares."""

import math

from ..backend import array_module
from ..kernels.capturable import adam_counted
from ..kernels.optimizers import adam, adamax, nadam, radam
from ..kernels.row_updates import adam_rows
from ..op import wrap
from .optimizer import (
    Optimizer,
    Rows,
    as_number,
    check_at_least,
    check_betas,
    count,
    counter,
    rate_of,
    sign,
    zeros_like,
)


def _check(lr, betas, eps, weight_decay):
    check_at_least("learning rate", as_number(lr))
    check_at_least("epsilon value", eps)
    check_betas([as_number(beta) for beta in betas])
    check_at_least("weight_decay value", weight_decay)


class Adam(Optimizer):
    """m <- b1 m + (1 - b1) g;  v <- b2 v + (1 - b2) g^2;

    w <- w - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps).  Kingma & Ba 2015, algorithm 1.

    weight_decay adds weight_decay * w to the gradient (decoupled_weight_decay: shrinks w instead, as
    AdamW). amsgrad divides by the root of the largest v so far.  Reddi et al. 2018.

    capturable: parameters are on a GPU, and so is t; lr may be a tensor there: nothing is read back, and
    a step can be part of a CUDA graph.
    """

    can_be_captured = True

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, amsgrad=False, *,
        foreach=None, maximize=False, capturable=False, differentiable=False, fused=None,
        decoupled_weight_decay=False,
    ):  # fmt: skip
        _check(lr, betas, eps, weight_decay)
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, amsgrad=amsgrad,
            maximize=maximize, foreach=foreach, capturable=capturable,
            differentiable=differentiable, fused=fused,
            decoupled_weight_decay=decoupled_weight_decay,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update_all(self, group, dense):
        amsgrad = group["amsgrad"]
        names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if amsgrad else 2]
        decay, apart = group["weight_decay"], group["decoupled_weight_decay"]
        b1, b2 = (as_number(beta) for beta in group["betas"])
        if group["capturable"]:
            numbers = b1, b2, group["eps"], decay, apart, amsgrad, sign(group)
            self._update_captured(dense, names, rate_of(group["lr"]), numbers)
            return
        lr = as_number(group["lr"])
        for t, xp, rows in self.rows(dense, names):
            adam[xp](
                rows, lr / (1 - b1**t), b1, b2, math.sqrt(1 - b2**t), group["eps"],
                0 if apart else decay, 1 - lr * decay if apart else 1, amsgrad, sign(group),
            )  # fmt: skip

    def _update_captured(self, dense, names, rate, numbers):
        """The same, with all that changes from step to step on the GPU."""
        for p, _ in dense:
            if p.device.type != "cuda":
                raise AssertionError(
                    "If capturable=True, params and state_steps must be on supported devices: ['cuda']."
                )
        self.make_state(dense, names, beside=True)
        rows = Rows()
        for p, g in dense:
            state = self.state[p]
            rows.add(None, p.array, g, *[state[name].array for name in names], state["step"].array)
        for _, xp, some in rows.runs():
            counts = [row[-1] for row in some]
            adam_counted[xp]([row[:-1] for row in some], counts, rate, *numbers)


class AdamW(Adam):
    """Adam with weight decay apart from the gradient: w <- w - lr weight_decay w, then Adam's step.

    Loshchilov & Hutter 2019.
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *,
        maximize=False, foreach=None, capturable=False, differentiable=False, fused=None,
    ):  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip


class SparseAdam(Optimizer):
    """Adam for gradients with few rows that are not zero: only those rows and their moments move."""

    def __init__(self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, maximize=False):
        if not as_number(lr) > 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not eps > 0.0:
            raise ValueError(f"Invalid epsilon value: {eps}")
        check_betas(betas)
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, maximize=maximize))

    def update(self, group, p, g, state):
        raise RuntimeError(
            "SparseAdam does not support dense gradients, please consider Adam instead"
        )

    def update_rows(self, group, p, g):
        state = self.state[p]
        if not state:
            state["step"] = 0
            state["exp_avg"] = zeros_like(p)
            state["exp_avg_sq"] = zeros_like(p)
        t = count(state)
        g = g.coalesce()
        rows = -g.rows if group["maximize"] else g.rows
        b1, b2 = group["betas"]
        adam_rows[array_module(p.array)](
            p.array, state["exp_avg"].array, state["exp_avg_sq"].array, g.ids, rows,
            as_number(group["lr"]) * math.sqrt(1 - b2**t) / (1 - b1**t), b1, b2, group["eps"],
        )  # fmt: skip


class Adamax(Optimizer):
    """m <- b1 m + (1 - b1) g;  u <- max(b2 u, |g| + eps);  w <- w - lr / (1 - b1^t) m / u.

    Kingma & Ba 2015, algorithm 2.
    """

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, foreach=None, *,
        maximize=False, differentiable=False, capturable=False,
    ):  # fmt: skip
        _check(lr, betas, eps, weight_decay)
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, foreach=foreach,
            maximize=maximize, differentiable=differentiable, capturable=capturable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update_all(self, group, dense):
        lr = as_number(group["lr"])
        b1, b2 = group["betas"]
        for t, xp, rows in self.rows(dense, ("exp_avg", "exp_inf")):
            adamax[xp](
                rows, lr / (1 - b1**t), b1, b2, group["eps"], group["weight_decay"], sign(group)
            )


class NAdam(Optimizer):
    """Adam with Nesterov's look-ahead: the step mixes g and m by a schedule mu_t.  Dozat 2016.

    mu_t = b1 (1 - 0.5 * 0.96^(t momentum_decay)).
    """

    def __init__(
        self, params, lr=2e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0, momentum_decay=4e-3,
        decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False,
        differentiable=False,
    ):  # fmt: skip
        _check(lr, betas, eps, weight_decay)
        check_at_least("momentum_decay value", momentum_decay)
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay,
            decoupled_weight_decay=decoupled_weight_decay, maximize=maximize, foreach=foreach,
            capturable=capturable, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update_all(self, group, dense):
        lr, decay = as_number(group["lr"]), group["weight_decay"]
        b1, b2 = group["betas"]
        apart = group["decoupled_weight_decay"]
        rows = Rows()
        for p, g in dense:
            state = self.state[p]
            if not state:
                state["step"] = counter()
                state["mu_product"] = wrap(array_module(p.array).ones((), "float32"))
                state["exp_avg"] = zeros_like(p)
                state["exp_avg_sq"] = zeros_like(p)
            t = count(state)
            state["mu_product"].array *= self.mu(group, t)
            key = t, state["mu_product"].item()
            rows.add(key, p.array, g, state["exp_avg"].array, state["exp_avg_sq"].array)
        for (t, product), xp, some in rows.runs():
            mu, mu_next = self.mu(group, t), self.mu(group, t + 1)
            nadam[xp](
                some, lr * (1.0 - mu) / (1.0 - product), lr * mu_next / (1.0 - product * mu_next),
                b1, b2, math.sqrt(1 - b2**t), group["eps"], 0 if apart else decay,
                1 - lr * decay if apart else 1, sign(group),
            )  # fmt: skip

    @staticmethod
    def mu(group: dict, t: int) -> float:
        """The schedule of the momentum at step t."""
        return group["betas"][0] * (1.0 - 0.5 * 0.96 ** (t * group["momentum_decay"]))


class RAdam(Optimizer):
    """Adam that divides by sqrt(v) only once v is reliable, with a factor for its variance.

    Liu et al. 2020. rho_t = rho_inf - 2 t b2^t / (1 - b2^t), rho_inf = 2 / (1 - b2) - 1; below
    rho_t = 5 the step is lr m / (1 - b1^t).
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0,
        decoupled_weight_decay=False, *, foreach=None, maximize=False, capturable=False,
        differentiable=False,
    ):  # fmt: skip
        _check(lr, betas, eps, weight_decay)
        defaults = dict(
            lr=lr, betas=betas, eps=eps, weight_decay=weight_decay, maximize=maximize,
            foreach=foreach, capturable=capturable, decoupled_weight_decay=decoupled_weight_decay,
            differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update_all(self, group, dense):
        lr, decay = as_number(group["lr"]), group["weight_decay"]
        b1, b2 = group["betas"]
        apart = group["decoupled_weight_decay"]
        limit = 2 / (1 - b2) - 1
        for t, xp, rows in self.rows(dense, ("exp_avg", "exp_avg_sq")):
            size = lr / (1 - b1**t)
            rho = limit - 2 * t * b2**t / (1 - b2**t)
            if rho > 5.0:
                rectified = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
                size *= math.sqrt(rectified * (1 - b2**t))
            radam[xp](
                rows, size, b1, b2, rho > 5.0, group["eps"], 0 if apart else decay,
                1 - lr * decay if apart else 1, sign(group),
            )  # fmt: skip

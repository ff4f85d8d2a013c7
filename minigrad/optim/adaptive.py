"""Methods that scale every weight's step by the size of its past gradients, before Adam."""

from ..backend import array_module
from ..kernels.optimizers import adadelta, adagrad, rmsprop
from ..kernels.row_updates import adagrad_rows
from ..op import wrap
from .optimizer import Optimizer, as_number, check_at_least, count, counter, sign


class Adagrad(Optimizer):
    """s <- s + g^2;  w <- w - lr / (1 + (t-1) lr_decay) g / (sqrt(s) + eps).  Duchi et al. 2011."""

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10,
        foreach=None, *, maximize=False, differentiable=False, fused=None,
    ):  # fmt: skip
        check_at_least("learning rate", as_number(lr))
        check_at_least("lr_decay value", lr_decay)
        check_at_least("weight_decay value", weight_decay)
        check_at_least("initial_accumulator_value value", initial_accumulator_value)
        check_at_least("epsilon value", eps)
        defaults = dict(
            lr=lr, lr_decay=lr_decay, eps=eps, weight_decay=weight_decay,
            initial_accumulator_value=initial_accumulator_value, foreach=foreach,
            maximize=maximize, differentiable=differentiable, fused=fused,
        )  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:  # torch makes this state at once, not at the first step
            for p in group["params"]:
                start = array_module(p.array).full_like(p.array, initial_accumulator_value)
                self.state[p] = {"step": counter(), "sum": wrap(start)}

    def update_all(self, group, dense):
        lr, slower = as_number(group["lr"]), group["lr_decay"]
        for t, xp, rows in self.rows(dense, ("sum",)):
            size = lr / (1 + (t - 1) * slower)
            adagrad[xp](rows, size, group["eps"], group["weight_decay"], sign(group))

    def only_rows(self, group):
        return not group["weight_decay"]

    def update_rows(self, group, p, g):
        if group["weight_decay"]:
            raise RuntimeError("weight_decay option is not compatible with sparse gradients")
        state = self.state[p]
        t = count(state)
        lr = as_number(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
        g = g.coalesce()
        w, s = p.array, state["sum"].array
        # both w's step and g turn over if the loss is maximized, and s does not see the sign
        adagrad_rows[array_module(w)](w, s, g.ids, g.rows, lr * sign(group), group["eps"])


class RMSprop(Optimizer):
    """s <- alpha s + (1 - alpha) g^2;  w <- w - lr g / (sqrt(s) + eps).  Hinton 2012 (lecture 6e).

    centered: sqrt(s - m^2), m the running mean of g. momentum: the quotient is accumulated first.
    """

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False,
        capturable=False, foreach=None, maximize=False, differentiable=False,
    ):  # fmt: skip
        check_at_least("learning rate", as_number(lr))
        check_at_least("epsilon value", eps)
        check_at_least("momentum value", momentum)
        check_at_least("weight_decay value", weight_decay)
        check_at_least("alpha value", alpha)
        defaults = dict(
            lr=lr, momentum=momentum, alpha=alpha, eps=eps, centered=centered,
            weight_decay=weight_decay, capturable=capturable, foreach=foreach, maximize=maximize,
            differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update_all(self, group, dense):
        momentum, centered = group["momentum"], group["centered"]
        names = ["square_avg"]
        if momentum:
            names.append("momentum_buffer")
        if centered:
            names.append("grad_avg")
        for _, xp, rows in self.rows(dense, names):
            rmsprop[xp](
                rows, as_number(group["lr"]), group["alpha"], group["eps"], group["weight_decay"],
                momentum, centered, sign(group),
            )  # fmt: skip


class Adadelta(Optimizer):
    """s <- rho s + (1 - rho) g^2;  d = g sqrt(u + eps) / sqrt(s + eps);  u <- rho u + (1 - rho) d^2;

    w <- w - lr d: steps in the units of the weights, from running means of both.  Zeiler 2012.
    """

    def __init__(
        self, params, lr=1.0, rho=0.9, eps=1e-6, weight_decay=0, foreach=None, *, capturable=False,
        maximize=False, differentiable=False,
    ):  # fmt: skip
        check_at_least("learning rate", as_number(lr))
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_at_least("epsilon value", eps)
        check_at_least("weight_decay value", weight_decay)
        defaults = dict(
            lr=lr, rho=rho, eps=eps, weight_decay=weight_decay, maximize=maximize,
            capturable=capturable, foreach=foreach, differentiable=differentiable,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update_all(self, group, dense):
        for _, xp, rows in self.rows(dense, ("square_avg", "acc_delta")):
            adadelta[xp](
                rows, as_number(group["lr"]), group["rho"], group["eps"], group["weight_decay"],
                sign(group),
            )  # fmt: skip

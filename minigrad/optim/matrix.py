"""Methods that treat a weight matrix as a matrix: Adafactor and Muon."""

import math

from ..backend import array_module
from ..op import wrap
from .optimizer import Optimizer, as_number, check_at_least, count, counter, zeros_like


class Adafactor(Optimizer):
    """Adam's second moment for matrices from row and column means alone.  Shazeer & Stern 2018.

    beta_t = 1 - t^beta2_decay;  v = r c^T / mean(r) for matrices;  u = g / sqrt(v);
    w <- w - max(eps2, rms(w)) min(lr, 1 / sqrt t) u / max(1, rms(u) / d).
    """

    def __init__(
        self, params, lr=1e-2, beta2_decay=-0.8, eps=(None, 1e-3), d=1.0, weight_decay=0.0, *,
        foreach=None, maximize=False,
    ):  # fmt: skip
        check_at_least("learning rate", as_number(lr))
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        check_at_least("weight_decay", weight_decay)
        defaults = dict(
            lr=lr, beta2_decay=beta2_decay, eps=eps, d=d, weight_decay=weight_decay,
            foreach=foreach, maximize=maximize,
        )  # fmt: skip
        super().__init__(params, defaults)

    def update(self, group, p, g, state):
        xp = array_module(p.array)
        w = p.array
        if not state:
            state["step"] = counter()
            if g.ndim > 1:
                state["row_var"] = wrap(xp.zeros((*g.shape[:-1], 1), g.dtype))
                state["col_var"] = wrap(xp.zeros((*g.shape[:-2], 1, g.shape[-1]), g.dtype))
            else:
                state["variance"] = zeros_like(p)
        t = count(state)
        eps1, eps2 = group["eps"]
        eps1 = float(xp.finfo(w.dtype).eps) if eps1 is None else eps1
        lr = as_number(group["lr"])
        rate = float(t) ** group["beta2_decay"]
        size = max(eps2, _norm(w) / math.sqrt(w.size)) * min(lr, 1 / math.sqrt(t))
        if group["weight_decay"]:
            w *= 1 - lr * group["weight_decay"]
        if g.ndim > 1:
            rows, columns = state["row_var"].array, state["col_var"].array
            rows += rate * ((g * g).sum(-1, keepdims=True) / g.shape[-1] - rows)
            columns += rate * ((g * g).sum(-2, keepdims=True) / g.shape[-2] - columns)
            mean = rows.sum(-2, keepdims=True) / rows.shape[-2]
            v = (rows @ columns) / xp.maximum(mean, eps1)
        else:
            v = state["variance"].array
            v += rate * (g * g - v)
        u = g / xp.sqrt(xp.maximum(v, eps1 * eps1))
        w -= (size / max(1.0, _norm(u) / (math.sqrt(u.size) * group["d"]))) * u


def _norm(x) -> float:
    return math.sqrt(float((x * x).sum()))


class Muon(Optimizer):
    """Momentum whose matrix is made nearly orthogonal before the step.  Jordan et al. 2024.

    b <- momentum b + (1 - momentum) g;  o = five Newton-Schulz steps of g or b towards U V^T;
    w <- (1 - lr weight_decay) w - lr s o, with s = sqrt(max(1, rows / columns)) ("original") or
    0.2 sqrt(max(rows, columns)) ("match_rms_adamw"). For 2-d parameters only. torch makes the
    Newton-Schulz steps in bfloat16; these stay in the parameter's own dtype, and so are more exact.
    """

    def __init__(
        self, params, lr=1e-3, weight_decay=0.1, momentum=0.95, nesterov=True,
        ns_coefficients=(3.4445, -4.775, 2.0315), eps=1e-7, ns_steps=5, adjust_lr_fn=None,
    ):  # fmt: skip
        check_at_least("learning rate and should be >= 0", as_number(lr))
        check_at_least("momentum and should be >= 0", momentum)
        check_at_least("weight decay and should be >= 0", weight_decay)
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = dict(
            lr=lr, weight_decay=weight_decay, momentum=momentum, nesterov=nesterov,
            ns_coefficients=ns_coefficients, eps=eps, ns_steps=ns_steps, adjust_lr_fn=adjust_lr_fn,
        )  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                if p.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{p.shape}"
                    )

    def update(self, group, p, g, state):
        if not state:
            state["momentum_buffer"] = zeros_like(p)
        w, b = p.array, state["momentum_buffer"].array
        momentum, lr = group["momentum"], as_number(group["lr"])
        b += (1 - momentum) * (g - b)
        u = g + momentum * (b - g) if group["nesterov"] else b
        rows, columns = w.shape
        if group["adjust_lr_fn"] == "match_rms_adamw":
            scale = 0.2 * math.sqrt(max(rows, columns))
        else:
            scale = math.sqrt(max(1, rows / columns))
        w *= 1 - lr * group["weight_decay"]
        w -= (
            lr * scale * orthogonalise(u, group["ns_coefficients"], group["ns_steps"], group["eps"])
        )


def orthogonalise(g, coefficients, steps: int, eps: float):
    """A matrix near U V^T of g = U S V^T: x <- a x + (b + c x x^T) x x^T x, from g / |g|."""
    a, b, c = coefficients
    tall = g.shape[0] > g.shape[1]
    x = g.T if tall else g
    x = x / max(_norm(x), eps)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * (gram @ gram)) @ x
    return x.T if tall else x

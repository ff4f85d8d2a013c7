"""L-BFGS: Newton's direction from the last few steps and gradients.  Liu & Nocedal 1989."""

from ..backend import array_module
from .optimizer import Optimizer, as_number


class LBFGS(Optimizer):
    """w <- w + t d, d = -H g with H the inverse Hessian that the last history_size steps suggest.

    step(closure) runs up to max_iter iterations, calling the closure for every loss and gradient.
    line_search_fn: None (t = lr; the first step is scaled by 1 / |g|_1) or "strong_wolfe" (Nocedal &
    Wright 2006, section 3.5). One parameter group only.
    """

    def __init__(
        self, params, lr=1, max_iter=20, max_eval=None, tolerance_grad=1e-7, tolerance_change=1e-9,
        history_size=100, line_search_fn=None,
    ):  # fmt: skip
        if not as_number(lr) >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        defaults = dict(
            lr=lr, max_iter=max_iter, max_eval=max_eval, tolerance_grad=tolerance_grad,
            tolerance_change=tolerance_change, history_size=history_size,
            line_search_fn=line_search_fn,
        )  # fmt: skip
        super().__init__(params, defaults)
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        if line_search_fn not in (None, "strong_wolfe"):
            raise RuntimeError("only 'strong_wolfe' is supported")

    # -- the parameters as one vector ------------------------------------------------------------

    def _gradient(self):
        xp = array_module(self.param_groups[0]["params"][0].array)
        parts = [
            (xp.zeros(p.array.size, p.array.dtype) if p.grad is None else p.grad.array.reshape(-1))
            for p in self.param_groups[0]["params"]
        ]
        return xp.concatenate(parts)

    def _weights(self):
        return [p.array.copy() for p in self.param_groups[0]["params"]]

    def _move(self, start, t, direction):
        """Every parameter at start + t direction."""
        at = 0
        for p, begin in zip(self.param_groups[0]["params"], start, strict=True):
            part = direction[at : at + p.array.size].reshape(p.array.shape)
            p.array[...] = begin + t * part
            p.bump()
            at += p.array.size

    def step(self, closure):
        """Up to max_iter iterations; returns the loss before the first."""
        group = self.param_groups[0]
        state = self.state[group["params"][0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        lr = as_number(group["lr"])
        first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        g = self._gradient()
        if abs(g).max() <= group["tolerance_grad"]:
            return first_loss
        d, t = state.get("d"), state.get("t")
        steps, changes, scale = state.get("old_stps"), state.get("old_dirs"), state.get("H_diag")
        before, loss_before = state.get("prev_flat_grad"), state.get("prev_loss")
        iterations = 0
        while iterations < group["max_iter"]:
            iterations += 1
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                d, steps, changes, scale = -g, [], [], 1.0
            else:
                y, s = g - before, d * t
                curvature = float(y @ s)
                if curvature > 1e-10:
                    if len(steps) == group["history_size"]:
                        steps.pop(0)
                        changes.pop(0)
                    steps.append(s)
                    changes.append(y)
                    scale = curvature / float(y @ y)
                d = _two_loops(g, steps, changes, scale)
            before, loss_before = g.copy(), loss
            t = min(1.0, 1.0 / float(abs(g).sum())) * lr if state["n_iter"] == 1 else lr
            slope = float(g @ d)
            if slope > -group["tolerance_change"]:
                break
            start = self._weights()
            used = 0
            if group["line_search_fn"] == "strong_wolfe":

                def look(t, d=d, start=start):
                    self._move(start, t, d)
                    value = float(closure())
                    return value, self._gradient()

                loss, g, t, used = _strong_wolfe(look, t, d, loss, g, slope)
                self._move(start, t, d)
            else:
                self._move(start, t, d)
                if iterations != group["max_iter"]:
                    loss = float(closure())
                    g = self._gradient()
                    used = 1
            evaluations += used
            state["func_evals"] += used
            if (
                evaluations >= group["max_eval"]
                or abs(g).max() <= group["tolerance_grad"]
                or abs(d * t).max() <= group["tolerance_change"]
                or abs(loss - loss_before) < group["tolerance_change"]
            ):
                break
        state.update(
            d=d, t=t, old_dirs=changes, old_stps=steps, H_diag=scale, prev_flat_grad=before,
            prev_loss=loss_before,
        )  # fmt: skip
        return first_loss


def _two_loops(g, steps, changes, scale):
    """-H g by the two-loop recursion, newest pair first and back."""
    q = -g
    weights = []
    for s, y in zip(reversed(steps), reversed(changes), strict=True):
        rho = 1.0 / float(y @ s)
        a = float(s @ q) * rho
        weights.append((a, rho))
        q = q - a * y
    r = q * scale
    for s, y, (a, rho) in zip(steps, changes, reversed(weights), strict=True):
        b = float(y @ r) * rho
        r = r + s * (a - b)
    return r


def _cubic_minimum(x1, f1, g1, x2, f2, g2, bounds=None):
    """Where the cubic through two points with these slopes is least, held within the bounds."""
    low, high = bounds if bounds is not None else (min(x1, x2), max(x1, x2))
    d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2)
    square = d1 * d1 - g1 * g2
    if square < 0:
        return (low + high) / 2.0
    d2 = square**0.5
    if x1 <= x2:
        best = x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
    else:
        best = x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2))
    return min(max(best, low), high)


def _strong_wolfe(look, t, d, f, g, slope, c1=1e-4, c2=0.9, tolerance=1e-9, max_steps=25):
    """A step t with f(t) <= f + c1 t slope and |slope(t)| <= c2 |slope|: (f, g, t, evaluations)."""
    largest = float(abs(d).max())
    f_new, g_new = look(t)
    evaluations, slope_new = 1, float(g_new @ d)
    t_prev, f_prev, g_prev, slope_prev = 0.0, f, g, slope
    done, steps = False, 0
    while steps < max_steps:
        if f_new > f + c1 * t * slope or (steps > 1 and f_new >= f_prev):
            bracket = [(t_prev, f_prev, g_prev, slope_prev), (t, f_new, g_new.copy(), slope_new)]
            break
        if abs(slope_new) <= -c2 * slope:
            bracket, done = [(t, f_new, g_new, slope_new)], True
            break
        if slope_new >= 0:
            bracket = [(t_prev, f_prev, g_prev, slope_prev), (t, f_new, g_new.copy(), slope_new)]
            break
        bounds = (t + 0.01 * (t - t_prev), t * 10)
        t_next = _cubic_minimum(t_prev, f_prev, slope_prev, t, f_new, slope_new, bounds)
        t_prev, f_prev, g_prev, slope_prev = t, f_new, g_new.copy(), slope_new
        t = t_next
        f_new, g_new = look(t)
        evaluations, slope_new, steps = evaluations + 1, float(g_new @ d), steps + 1
    else:
        bracket = [(0.0, f, g, slope), (t, f_new, g_new, slope_new)]
    stuck = False
    low, high = (0, 1) if len(bracket) == 1 or bracket[0][1] <= bracket[-1][1] else (1, 0)
    while not done and steps < max_steps:
        (t1, f1, _, s1), (t2, f2, _, s2) = bracket
        if abs(t2 - t1) * largest < tolerance:
            break
        t = _cubic_minimum(t1, f1, s1, t2, f2, s2)
        left, right = min(t1, t2), max(t1, t2)
        margin = 0.1 * (right - left)
        if min(right - t, t - left) < margin:
            if stuck or t >= right or t <= left:
                t = right - margin if abs(t - right) < abs(t - left) else left + margin
                stuck = False
            else:
                stuck = True
        else:
            stuck = False
        f_new, g_new = look(t)
        evaluations, slope_new, steps = evaluations + 1, float(g_new @ d), steps + 1
        if f_new > f + c1 * t * slope or f_new >= bracket[low][1]:
            bracket[high] = (t, f_new, g_new.copy(), slope_new)
            low, high = (0, 1) if bracket[0][1] <= bracket[1][1] else (1, 0)
        else:
            if abs(slope_new) <= -c2 * slope:
                done = True
            elif slope_new * (bracket[high][0] - bracket[low][0]) >= 0:
                bracket[high] = bracket[low]
            bracket[low] = (t, f_new, g_new.copy(), slope_new)
    t, f_new, g_new, _ = bracket[0] if len(bracket) == 1 else bracket[low]
    return f_new, g_new, t, evaluations

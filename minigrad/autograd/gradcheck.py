"""Is a gradient right? gradcheck compares it with finite differences, gradgradcheck its derivative.

For f: R^n -> R^m the numerical Jacobian is (f_i(x + eps e_k) - f_i(x - eps e_k)) / 2 eps in row i,
column k; the analytical one comes from m backward passes, one per output number. In fast mode both
are seen only through random vectors: u^T (J v) by one difference, (J^T u)^T v by one backward pass.
"""

import numpy

from ..backend import device_of, host, to_device
from ..op import wrap
from ..tensor import Tensor
from .gradients import grad


class GradcheckError(RuntimeError):
    """A gradient differs from finite differences, or fails another of gradcheck's tests."""


def gradcheck(
    func,
    inputs,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """True if func's gradients at `inputs` equal finite differences within atol + rtol |numerical|.

    func takes the inputs and returns a Tensor or a tuple of them. The inputs with requires_grad
    must be float64 (finite differences in float32 have no correct digits to spare), otherwise
    ValueError names the input. They are changed while f is probed, and restored afterwards.

    fast_mode: one random direction instead of the whole Jacobian. nondet_tol: how far two backward
    passes may differ. check_undefined_grad: outputs without a gradient count as zero ones.
    Raises GradcheckError, or returns False if not raise_exception.
    """
    if check_forward_ad or check_batched_forward_grad:
        raise NotImplementedError("gradcheck: there is no forward-mode differentiation to check")
    if masked:
        raise NotImplementedError("gradcheck: masked=True is for sparse layouts only")
    if not check_backward_ad:
        raise ValueError("gradcheck: nothing to check, since check_backward_ad is False")
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    probed = _check_inputs(inputs)
    try:
        check = _Check(func, inputs, probed, eps, atol, rtol, nondet_tol)
        if not check.outputs:
            return check.nothing_depends_on_the_inputs()
        if fast_mode:
            check.along_random_directions()
        else:
            check.whole_jacobian()
        if check_undefined_grad:
            check.missing_gradients_count_as_zero()
        if check_grad_dtypes:
            check.gradient_dtypes()
        if check_batched_grad:
            check.batched_gradients()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradcheck of the gradient: of (x, u) -> J(x)^T u, with respect to x and to u.

    grad_outputs: the u, one per differentiable output; random ones if not given.
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    _check_inputs(inputs)
    outputs = [y for y in _as_tuple(func(*inputs)) if _differentiable(y)]
    if grad_outputs is None:
        rng = numpy.random.default_rng(0)
        grad_outputs = [_random_like(y, rng, gen_non_contig_grad_outputs) for y in outputs]
    elif isinstance(grad_outputs, Tensor):
        grad_outputs = [grad_outputs]
    if len(grad_outputs) != len(outputs):
        raise ValueError(
            f"gradgradcheck: {len(outputs)} outputs are differentiable, but {len(grad_outputs)} "
            "grad_outputs were given"
        )
    count = len(inputs)

    def gradient(*args):
        xs = args[:count]
        found = grad(
            [y for y in _as_tuple(func(*xs)) if _differentiable(y)],
            [x for x in xs if _differentiable(x)],
            list(args[count:]),
            create_graph=True,
            allow_unused=True,
        )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        gradient,
        (*inputs, *grad_outputs),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


def _as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def _differentiable(value):
    return isinstance(value, Tensor) and value.requires_grad


def _random_like(y, rng, non_contiguous):
    shape = y.array.shape
    if non_contiguous and y.array.ndim:
        values = rng.standard_normal((*shape[:-1], 2 * shape[-1]))[..., ::2]
    else:
        values = rng.standard_normal(shape)
    values = to_device(numpy.asarray(values, y.array.dtype), y.device)
    return wrap(values).requires_grad_()


def _check_inputs(inputs):
    """The positions of the inputs to probe; ValueError if they can't be."""
    probed = []
    for i, x in enumerate(inputs):
        if not _differentiable(x):
            continue
        if x.array.dtype != numpy.float64:
            raise ValueError(
                f"gradcheck: input {i} is {x.dtype}, but finite differences need double precision: "
                f"pass input {i} as x.detach().double().requires_grad_() and make the function's "
                "own tensors float64 too"
            )
        if any(n > 1 and stride == 0 for n, stride in zip(x.shape, x.array.strides, strict=True)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs "
                "that are non-overlapping to be able to compute the numerical gradients correctly. "
                "You should call .contiguous on the input before passing it to gradcheck."
            )
        probed.append(i)
    if not probed:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of the them "
            "have requires_grad=True."
        )
    return probed


class _Check:
    """One function at one point: its outputs, and the tests that they must pass.

    probed                  the positions of the inputs to differentiate by
    differentiable          the positions of the outputs that depend on them
    """

    def __init__(self, func, inputs, probed, eps, atol, rtol, nondet_tol):
        self.func = func
        self.inputs = inputs
        self.probed = probed
        self.eps = eps
        self.atol = atol
        self.rtol = rtol
        self.nondet_tol = nondet_tol
        self.rng = numpy.random.default_rng(0)
        every = _as_tuple(func(*inputs))
        self.differentiable = [i for i, y in enumerate(every) if _differentiable(y)]
        self.outputs = [every[i] for i in self.differentiable]
        for i, y in zip(self.differentiable, self.outputs, strict=True):
            if y.array.dtype != numpy.float64:
                raise ValueError(
                    f"gradcheck: output {i} is {y.dtype} although the inputs are float64: a tensor "
                    "or layer inside the function has another dtype; call .double() on it"
                )

    def values(self, which=None):
        """The function's outputs, as arrays of their own."""
        every = _as_tuple(self.func(*self.inputs))
        which = self.differentiable if which is None else which
        return [numpy.array(host(every[i].array)) for i in which]

    def difference(self, array, index, step, which=None):
        """(f(x + step) - f(x - step)) / 2 eps, for a step in one entry of x or in all of them."""
        original = array[index].copy()
        step = step if isinstance(step, float) else to_device(step, device_of(array))
        try:
            array[index] = original + step
            above = self.values(which)
            array[index] = original - step
            below = self.values(which)
        finally:
            array[index] = original
        return [(a - b) / (2 * self.eps) for a, b in zip(above, below, strict=True)]

    def backward(self, cotangents, outputs=None):
        """The gradients for these cotangents, as arrays; zeros where there is none."""
        place = self.outputs[0].device
        found = grad(
            self.outputs if outputs is None else outputs,
            [self.inputs[i] for i in self.probed],
            [wrap(to_device(u, place)) for u in cotangents],
            retain_graph=True,
            allow_unused=True,
        )
        return [
            numpy.zeros(self.inputs[i].array.shape) if g is None else _dense(g)
            for i, g in zip(self.probed, found, strict=True)
        ]

    # -- the tests -----------------------------------------------------------------------------

    def nothing_depends_on_the_inputs(self):
        """No output requires a gradient: then no output may change with the inputs."""
        every = _as_tuple(self.func(*self.inputs))
        which = [k for k, y in enumerate(every) if isinstance(y, Tensor) and y.is_floating_point()]
        for i in self.probed:
            array = self.inputs[i].array
            for index in numpy.ndindex(array.shape):
                slopes = self.difference(array, index, self.eps, which)
                for k, slope in zip(which, slopes, strict=True):
                    if not numpy.allclose(slope, 0, atol=self.atol):
                        raise GradcheckError(
                            f"Numerical gradient for function expected to be zero: output {k} does "
                            f"not require grad, but it changes with input {i} at {index}"
                        )
        return True

    def whole_jacobian(self):
        numerical = self.numerical_jacobians()
        analytical = self.analytical_jacobians()
        again = self.analytical_jacobians()
        for o, i in numpy.ndindex(len(self.outputs), len(self.probed)):
            self.compare(o, i, numerical[o][i], analytical[o][i])
        for o, i in numpy.ndindex(len(self.outputs), len(self.probed)):
            self.same_twice(analytical[o][i], again[o][i])

    def numerical_jacobians(self):
        """[output][input] -> array (numbers in the output, numbers in the input)."""
        jacobians = [
            [numpy.empty((y.numel(), self.inputs[i].numel())) for i in self.probed]
            for y in self.outputs
        ]
        for i, position in enumerate(self.probed):
            array = self.inputs[position].array
            for k, index in enumerate(numpy.ndindex(array.shape)):
                for o, column in enumerate(self.difference(array, index, self.eps)):
                    jacobians[o][i][:, k] = column.reshape(-1)
        return jacobians

    def analytical_jacobians(self):
        jacobians = []
        for y in self.outputs:
            rows = [[] for _ in self.probed]
            for k in range(y.numel()):
                cotangent = numpy.zeros(y.array.shape)
                cotangent.reshape(-1)[k] = 1
                for row, g in zip(rows, self.backward([cotangent], [y]), strict=True):
                    row.append(g.reshape(-1))
            sizes = [self.inputs[i].numel() for i in self.probed]
            jacobians.append(
                [
                    numpy.array(row).reshape(y.numel(), size)
                    for row, size in zip(rows, sizes, strict=True)
                ]
            )
        return jacobians

    def compare(self, o, i, numerical, analytical):
        """Raise GradcheckError where a Jacobian is off, saying where it is worst."""
        with numpy.errstate(invalid="ignore"):
            excess = abs(analytical - numerical) - self.atol - self.rtol * abs(numerical)
        excess[numpy.isnan(excess)] = numpy.inf
        excess[analytical == numerical] = -numpy.inf  # two equal infinities
        if not (excess > 0).any():
            return
        row, column = numpy.unravel_index(excess.argmax(), excess.shape)
        y, x = self.outputs[o], self.inputs[self.probed[i]]
        output_index = tuple(int(k) for k in numpy.unravel_index(row, y.array.shape))
        input_index = tuple(int(k) for k in numpy.unravel_index(column, x.array.shape))
        message = (
            f"Jacobian mismatch for output {self.differentiable[o]} with respect to input "
            f"{self.probed[i]}: {int((excess > 0).sum())} of {excess.size} entries differ.\n"
            f"The worst is d output{list(output_index)} / d input{list(input_index)}: "
            f"numerical {float(numerical[row, column]):.10g}, "
            f"analytical {float(analytical[row, column]):.10g} "
            f"(allowed: {self.atol:g} + {self.rtol:g} * |numerical|).\n"
        )
        if excess.size <= 200:
            message += f"numerical:\n{numerical}\nanalytical:\n{analytical}\n"
        raise GradcheckError(message + self.advice())

    def advice(self):
        """A likely reason for a mismatch, where one can be seen."""
        pairs = zip(self.values(), self.values(), strict=True)
        if not all(numpy.allclose(a, b, equal_nan=True) for a, b in pairs):
            return (
                "The function itself is random: two calls on the same inputs differ, so finite "
                "differences mean nothing. Seed it inside, or switch dropout off with .eval()."
            )
        return ""

    def same_twice(self, first, second):
        with numpy.errstate(invalid="ignore"):
            worst = numpy.nan_to_num(abs(first - second)).max(initial=0)
        if worst > self.nondet_tol:
            raise GradcheckError(
                "Backward is not reentrant, i.e., running backward with same input and grad_output "
                "multiple times gives different values, although analytical gradient matches "
                f"numerical gradient. The tolerance for nondeterminism was {self.nondet_tol}; the "
                f"largest difference is {worst:g}."
            )

    def along_random_directions(self):
        for o, y in enumerate(self.outputs):
            u = _unit(self.rng, y.array.shape)
            gradients = self.backward([u], [y])
            again = self.backward([u], [y])
            for i, position in enumerate(self.probed):
                array = self.inputs[position].array
                v = _unit(self.rng, array.shape)
                slope = self.difference(array, ..., self.eps * v)[o]
                numerical = float((u * slope).sum())
                analytical = float((gradients[i] * v).sum())
                # as if every entry of the Jacobian were off by atol
                allowed = self.atol * abs(u).sum() * abs(v).sum() + self.rtol * abs(numerical)
                if not abs(analytical - numerical) <= allowed:
                    raise GradcheckError(
                        f"Jacobian mismatch for output {self.differentiable[o]} with respect to "
                        f"input {position} along a random direction: u^T J v is {numerical:.10g} "
                        f"numerically and {analytical:.10g} analytically (allowed difference "
                        f"{allowed:.3g}). Without fast_mode, the worst entry is named.\n"
                        + self.advice()
                    )
                self.same_twice(gradients[i], again[i])

    def missing_gradients_count_as_zero(self):
        zeros = [numpy.zeros(y.array.shape) for y in self.outputs]
        for i, g in zip(self.probed, self.backward(zeros), strict=True):
            if numpy.isfinite(g).all() and g.any():
                raise GradcheckError(
                    f"a zero gradient of the outputs gave a nonzero gradient of input {i}: a "
                    "backward rule must be linear in the gradient it is given"
                )
        if len(self.outputs) == 1:
            return
        for o, y in enumerate(self.outputs):
            u = _unit(self.rng, y.array.shape)
            alone = self.backward([u], [y])
            filled = self.backward([u if k == o else zero for k, zero in enumerate(zeros)])
            for i, a, b in zip(self.probed, alone, filled, strict=True):
                if not numpy.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True):
                    raise GradcheckError(
                        "Expected backward function to handle undefined output grads: with a "
                        f"gradient for output {self.differentiable[o]} alone, the gradient of "
                        f"input {i} differs from the one with zeros for the other outputs"
                    )

    def gradient_dtypes(self):
        cotangents = [
            wrap(to_device(_unit(self.rng, y.array.shape), y.device)) for y in self.outputs
        ]
        tensors = [self.inputs[i] for i in self.probed]
        found = grad(self.outputs, tensors, cotangents, retain_graph=True, allow_unused=True)
        for i, x, g in zip(self.probed, tensors, found, strict=True):
            if g is not None and (g.dtype != x.dtype or g.shape != x.shape):
                raise GradcheckError(
                    f"the gradient of input {i} is {g.dtype} of shape {tuple(g.shape)}, but the "
                    f"input is {x.dtype} of shape {tuple(x.shape)}"
                )

    def batched_gradients(self):
        tensors = [self.inputs[i] for i in self.probed]
        for o, y in enumerate(self.outputs):
            batch = numpy.stack([_unit(self.rng, y.array.shape) for _ in range(3)])
            batch = wrap(to_device(batch, y.device))
            options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
            together = grad([y], tensors, [batch], is_grads_batched=True, **options)
            for k in range(3):
                alone = grad([y], tensors, [batch[k]], **options)
                for i, a, b in zip(self.probed, together, alone, strict=True):
                    if not numpy.allclose(_dense(a)[k], _dense(b), rtol=1e-9, atol=1e-12):
                        raise GradcheckError(
                            f"is_grads_batched=True gives another gradient of input {i} for output "
                            f"{self.differentiable[o]} than one gradient at a time"
                        )


def _dense(g):
    """A gradient tensor's numbers, also where only some rows of a table have a gradient."""
    return host(g.to_dense().array if getattr(g, "is_sparse", False) else g.array)


def _unit(rng, shape):
    """A random direction of length 1."""
    v = rng.standard_normal(shape)
    return numpy.asarray(v / max(numpy.sqrt((v * v).sum()), 1e-300))

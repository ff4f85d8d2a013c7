"""gradcheck and gradgradcheck: what they accept, what they find, and how they say it."""

import numpy
import pytest

import minigrad
from minigrad.autograd import GradcheckError, gradcheck, gradgradcheck


def leaf(*shape, seed=0):
    return minigrad.as_tensor(
        numpy.asarray(numpy.random.default_rng(seed).normal(size=shape))
    ).requires_grad_()


def halved(x):
    """x^2 with half of the right gradient."""
    return x * x.detach()


@pytest.mark.parametrize("fast_mode", [False, True])
def test_right_gradients_pass(fast_mode):
    x, y = leaf(3, 4), leaf(4, seed=1)
    assert gradcheck(lambda x, y: (x * y).sin() + x.exp(), (x, y), fast_mode=fast_mode)
    assert gradgradcheck(lambda x, y: (x * y).sin() + x.exp(), (x, y), fast_mode=fast_mode)
    assert gradcheck(minigrad.exp, x, fast_mode=fast_mode)
    assert gradcheck(lambda x: (x.exp(), x.sin(), x.detach()), leaf(), fast_mode=fast_mode)


@pytest.mark.parametrize("fast_mode", [False, True])
def test_wrong_gradients_fail(fast_mode):
    x, y = leaf(2, 3), leaf(2, 3, seed=1)
    with pytest.raises(GradcheckError, match="for output 0 with respect to input 1"):
        gradcheck(lambda x, y: x.exp() + halved(y), (x, y), fast_mode=fast_mode)
    assert not gradcheck(halved, x, raise_exception=False, fast_mode=fast_mode)
    with pytest.raises(GradcheckError):
        gradgradcheck(lambda x: (x * x).exp().detach() * x, x, fast_mode=fast_mode)


def test_the_message_names_the_worst_entry():
    x = minigrad.as_tensor(numpy.array([[1.0, 3.0], [2.0, 0.5]])).requires_grad_()
    with pytest.raises(GradcheckError) as caught:
        gradcheck(lambda x: (x.exp(), halved(x)), x)
    message = str(caught.value)
    assert "output 1 with respect to input 0: 4 of 16 entries differ" in message
    assert "d output[0, 1] / d input[0, 1]: numerical 6" in message
    assert "analytical 3" in message


def test_float32_raises_and_names_the_input():
    x = leaf(3)
    y = minigrad.as_tensor(numpy.ones(3, numpy.float32)).requires_grad_()
    with pytest.raises(ValueError, match=r"input 1 is torch.float32.*double"):
        gradcheck(lambda x, y: x * y, (x, y))
    with pytest.raises(ValueError, match=r"output 0 is torch.float32"):
        gradcheck(lambda x: x.float() * 2, x)


def test_inputs_without_gradients_are_left_alone():
    x, y = leaf(3), minigrad.as_tensor(numpy.ones(3, numpy.float32))
    assert gradcheck(lambda x, y, n: x * y.double() * n, (x, y, 3))
    with pytest.raises(ValueError, match="at least one input tensor to require gradient"):
        gradcheck(minigrad.exp, (y,))


def test_inputs_are_restored():
    x = leaf(3, 4)
    before = x.array.tobytes()
    gradcheck(minigrad.sin, x)
    gradcheck(minigrad.sin, x, fast_mode=True)
    gradgradcheck(minigrad.sin, x)
    assert x.array.tobytes() == before

    def fails_later(x, calls=[]):
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("stop")
        return x.exp()

    with pytest.raises(RuntimeError, match="stop"):
        gradcheck(fails_later, x)
    assert x.array.tobytes() == before
    assert x.grad is None


def test_captured_inputs_are_probed_too():
    """torch allows functions that ignore their arguments and use the tensors they close over."""
    x = leaf(3)
    assert gradcheck(lambda _: x.exp(), x)
    with pytest.raises(GradcheckError):
        gradcheck(lambda _: halved(x), x)


def test_random_functions_are_explained():
    rng = numpy.random.default_rng(0)
    with pytest.raises(GradcheckError, match="function itself is random"):
        gradcheck(lambda x: x * minigrad.as_tensor(rng.normal(size=3)), leaf(3))


def test_nondeterministic_backward():
    noise = iter(range(1000))

    class Drifting(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            return g * (2 + 1e-7 * next(noise))

    x = leaf(2)
    with pytest.raises(GradcheckError, match="Backward is not reentrant"):
        gradcheck(Drifting.apply, x)
    with pytest.raises(GradcheckError, match="Backward is not reentrant"):
        gradcheck(Drifting.apply, x, fast_mode=True)
    assert gradcheck(Drifting.apply, x, nondet_tol=1e-3)


def test_rules_that_are_not_linear_in_the_gradient():
    class Shifted(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g + 1e-6

    with pytest.raises(GradcheckError, match="linear in the gradient"):
        gradcheck(Shifted.apply, leaf(2))
    assert gradcheck(Shifted.apply, leaf(2), check_undefined_grad=False)


def test_functions_of_nothing():
    x = leaf(3)
    assert gradcheck(lambda x: x.floor().detach(), x)
    with pytest.raises(GradcheckError, match="expected to be zero"):
        gradcheck(lambda x: x.exp().detach(), x)


def test_overlapping_memory_is_refused():
    x = minigrad.ones(1, dtype=minigrad.float64).expand(3).detach().requires_grad_()
    with pytest.raises(RuntimeError, match="0th input has a dimension with stride 0"):
        gradcheck(minigrad.exp, x)


def test_non_contiguous_inputs():
    x = leaf(4, 6).detach().T[::2].detach().requires_grad_()
    assert gradcheck(minigrad.sin, x)
    assert gradcheck(minigrad.sin, x, fast_mode=True)
    assert gradgradcheck(minigrad.sin, x, gen_non_contig_grad_outputs=True)


def test_options():
    x = leaf(3)
    assert gradcheck(minigrad.exp, x, check_grad_dtypes=True)
    assert gradcheck(minigrad.exp, leaf(0))
    assert gradgradcheck(minigrad.exp, x, leaf(3, seed=2))
    with pytest.raises(ValueError, match="1 outputs are differentiable, but 2 grad_outputs"):
        gradgradcheck(minigrad.exp, x, [leaf(3), leaf(3)])
    with pytest.raises(NotImplementedError, match="forward-mode"):
        gradcheck(minigrad.exp, x, check_forward_ad=True)
    with pytest.raises(ValueError, match="nothing to check"):
        gradcheck(minigrad.exp, x, check_backward_ad=False)


def test_batched_gradients():
    assert gradcheck(lambda x: (x.exp(), x * 2), leaf(3), check_batched_grad=True)


def test_infinite_entries_may_agree():
    """d sqrt(x) / dx at 0 from above is infinite both ways, and nan never agrees."""
    x = minigrad.as_tensor(numpy.array([1.0])).requires_grad_()

    class NotANumber(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 1

        @staticmethod
        def backward(ctx, g):
            return g * float("nan")

    with pytest.raises(GradcheckError, match="analytical nan"):
        gradcheck(NotANumber.apply, x)


def test_signature_is_torchs():
    torch = pytest.importorskip("torch")
    import inspect

    for ours, theirs in (
        (gradcheck, torch.autograd.gradcheck),
        (gradgradcheck, torch.autograd.gradgradcheck),
    ):
        ours, theirs = (inspect.signature(f).parameters for f in (ours, theirs))
        assert list(ours) == list(theirs)
        assert {k: p.default for k, p in ours.items()} == {k: p.default for k, p in theirs.items()}

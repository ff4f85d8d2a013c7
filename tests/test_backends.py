"""minigrad.backends: the switches of GPUs, which kernels and CuPy follow."""

import warnings

import numpy
import pytest
from minigrad.kernels import attention_cuda, cuda_source, tensor_cores
from stand_in import gpu

import minigrad


@pytest.fixture(autouse=True)
def put_back():
    yield
    minigrad.set_float32_matmul_precision("highest")


def test_precision_and_switch_are_one():
    matmul = minigrad.backends.cuda.matmul
    assert minigrad.get_float32_matmul_precision() == "highest" and matmul.allow_tf32 is False
    for precision in ("high", "medium"):
        minigrad.set_float32_matmul_precision(precision)
        assert minigrad.get_float32_matmul_precision() == precision
        assert matmul.allow_tf32 and tensor_cores.allowed()
    matmul.allow_tf32 = True
    assert minigrad.get_float32_matmul_precision() == "medium"
    matmul.allow_tf32 = False
    assert minigrad.get_float32_matmul_precision() == "highest" and not tensor_cores.allowed()
    matmul.allow_tf32 = True
    assert minigrad.get_float32_matmul_precision() == "high"


def test_what_is_no_precision():
    with pytest.warns(UserWarning, match="'fast' is none of highest, high, medium"):
        minigrad.set_float32_matmul_precision("fast")
    assert minigrad.get_float32_matmul_precision() == "highest"
    with pytest.raises(RuntimeError, match="expects a str, but got int"):
        minigrad.set_float32_matmul_precision(3)
    with pytest.raises(RuntimeError, match="expects a bool, but got int"):
        minigrad.backends.cuda.matmul.allow_tf32 = 1
    with pytest.raises(AttributeError):
        minigrad.backends.cuda.matmul.allow_tf16 = True


def test_as_torch():
    torch = pytest.importorskip("torch")
    for ask in (
        lambda t: t.get_float32_matmul_precision(),
        lambda t: t.backends.cuda.matmul.allow_tf32,
        lambda t: t.backends.cudnn.benchmark,
        lambda t: t.backends.cudnn.deterministic,
        lambda t: t.backends.mps.is_available(),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert ask(minigrad) == ask(torch)
    with pytest.raises(RuntimeError, match="expects a str, but got int"):
        torch.set_float32_matmul_precision(3)


def test_scripts_that_choose_a_device(monkeypatch):
    for name in ("benchmark", "deterministic", "enabled"):
        monkeypatch.setattr(minigrad.backends.cudnn, name, True)
    assert not minigrad.backends.cudnn.is_available() and minigrad.backends.cudnn.version() is None
    assert not minigrad.backends.mps.is_built() and minigrad.backends.cuda.is_built()


def test_products_of_cupy_follow():
    with gpu() as cupy:
        kinds = cupy._core._routines_linalg

        def chosen(dtype="float32"):
            return cupy._core.get_compute_type(numpy.dtype(dtype))

        assert chosen() == kinds.COMPUTE_TYPE_DEFAULT
        minigrad.backends.cuda.matmul.allow_tf32 = True
        assert chosen() == kinds.COMPUTE_TYPE_TF32 != chosen("float64")
        minigrad.backends.cuda.matmul.allow_tf32 = False
        assert chosen() == kinds.COMPUTE_TYPE_DEFAULT


def test_cupy_is_told_when_it_comes():
    minigrad.backends.cuda.matmul.allow_tf32 = True
    with gpu() as cupy:
        kinds = cupy._core._routines_linalg
        assert cupy._core.get_compute_type(numpy.dtype("float32")) == kinds.COMPUTE_TYPE_TF32
        minigrad.backends.cuda.matmul.allow_tf32 = False


@pytest.mark.parametrize("width", [16, 128])
def test_attention_on_the_gpu_in_16_bits(width):
    attend = minigrad.nn.functional.scaled_dot_product_attention
    numbers = numpy.random.default_rng(0).standard_normal((3, 2, 2, 9, width)).astype("float32")
    with gpu():
        wide = [minigrad.tensor(x, requires_grad=True) for x in numbers]
        half = [minigrad.tensor(x).half().to("cuda").requires_grad_() for x in numbers]
        expected = attend(*wide, is_causal=True)
        found = attend(*half, is_causal=True)
        assert found.dtype == minigrad.float16
        assert "ScaledDotProductAttention" in repr(found.grad_fn)
        minigrad.testing.assert_close(found.cpu().float(), expected, rtol=4e-3, atol=4e-3)
        expected.square().sum().backward()
        found.square().sum().backward()
        for x, y in zip(half, wide, strict=True):
            minigrad.testing.assert_close(x.grad.cpu().float(), y.grad, rtol=2e-2, atol=2e-2)


def test_attention_asks_for_more_shared_memory():
    attend = minigrad.nn.functional.scaled_dot_product_attention
    q = numpy.random.default_rng(0).standard_normal((1, 1, 5, 128)).astype("float32")
    with gpu():
        facts = "float32", 128, True, False, 1, cuda_source.gpu(), False
        assert attention_cuda._plan("attention", *facts).shared > cuda_source.SHARED
        found = attend(*[minigrad.tensor(q, device="cuda")] * 3)
        expected = attend(*[minigrad.tensor(q)] * 3)
        minigrad.testing.assert_close(found.cpu(), expected)

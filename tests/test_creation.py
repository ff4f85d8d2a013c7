"""Creation functions against torch: dtypes, shapes, values, what they share, and what they refuse.

Every line holds expressions in `t`, which stands for torch and for minigrad in turn.
"""

import collections
import math
import warnings

import numpy
import pytest

import minigrad

VALUES = r"""
t.tensor(3) | t.tensor(3.0) | t.tensor(True) | t.tensor([]) | t.tensor([[]]) | t.tensor([[], []])
t.tensor([1, 2.5]) | t.tensor([True, 2]) | t.tensor([True, False]) | t.tensor([True, 2.5])
t.tensor([[1, 2], [3, 4]]) | t.tensor(((1, 2), (3, 4))) | t.tensor(range(3)) | t.tensor(D([1, 2]))
t.tensor(2**62) | t.tensor(-2**63) | t.tensor(-1, dtype=t.uint8) | t.tensor(1.7, dtype=t.int64)
t.tensor([1.7, -2.7], dtype=t.int64) | t.tensor([1, 0, 2], dtype=t.bool) | t.tensor(1e300)
t.tensor(1e300, dtype=t.float16) | t.tensor([1e39]) | t.tensor(np.array([1, 2])) | t.tensor(np.array([1., 2]))
t.tensor(np.array([1., 2], dtype=np.float32)) | t.tensor(np.array([1, 2], dtype=np.uint16))
t.tensor(np.array([1, 2], dtype=np.uint32)) | t.tensor(np.arange(6).reshape(2, 3).T)
t.tensor(np.float64(1.5)) | t.tensor(np.float32(1.5)) | t.tensor(np.int32(3)) | t.tensor(np.bool_(True))
t.tensor([np.float64(1.5)]) | t.tensor([np.float32(1.5)]) | t.tensor([np.int32(3)]) | t.tensor([np.int64(3)])
t.tensor([np.int32(3), 2]) | t.tensor([np.float64(3), 2]) | t.tensor([np.bool_(True)])
t.tensor([np.uint8(3)]) | t.tensor([np.array([1, 2]), np.array([3, 4])])
t.tensor([np.array([1., 2]), np.array([3., 4])]) | t.tensor([np.array([1, 2], dtype=np.int32)])
t.tensor([t.tensor(1), t.tensor(2)]) | t.tensor([t.tensor(1.), 2])
t.tensor([t.tensor(1.5, dtype=t.float64), 2]) | t.tensor([1, t.tensor(2.5)])
t.tensor([t.tensor([1]), t.tensor([3])]) | t.tensor(t.tensor([1., 2.]))
t.tensor(t.tensor([1., 2.]), dtype=t.int64) | t.tensor([1., 2.], requires_grad=True)
t.tensor([1, 2], dtype=t.float64, requires_grad=True) | t.tensor(data=[1.]) | t.tensor([1], dtype=float)
t.tensor([1], dtype=int) | t.tensor([1], dtype=bool) | t.tensor([1], device='cpu')
t.tensor([1], device=t.device('cpu')) | t.tensor([1., 2], dtype=t.float16)
t.as_tensor([1, 2]) | t.as_tensor(3) | t.as_tensor(np.array([1., 2.]))
t.as_tensor(np.array([1., 2.]), dtype=t.float32) | t.as_tensor(np.float32(2))
t.as_tensor(t.tensor([1, 2]), dtype=t.float32) | t.as_tensor([t.tensor(1), t.tensor(2)])
t.asarray([1, 2]) | t.asarray([1, 2], dtype=t.float32) | t.asarray(np.array([1., 2])) | t.asarray(3)
t.asarray(t.ones(2), copy=True) | t.asarray([1., 2], requires_grad=True)
t.from_numpy(np.arange(3)) | t.from_numpy(np.array(1.5)) | t.from_numpy(np.arange(6).reshape(2, 3)[:, ::2])
t.scalar_tensor(3) | t.scalar_tensor(3, dtype=t.int64)
t.zeros(3) | t.zeros(2, 3) | t.zeros((2, 3)) | t.zeros([2, 3]) | t.zeros(t.Size([2, 3])) | t.zeros(())
t.zeros([]) | t.zeros(size=(2,)) | t.zeros(2, dtype=t.int32) | t.zeros(2, dtype=float) | t.zeros(t.tensor(3))
t.zeros((t.tensor(3), 2)) | t.zeros(np.int64(3)) | t.zeros(2, requires_grad=True)
t.zeros(2, 3, out=t.ones(2, 3)) | t.zeros(2, device='cpu') | t.zeros(2, layout=t.strided)
t.ones(2, 3) | t.ones((2, 3), dtype=t.bool)
t.empty(2, 0) | t.empty((2, 0), dtype=t.int8)
t.full((2, 3), 1.5) | t.full((2, 3), 1) | t.full((2, 3), True) | t.full((2,), t.tensor(2.))
t.full((2,), t.tensor(2)) | t.full((), 3.) | t.full([2], 1, dtype=t.float64) | t.full((2,), nan)
t.full((2,), inf) | t.full((2,), 1.7, dtype=t.int64) | t.full(size=(2,), fill_value=3)
t.full((2,), np.float32(2)) | t.full((2,), np.int64(2))
t.zeros_like(t.ones(2, 3)) | t.zeros_like(t.ones(2, 3, dtype=t.int32))
t.zeros_like(t.ones(2, 3), dtype=t.int64) | t.zeros_like(t.ones(2, requires_grad=True))
t.zeros_like(t.ones(2), requires_grad=True)
t.ones_like(t.zeros(3, dtype=t.bool)) | t.ones_like(t.zeros(2, 3).t()).is_contiguous()
t.zeros_like(t.zeros(2, 3).t()).stride() | t.zeros_like(t.zeros(4, 6)[:, ::2]).stride()
t.zeros_like(t.zeros(2, 3).t(), memory_format=t.contiguous_format).stride()
t.zeros_like(t.zeros(3, 1).expand(3, 4)).stride()
t.empty_like(t.zeros(2, 0))
t.full_like(t.zeros(2, 3), 1.5) | t.full_like(t.zeros(2, dtype=t.int64), 1.5) | t.full_like(t.zeros(2), True)
t.full_like(t.zeros(2), t.tensor(3))
t.ones(2).new_zeros(3) | t.ones(2).new_zeros((3, 2)) | t.ones(2).new_zeros(3, 2)
t.ones(2).new_ones([3]) | t.ones(2).new_ones(3, dtype=t.int64)
t.ones(2, dtype=t.float64).new_full((2,), 3) | t.ones(2, dtype=t.int64).new_full((2,), 3.7)
t.ones(2).new_empty(0) | t.ones(2).new_empty((0, 2), dtype=t.int64)
t.ones(2).new_tensor([1, 2]) | t.ones(2, dtype=t.int64).new_tensor([1.5])
t.ones(2).new_tensor([1.], requires_grad=True) | t.ones(2).new_tensor(t.tensor([1]))
t.ones(2).new_zeros(()) | t.ones(2, requires_grad=True).new_zeros(2)
t.arange(5) | t.arange(5.) | t.arange(0) | t.arange(1, 5) | t.arange(1, 2.5, 0.5) | t.arange(1, 5, 2)
t.arange(5, 1, -2) | t.arange(0, 1, 0.1) | t.arange(0, 1, 0.1, dtype=t.float64) | t.arange(0, 10, 0.3)
t.arange(0, 100, 0.7, dtype=t.float32) | t.arange(0, 5, dtype=t.float32) | t.arange(5, dtype=t.int32)
t.arange(5, dtype=t.uint8) | t.arange(300, dtype=t.uint8) | t.arange(5, dtype=t.float16)
t.arange(0.5, 5.5, dtype=t.int64) | t.arange(0, 5, 1.5, dtype=t.int64) | t.arange(end=5)
t.arange(start=1, end=5) | t.arange(1, end=5) | t.arange(1, end=5, step=2) | t.arange(1, 5, step=2)
t.arange(start=2, end=9, step=3) | t.arange(t.tensor(5)) | t.arange(t.tensor(5.)) | t.arange(np.int64(5))
t.arange(np.float32(5)) | t.arange(t.tensor(1), t.tensor(3)) | t.arange(5., requires_grad=True)
t.arange(3, out=t.empty(0)) | t.arange(3, out=t.empty(3, dtype=t.int64)) | t.arange(2**53, 2**53+3)
t.arange(2**62, 2**62+3) | t.arange(True) | t.arange(0, 3, dtype=float) | t.arange(-1, 1, 1/3)
t.arange(10**6, dtype=t.float32)[-3:] | t.arange(0, 1000, 0.001)[-3:]
t.range(0, 3) | t.range(1, 4, 0.5)
t.linspace(0, 1, 5) | t.linspace(0, 1, 1) | t.linspace(0, 1, 0) | t.linspace(0, 1, 2) | t.linspace(0, 10, 7)
t.linspace(-1, 1, 101) | t.linspace(-1, 1, 100) | t.linspace(0.1, 0.7, 1000) | t.linspace(3, -2, 37)
t.linspace(0, 1, steps=5) | t.linspace(start=0, end=1, steps=5) | t.linspace(0, 10, 5, dtype=t.int64)
t.linspace(0, 10, 7, dtype=t.int64) | t.linspace(-3, 10, 7, dtype=t.int32)
t.linspace(0, 1, 33, dtype=t.float64) | t.linspace(0.1, 1.7, 33, dtype=t.float64)
t.linspace(0, 1, 33, dtype=t.float16) | t.linspace(t.tensor(0.), t.tensor(1.), 5)
t.linspace(0, 1, 5, requires_grad=True) | t.linspace(0, 1, 5, out=t.empty(5))
t.logspace(0, 2, 3) | t.logspace(-10, 10, 5) | t.logspace(0.1, 1., 5) | t.logspace(0, 8, 9, base=2)
t.logspace(0, 8, 9, 2.0) | t.logspace(0, 1, 1) | t.logspace(0, 1, 0) | t.logspace(0, 3, 4, dtype=t.int64)
t.logspace(0, 3, 40, dtype=t.float64)
t.eye(3) | t.eye(2, 3) | t.eye(3, 2) | t.eye(0) | t.eye(2, 0) | t.eye(2, dtype=t.int64)
t.eye(2, dtype=t.bool) | t.eye(2, requires_grad=True) | t.eye(n=2, m=3)
t.tril_indices(3, 3) | t.tril_indices(3, 4, 1) | t.tril_indices(4, 3, -1) | t.tril_indices(0, 3)
t.tril_indices(3, 3, 5) | t.tril_indices(3, 3, -5)
t.triu_indices(3, 3) | t.triu_indices(3, 4, 1) | t.triu_indices(4, 3, -1)
t.triu_indices(4, 3, -1, dtype=t.int32) | t.triu_indices(row=2, col=2, offset=1) | t.triu_indices(3, 3, 9)
t.meshgrid(t.arange(2), t.arange(3)) | t.meshgrid(t.arange(2), t.arange(3), indexing='ij')
t.meshgrid(t.arange(2), t.arange(3), indexing='xy')
t.meshgrid(t.arange(2), t.arange(3), t.arange(4), indexing='xy')
t.meshgrid([t.arange(2), t.arange(3)], indexing='xy') | t.meshgrid(t.arange(2), indexing='xy')
t.meshgrid(t.tensor(1), t.arange(3), indexing='ij') | t.meshgrid(t.tensor(1), t.arange(3), indexing='xy')
t.meshgrid(t.ones(0), t.ones(3))
t.cartesian_prod(t.arange(2), t.arange(3)) | t.cartesian_prod(t.arange(2))
t.cartesian_prod(t.arange(2), t.arange(3), t.arange(2))
t.combinations(t.arange(4)) | t.combinations(t.arange(4), r=3)
t.combinations(t.arange(4), r=2, with_replacement=True) | t.combinations(t.arange(3), r=1)
t.combinations(t.arange(3), r=0) | t.combinations(t.arange(3), r=5) | t.combinations(t.arange(0))
t.Tensor(2, 3).shape | t.Tensor([1, 2]) | t.Tensor() | t.Tensor(np.array([1, 2])) | t.Tensor(t.ones(2))
t.Tensor((2, 3)) | t.Tensor(t.Size([2, 3])).shape
t.from_dlpack(np.arange(3.))
t.frombuffer(bytearray(b"\x01\x02\x03\x04"), dtype=t.uint8)
"""

REFUSED = """
t.tensor([[1, 2], [3]]) | t.tensor([[1, 2], 3]) | t.tensor([1, [2]]) | t.tensor([[1], [2], [3, 4]])
t.tensor([[[1, 2], [3, 4]], [[1, 2], [3]]]) | t.tensor("a") | t.tensor(["a"]) | t.tensor(None)
t.tensor([None]) | t.tensor([1, None]) | t.tensor({1:2}) | t.tensor({1, 2}) | t.tensor(x for x in range(3))
t.tensor(2**63) | t.tensor(2**64) | t.tensor(300, dtype=t.uint8) | t.tensor([300], dtype=t.uint8)
t.tensor(2**31, dtype=t.int32) | t.tensor(nan, dtype=t.int64) | t.tensor(np.array(['a']))
t.tensor(np.array([None])) | t.tensor([t.tensor([1, 2]), t.tensor([3, 4])]) | t.tensor([t.tensor([1., 2.])])
t.tensor([1, 2], requires_grad=True) | t.tensor([1], dtype='float32') | t.tensor([1], device='nope')
t.as_tensor(np.array(['a'])) | t.as_tensor("a")
t.asarray(t.ones(2), dtype=t.float64, copy=False) | t.asarray([1, 2], copy=False)
t.from_numpy(np.float64(3)) | t.from_numpy([1]) | t.from_numpy(np.array(['a']))
t.from_numpy(np.arange(3)[::-1]) | t.from_numpy(np.arange(3).astype('>i8'))
t.zeros() | t.zeros(-1) | t.zeros(2, -3) | t.zeros(2.5) | t.zeros("a") | t.zeros((2, "a")) | t.zeros(None)
t.zeros((2, 3), 4) | t.zeros(2, dtype=t.int64, requires_grad=True) | t.zeros(2, foo=3)
t.zeros(2, names=None) | t.zeros(2, dtype='float')
t.ones(-1)
t.empty(-1)
t.full(3, 1.) | t.full((2,), 300, dtype=t.uint8) | t.full((2, -1), 1) | t.full((2,), 1, requires_grad=True)
t.full((2,), "a")
t.zeros_like([1, 2]) | t.zeros_like(3)
t.full_like(t.zeros(2, dtype=t.uint8), 300)
t.ones(2).new_zeros(-1)
t.arange(-3) | t.arange(5, 1) | t.arange(1, 5, -1) | t.arange(1, 5, 0) | t.arange(5, dtype=t.bool)
t.arange(1, 3, dtype=t.bool) | t.arange(inf) | t.arange(nan) | t.arange("a") | t.arange()
t.arange(1, 2, 3, 4) | t.arange(5, requires_grad=True)
t.linspace(0, 1, -1) | t.linspace(0, 1, 5.) | t.linspace(0, 1)
t.logspace(0, 1, -2)
t.eye(-1) | t.eye(2, -1) | t.eye(2.5)
t.tril_indices(-1, 3) | t.tril_indices(3, 3, dtype=t.float32)
t.meshgrid(t.arange(2), t.arange(3), indexing='zz') | t.meshgrid(t.ones(2, 2), t.arange(3))
t.meshgrid(t.ones(2), t.arange(3)) | t.meshgrid()
t.cartesian_prod(t.ones(2, 2), t.arange(3)) | t.cartesian_prod(t.arange(2), t.ones(3))
t.combinations(t.ones(2, 2)) | t.combinations(t.arange(3), r=-1)
t.Tensor([[1, 2], [3]])
"""


def expressions(text):
    return [e.strip() for line in text.strip().splitlines() for e in line.split(" | ")]


def evaluate(expression, t):
    names = {"np": numpy, "D": collections.deque, "nan": math.nan, "inf": math.inf}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of copies of tensors
        return eval(expression, names | {"t": t})


def assert_alike(ours, theirs):
    if isinstance(theirs, (tuple, list)) and not hasattr(theirs, "numel"):
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert_alike(a, b)
    elif hasattr(theirs, "dtype"):
        assert str(ours.dtype) == str(theirs.dtype)
        assert tuple(ours.shape) == tuple(theirs.shape)
        assert ours.requires_grad == theirs.requires_grad
        # sequences of floats: torch rounds them as its vector instructions come, so to the last bit
        tolerance = {"float32": 3e-7, "float64": 1e-15}.get(str(theirs.dtype)[6:], 0.0)
        numpy.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), tolerance, tolerance
        )
    else:
        assert ours == theirs


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.mark.parametrize("expression", expressions(VALUES))
def test_as_in_torch(torch, expression):
    assert_alike(evaluate(expression, minigrad), evaluate(expression, torch))


@pytest.mark.parametrize("expression", expressions(REFUSED))
def test_refused_as_in_torch(torch, expression):
    with pytest.raises(Exception) as theirs:
        evaluate(expression, torch)
    with pytest.raises(theirs.type):
        evaluate(expression, minigrad)


def test_lists_of_numbers_and_scalars_of_every_kind(torch):
    """Every pair of kinds in one list gives torch's common dtype."""
    kinds = [True, 3, 2.5, numpy.int8(3), numpy.float32(2), numpy.float64(2), numpy.uint8(7)]
    for first in kinds:
        for second in kinds:
            data = [first, second]
            ours, theirs = minigrad.tensor(data), torch.tensor(data)
            assert str(ours.dtype) == str(theirs.dtype), data
            assert ours.tolist() == theirs.tolist()


def test_ragged_lists_say_where():
    with pytest.raises(ValueError, match=r"sequence of length 2 at data\[2\] \(got 1\)"):
        minigrad.tensor([[1, 2], [3, 4], [5]])
    with pytest.raises(ValueError, match=r"sequence of length 2 at data\[1\]\[1\] \(got 3\)"):
        minigrad.tensor([[[1, 2], [1, 2]], [[1, 2], [1, 2, 3]]])
    with pytest.raises(ValueError, match=r"length 3 at data\[1\], 1 levels down \(got 2\)"):
        minigrad.tensor([numpy.ones((2, 3)), numpy.ones((2, 2))])
    with pytest.raises(TypeError, match=r"a sequence at data\[1\], as before it \(got a number\)"):
        minigrad.tensor([[1, 2], 3])
    with pytest.raises(TypeError, match=r"a number at data\[1\], as before it \(got a sequence\)"):
        minigrad.tensor([3, [1, 2]])
    with pytest.raises(RuntimeError, match=r"dtype of NoneType at data\[1\]\[0\]"):
        minigrad.tensor([[1.0], [None]])
    with pytest.raises(ValueError, match=r"'str' at data\[0\]\[1\]"):
        minigrad.tensor([[1.0, "a"]])


def test_lists_of_tensors_point_to_stack():
    rows = [minigrad.ones(2), minigrad.zeros(2)]
    with pytest.raises(ValueError, match=r"data\[0\] has shape \(2,\); use minigrad.stack"):
        minigrad.tensor(rows)
    losses = [minigrad.tensor(1.0, requires_grad=True), minigrad.tensor(2.0)]
    assert minigrad.tensor(losses).tolist() == [1.0, 2.0]


def test_tensor_copies():
    array = numpy.ones(3)
    tensor = minigrad.tensor(array)
    array[0] = 5
    assert tensor.tolist() == [1, 1, 1]
    source = minigrad.ones(3)
    tensor = minigrad.tensor(source)
    source[0] = 5
    assert tensor.tolist() == [1, 1, 1]


@pytest.mark.cpu_only(reason="memory shared with NumPy")
@pytest.mark.parametrize(
    "make", [minigrad.from_numpy, minigrad.as_tensor, minigrad.asarray, minigrad.from_dlpack]
)
def test_memory_that_is_shared(make):
    array = numpy.ones(3, numpy.float32)
    tensor = make(array)
    array[0] = 5
    tensor[1] = 7
    assert tensor.tolist() == array.tolist() == [5, 7, 1]


@pytest.mark.cpu_only(reason="memory shared with NumPy")
def test_memory_that_is_not_shared():
    array = numpy.ones(3)
    copies = [
        minigrad.as_tensor(array, dtype=minigrad.float32),
        minigrad.asarray(array, copy=True),
        minigrad.asarray(array, dtype=minigrad.float32),
    ]
    array[0] = 5
    assert [copy.tolist() for copy in copies] == [[1, 1, 1]] * 3
    assert minigrad.asarray(array, copy=False).data_ptr() == array.ctypes.data


def test_as_tensor_keeps_a_tensor_that_fits():
    x = minigrad.ones(3, requires_grad=True)
    assert minigrad.as_tensor(x) is x
    minigrad.as_tensor(x, dtype=minigrad.float64).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


@pytest.mark.cpu_only(reason="memory shared with NumPy")
def test_frombuffer_and_bytes(torch):
    data = bytearray(numpy.arange(5, dtype=numpy.float32).tobytes())
    for options in ({}, {"count": 2}, {"offset": 4}, {"count": 2, "offset": 8}):
        ours = minigrad.frombuffer(data, dtype=minigrad.float32, **options)
        theirs = torch.frombuffer(data, dtype=torch.float32, **options)
        assert ours.tolist() == theirs.tolist()
    ours = minigrad.frombuffer(data, dtype=minigrad.uint8)
    ours[3] = 64
    assert data[3] == 64
    assert minigrad.asarray(b"ab", dtype=minigrad.uint8).tolist() == [97, 98]


def test_the_default_dtype(torch):
    makers = [
        lambda t: t.tensor([1.0]),
        lambda t: t.tensor([]),
        lambda t: t.tensor(3),
        lambda t: t.zeros(2),
        lambda t: t.ones(2),
        lambda t: t.full((2,), 1.0),
        lambda t: t.arange(3),
        lambda t: t.arange(3.0),
        lambda t: t.linspace(0, 1, 3),
        lambda t: t.eye(2),
        lambda t: t.tensor([1], dtype=float),
        lambda t: t.rand(2),
    ]
    try:
        for name in ("float64", "float16"):
            minigrad.set_default_dtype(getattr(minigrad, name))
            torch.set_default_dtype(getattr(torch, name))
            for make in makers:
                assert str(make(minigrad).dtype) == str(make(torch).dtype)
    finally:
        minigrad.set_default_dtype(minigrad.float32)
        torch.set_default_dtype(torch.float32)


def test_filled_tensors_are_independent_leaves():
    x = minigrad.ones(2, requires_grad=True)
    for y in (
        minigrad.zeros_like(x),
        minigrad.ones_like(x),
        minigrad.full_like(x, 3),
        x.new_zeros(2),
    ):
        assert y.is_leaf
        assert not y.requires_grad
        y += 1
    assert x.tolist() == [1, 1]


def test_grids_pass_gradients_on():
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    y = minigrad.tensor([3.0, 4.0, 5.0], requires_grad=True)
    for indexing in ("ij", "xy"):
        a, b = minigrad.meshgrid(x, y, indexing=indexing)
        gx, gy = minigrad.autograd.grad((a * b * b).sum(), (x, y))
        assert gx.tolist() == [50, 50]
        assert gy.tolist() == [18, 24, 30]
    pairs = minigrad.combinations(y, 2).prod(1).sum()
    assert minigrad.autograd.grad(pairs, y)[0].tolist() == [9, 8, 7]
    pairs = minigrad.cartesian_prod(x, y).prod(1).sum()
    assert minigrad.autograd.grad(pairs, x)[0].tolist() == [12, 12]


def test_complex_numbers_are_refused_by_name():
    with pytest.raises(TypeError, match="complex128"):
        minigrad.tensor(numpy.array([1j]))
    with pytest.raises(RuntimeError, match="dtype of complex"):
        minigrad.tensor([1j])

"""Tensors on the "cuda" device: made, moved, indexed, mixed, printed; devices, memory, streams."""

import numpy
import pytest
from stand_in import cuda  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import nn

HERE = mg.arange(12.0).reshape(3, 4)


@pytest.fixture
def there():
    return HERE.cuda()


# -- made ------------------------------------------------------------------------------------------

FACTORIES = {
    "zeros": lambda on: mg.zeros(2, 3, **on),
    "ones": lambda on: mg.ones(2, **on),
    "full": lambda on: mg.full((2,), 3.0, **on),
    "arange": lambda on: mg.arange(5, **on),
    "linspace": lambda on: mg.linspace(0, 1, 5, **on),
    "logspace": lambda on: mg.logspace(0, 1, 3, **on),
    "eye": lambda on: mg.eye(3, **on),
    "tensor": lambda on: mg.tensor([1, 2.0], **on),
    "as_tensor": lambda on: mg.as_tensor([1, 2], **on),
    "asarray": lambda on: mg.asarray([1.0], **on),
    "tril_indices": lambda on: mg.tril_indices(3, 3, **on),
    "zeros_like": lambda on: mg.zeros_like(mg.ones(2, **on)),
    "full_like": lambda on: mg.full_like(mg.ones(2, **on), 2),
    "new_zeros": lambda on: mg.ones(2, **on).new_zeros(3),
    "new_tensor": lambda on: mg.ones(2, **on).new_tensor([1.0]),
    "new_full": lambda on: mg.ones(2, **on).new_full((2,), 1.0),
    "scalar_tensor": lambda on: mg.scalar_tensor(2.0, **on),
    "rand": lambda on: mg.rand(20, **on),
    "randn": lambda on: mg.randn(20, **on),
    "randint": lambda on: mg.randint(0, 9, (20,), **on),
    "randperm": lambda on: mg.randperm(20, **on),
    "rand_like": lambda on: mg.rand_like(mg.ones(20, **on)),
    "randn_like": lambda on: mg.randn_like(mg.ones(20, **on)),
    "normal": lambda on: mg.normal(mg.zeros(20, **on), mg.ones(20, **on)),
    "normal_": lambda on: mg.zeros(20, **on).normal_(),
    "uniform_": lambda on: mg.zeros(20, **on).uniform_(-1, 1),
    "exponential_": lambda on: mg.zeros(20, **on).exponential_(),
    "random_": lambda on: mg.zeros(20, **on).random_(7),
    "bernoulli_": lambda on: mg.zeros(20, **on).bernoulli_(0.4),
    "geometric_": lambda on: mg.zeros(20, **on).geometric_(0.4),
    "cauchy_": lambda on: mg.zeros(20, **on).cauchy_(),
    "log_normal_": lambda on: mg.zeros(20, **on).log_normal_(),
    "bernoulli": lambda on: mg.bernoulli(mg.full((20,), 0.3, **on)),
    "multinomial": lambda on: mg.multinomial(mg.full((20,), 0.3, **on), 5),
    "poisson": lambda on: mg.poisson(mg.ones(20, **on)),
    "binomial": lambda on: mg.binomial(mg.full((5,), 4.0, **on), mg.full((5,), 0.4, **on)),
    "dropout": lambda on: F.dropout(mg.ones(50, **on)),
    "dropout1d": lambda on: F.dropout1d(mg.ones(2, 5, 3, **on)),
    "alpha_dropout": lambda on: F.alpha_dropout(mg.ones(50, **on), training=True),
    "gumbel_softmax": lambda on: F.gumbel_softmax(mg.zeros(2, 5, **on)),
    "rrelu": lambda on: F.rrelu(-mg.ones(5, **on), training=True),
    "orthogonal_": lambda on: nn.init.orthogonal_(mg.zeros(4, 5, **on)),
    "xavier_normal_": lambda on: nn.init.xavier_normal_(mg.zeros(4, 5, **on)),
    "trunc_normal_": lambda on: nn.init.trunc_normal_(mg.zeros(4, 5, **on)),
    "sparse_": lambda on: nn.init.sparse_(mg.zeros(4, 5, **on), 0.4),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTORIES)
def test_what_is_made_on_a_device_stays_there_and_is_the_same_everywhere(name):
    mg.manual_seed(3)
    ours = FACTORIES[name]({"device": "cuda"})
    mg.manual_seed(3)
    expected = FACTORIES[name]({"device": "cpu"})
    assert ours.device == mg.device("cuda", 0)
    assert ours.dtype == expected.dtype
    mg.testing.assert_close(ours.cpu(), expected, rtol=1e-6, atol=1e-7)
    assert "cuda:0" in repr(ours)


# -- moved -----------------------------------------------------------------------------------------


def test_moving(there):
    assert there.is_cuda and str(there.device) == "cuda:0" and there.get_device() == 0
    assert there.to("cuda") is there and there.to(device="cuda:0") is there
    assert there.cpu().device.type == "cpu"
    both = HERE.to("cuda", mg.float64)
    assert both.dtype == mg.float64 and both.is_cuda
    assert HERE.to(there).is_cuda and HERE.type_as(there).is_cuda
    for dtype in (mg.int64, mg.int32, mg.float16, mg.bool, mg.float64, mg.uint8):
        assert mg.equal(there.to(dtype).cpu(), HERE.to(dtype))
    assert there.type() == "torch.cuda.FloatTensor"
    assert there.pin_memory() is there and there.is_pinned() is False


def test_gradients_cross_devices():
    x = mg.ones(3, requires_grad=True)
    (x.cuda() * 2).sum().backward()
    assert x.grad.device.type == "cpu" and x.grad.tolist() == [2, 2, 2]
    y = mg.ones(3, device="cuda", requires_grad=True)
    (y.cpu() * 3).sum().backward()
    assert y.grad.is_cuda and y.grad.tolist() == [3, 3, 3]


def test_what_leaves_the_device_does_so_on_request_only(there):
    for convert in (lambda: there.numpy(), lambda: numpy.asarray(there)):
        with pytest.raises(TypeError, match="cuda:0 device type tensor to numpy. Use Tensor.cpu()"):
            convert()
    assert there.numpy(force=True).sum() == 66
    assert there.tolist() == HERE.tolist()
    assert there[1, 2].item() == 6 and float(there.sum()) == 66 and int(there.max()) == 11
    assert bool(there[0, 1]) and 3.0 in there and len(there) == 3
    assert [row.tolist() for row in there] == HERE.tolist()


def test_memory_is_shared_by_views(there):
    assert there.data_ptr() != 0
    assert there[1].storage_offset() == 4 and there.t().stride() == (1, 4)
    assert not there.t().is_contiguous()
    there[1].zero_()
    there.t()[0].add_(1)
    assert there[:, 0].tolist() == [1, 1, 9]


def test_printing():
    assert repr(mg.tensor([1.0, 2.0], device="cuda")) == "tensor([1., 2.], device='cuda:0')"
    shown = repr(mg.ones(2, device="cuda", requires_grad=True) * 2)
    assert shown == "tensor([2., 2.], device='cuda:0', grad_fn=<MulBackward0>)"
    assert f"{mg.tensor(1.5, device='cuda'):.2f}" == "1.50"
    assert "..." in repr(mg.zeros(100, 100, device="cuda"))


# -- parts -----------------------------------------------------------------------------------------

INDICES = [
    0, (0, 1), slice(1, None), (slice(None), [0, 2]), mg.tensor([2, 0]), HERE > 4, None, ...,
    (..., -1), numpy.array([1, 2]), mg.tensor(1), [True, False, True], numpy.int64(1), True,
    (mg.tensor([0, 1]), 2), (mg.tensor([0, 1]), mg.tensor([-1, 2])), mg.tensor([], dtype=mg.int64),
]  # fmt: skip


def moved(index):
    if isinstance(index, tuple):
        return tuple(map(moved, index))
    return index.cuda() if isinstance(index, mg.Tensor) else index


@pytest.mark.parametrize("index", INDICES, ids=range(len(INDICES)))
def test_indexing_from_either_side(there, index):
    for given in (index, moved(index)):
        assert mg.equal(there[given].cpu(), HERE[index])
        ours, expected = there.clone(), HERE.clone()
        ours[given] = 7.0
        expected[index] = 7.0
        ours[given] = ours[given] + 1
        expected[index] = expected[index] + 1
        assert mg.equal(ours.cpu(), expected)


def test_bounds_are_checked_though_the_device_does_not(there):
    for index in (5, mg.tensor([7]).cuda(), mg.tensor([-4]).cuda()):
        with pytest.raises(IndexError, match="out of bounds"):
            there[index]
    with pytest.raises(IndexError):
        F.embedding(mg.tensor([3]).cuda(), there)
    with pytest.raises(IndexError):
        F.cross_entropy(there, mg.tensor([0, 1, 4]).cuda())
    with pytest.raises((IndexError, RuntimeError)):
        there.gather(1, mg.full((3, 1), 4).cuda())


METHODS = """
    topk(2) sort() argsort(dim=0) unique() median() mode() kthvalue(2) cumsum(0) logcumsumexp(1) flip(0)
    roll(1,0) std() var(0) norm() quantile(0.3) diagonal() unfold(1,2,1) split(2,1) chunk(2) repeat(2,2)
    expand(2,3,4) unbind() repeat_interleave(2) any() all(1) isnan() amax(1) aminmax() count_nonzero()
    tril() triu(1) nonzero() argmax(1) prod(0) logsumexp(1) softmax(0) masked_select(x>3) where(x>3,x*0)
    take(i) index_select(0,i) index_add(0,i,x[:2]) index_fill(0,i,2.0) scatter(1,g,5.0) gather(1,g)
    scatter_add(1,g,x) scatter_reduce(1,g,x,"prod") masked_fill(x>3,0.0)
""".split()


@pytest.mark.parametrize("call", METHODS)
def test_methods(there, call):
    results = []
    for x in (there, HERE):
        i = mg.tensor([2, 0], device=x.device)
        g = mg.tensor([[1], [0], [3]], device=x.device)
        found = eval(f"x.{call}", {"x": x, "i": i, "g": g})
        found = found if isinstance(found, (tuple, list)) else (found,)
        assert all(t.device == x.device for t in found)
        results.append([t.cpu() for t in found])
    mg.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_integers_add_up_where_an_index_repeats():
    for dtype in (mg.int64, mg.int32, mg.uint8, mg.int16, mg.float16):
        x = mg.zeros(4, dtype=dtype, device="cuda")
        source = mg.tensor([5, 6, -7 if dtype.is_signed else 7], dtype=dtype, device="cuda")
        x.index_add_(0, mg.tensor([1, 1, 3], device="cuda"), source)
        assert x.tolist() == [0, 11, 0, -7 if dtype.is_signed else 7]
    assert mg.bincount(mg.tensor([1, 2, 2], device="cuda")).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", ["int64", "int32", "int8", "uint8", "float16", "float32"])
def test_extremes_where_an_index_repeats(dtype):
    dtype = getattr(mg, dtype)
    low = -7 if dtype.is_signed else 0
    x = mg.tensor([[3, 3, 3]], dtype=dtype, device="cuda")
    index = mg.tensor([[0, 0, 2]], device="cuda")
    source = mg.tensor([[5, low, low]], dtype=dtype, device="cuda")
    assert x.scatter_reduce(1, index, source, "amax").tolist() == [[5, 3, 3]]
    assert x.scatter_reduce(1, index, source, "amin").tolist() == [[low, 3, low]]
    if dtype == mg.int64:
        huge = source * 2**60
        assert x.scatter_reduce(1, index, huge, "amin").tolist() == [[-7 * 2**60, 3, -7 * 2**60]]

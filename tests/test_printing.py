"""Tensors print as torch's do, to the last space."""

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import minigrad
from minigrad import printing

OPTIONS = [
    {"precision": 2},
    {"precision": 0},
    {"precision": 8, "linewidth": 120},
    {"sci_mode": True},
    {"sci_mode": False},
    {"linewidth": 40},
    {"linewidth": 5},
    {"linewidth": 200, "edgeitems": 2},
    {"threshold": 5},
    {"threshold": 0, "edgeitems": 1},
    {"edgeitems": 0, "threshold": 10},
    {"profile": "short"},
    {"profile": "full"},
    {"profile": "short", "precision": 6},
]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def usual_options():
    yield
    minigrad.set_printoptions(profile="default")


EXPECTED = {
    "tensor(3)": lambda: minigrad.tensor(3),
    "tensor(1.5000)": lambda: minigrad.tensor(1.5),
    "tensor(True)": lambda: minigrad.tensor(True),
    "tensor([])": lambda: minigrad.zeros(0),
    "tensor([], size=(0, 3))": lambda: minigrad.zeros(0, 3),
    "tensor([], dtype=torch.int64)": lambda: minigrad.zeros(0, dtype=minigrad.int64),
    "tensor([], size=(2, 0), dtype=torch.float64, requires_grad=True)": (
        lambda: minigrad.zeros(2, 0, dtype=minigrad.float64, requires_grad=True)
    ),
    "tensor([1., 2., 3.])": lambda: minigrad.tensor([1.0, 2, 3]),
    "tensor([ 1, -2], dtype=torch.int32)": lambda: minigrad.tensor([1, -2], dtype=minigrad.int32),
    "tensor([1., 2.], dtype=torch.float64)": (
        lambda: minigrad.tensor([1.0, 2], dtype=minigrad.float64)
    ),
    "tensor([0.1000, 0.2000], requires_grad=True)": (
        lambda: minigrad.tensor([0.1, 0.2], requires_grad=True)
    ),
    "tensor([2.], grad_fn=<AddBackward0>)": (
        lambda: minigrad.tensor([1.0], requires_grad=True) + 1
    ),
    "tensor([1.0000e-05, 1.0000e+00])": lambda: minigrad.tensor([1e-5, 1.0]),
    "tensor([nan, inf, -inf, 1.])": (
        lambda: minigrad.tensor([float("nan"), float("inf"), -float("inf"), 1.0])
    ),
    "tensor([   0,    1,    2,  ..., 1998, 1999, 2000])": lambda: minigrad.arange(2001),
    "tensor([[ True, False],\n        [False,  True]])": lambda: minigrad.eye(2) > 0,
    "Parameter containing:\ntensor([1.], requires_grad=True)": (
        lambda: minigrad.nn.Parameter(minigrad.ones(1))
    ),
}


@pytest.mark.cpu_only(reason="a tensor's text names its device where that is a GPU")
@pytest.mark.parametrize("text", EXPECTED)
def test_texts(text):
    assert repr(EXPECTED[text]()) == text
    assert str(EXPECTED[text]()) == text


def test_subclasses_print_under_their_name():
    class Image(minigrad.Tensor):
        pass

    assert repr(Image([1.0, 2.0])) == "Image([1., 2.])"
    assert f"{Image(1.5)}" == repr(Image(1.5))


def test_device():
    class OnGpu:
        """A tensor that says it is on a GPU: the text is the same there."""

        array = numpy.ones(2, numpy.float32)
        dtype = minigrad.float32
        device = minigrad.device("cuda:0")
        grad_fn = None
        requires_grad = False

    assert printing.tensor_repr(OnGpu()) == "OnGpu([1., 1.], device='cuda:0')"


numbers = st.one_of(
    st.floats(-100, 100),
    st.integers(-2000, 2000).map(float),
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, 1.0, 1000.0, 1001.0, 1e8, 1e8 + 8, 1e-4, 9.9e-5, 0.5]),
    st.sampled_from([float("nan"), float("inf"), -float("inf")]),
)
shapes = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=9)
some_arrays = st.one_of(
    arrays.arrays(
        st.sampled_from(["float32", "float64"]), shapes, elements=numbers.map(numpy.float32)
    ),
    arrays.arrays("float16", shapes, elements=st.floats(-100, 100, width=16)),
    arrays.arrays(st.sampled_from(["int64", "int32", "int8", "uint8", "bool"]), shapes),
)


def assert_prints_alike(torch, array, graph=0):
    array = numpy.array(array)
    ours, theirs = minigrad.from_numpy(array), torch.from_numpy(array.copy())
    if graph and array.dtype.kind == "f":
        ours.requires_grad_()
        theirs.requires_grad_()
    if graph == 2 and array.dtype.kind == "f":
        ours, theirs = ours + 0, theirs + 0
    assert repr(ours) == repr(theirs)


@given(array=some_arrays, graph=st.integers(0, 2))
@settings(max_examples=300, deadline=None)
def test_any_array_prints_as_in_torch(array, graph):
    assert_prints_alike(pytest.importorskip("torch"), array, graph)


RANDOM = [
    ((), 1.0),
    ((3,), 1.0),
    ((40,), 1.0),
    ((1001,), 1.0),
    ((1001,), 1e-6),
    ((30, 40), 100.0),
    ((2, 600), 1e9),
    ((7, 200), 1.0),
    ((1001, 1), 1.0),
    ((8, 3, 50), 1.0),
    ((2, 8, 8, 8), 1.0),
    ((2, 0, 3), 1.0),
]


@pytest.mark.parametrize("options", [{}, *OPTIONS], ids=str)
def test_options_and_abbreviation(torch, options):
    random = numpy.random.RandomState(0)
    torch.set_printoptions(**options)
    minigrad.set_printoptions(**options)
    try:
        for shape, scale in RANDOM:
            normal = numpy.asarray(random.randn(*shape) * scale)
            assert_prints_alike(torch, normal)
            assert_prints_alike(torch, normal.astype(numpy.float32), graph=2)
            assert_prints_alike(torch, numpy.asarray(normal.round()))
            assert_prints_alike(torch, normal.astype(numpy.int64))
            assert_prints_alike(torch, normal > 0)
    finally:
        torch.set_printoptions(profile="default")


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_default_dtype_goes_unsaid(torch, dtype):
    try:
        torch.set_default_dtype(getattr(torch, dtype))
        minigrad.set_default_dtype(getattr(minigrad, dtype))
        for kind in ("float16", "float32", "float64"):
            assert_prints_alike(torch, numpy.ones((2, 2), kind))
            assert_prints_alike(torch, numpy.ones((0, 2), kind))
    finally:
        torch.set_default_dtype(torch.float32)
        minigrad.set_default_dtype(minigrad.float32)


@pytest.mark.cpu_only(reason="a tensor's text names its device where that is a GPU")
def test_bfloat16(torch):
    pytest.importorskip("ml_dtypes")
    values = [[1.0, -2.5, 1e-3], [float("nan"), 0.0, 3.25]]
    ours = minigrad.tensor(values, dtype=minigrad.dtypes.bfloat16)
    assert repr(ours) == repr(torch.tensor(values, dtype=torch.bfloat16))


@pytest.mark.cpu_only(reason="a tensor's text names its device where that is a GPU")
def test_options_for_a_block():
    before = printing.get_printoptions()
    with printing.printoptions(precision=2):
        assert repr(minigrad.tensor([1.2345])) == "tensor([1.23])"
    assert printing.get_printoptions() == before
    assert repr(minigrad.tensor([1.2345])) == "tensor([1.2345])"


def test_an_unknown_profile():
    with pytest.raises(ValueError, match="no profile 'long'; there are default, short, full"):
        minigrad.set_printoptions(profile="long")


FORMATS = [
    (lambda m: m.tensor(1.5), ".3f"),
    (lambda m: m.tensor(1.1), ""),
    (lambda m: m.tensor(3), "5d"),
    (lambda m: m.tensor(True), ">6"),
    (lambda m: m.tensor(1.5, requires_grad=True), ""),
    (lambda m: m.tensor(1.5, requires_grad=True) * 2, ".2f"),
    (lambda m: m.ones(2), ""),
    (lambda m: m.nn.Parameter(m.tensor(1.5)), ""),
    (lambda m: m.tensor(1.5), "d"),
    (lambda m: m.ones(2), ".2f"),
    (lambda m: m.nn.Parameter(m.tensor(1.5)), ".2f"),
]


@pytest.mark.cpu_only(reason="a tensor's text names its device where that is a GPU")
@pytest.mark.parametrize("case", FORMATS)
def test_format(torch, case):
    make, spec = case
    try:
        expected = format(make(torch), spec)
    except (TypeError, ValueError) as error:
        with pytest.raises(type(error)):
            format(make(minigrad), spec)
    else:
        assert format(make(minigrad), spec) == expected

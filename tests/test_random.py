"""Random numbers are torch's, number for number, and leave the stream where torch leaves it."""

import copy
import pickle

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigrad
from minigrad.generator import Generator
from minigrad.ops.random import keep_mask

FLOATS = {"float16": 2e-3, "float32": 2e-6, "float64": 1e-14}
COUNTS = [0, 1, 2, 15, 16, 17, 31, 32, 33, 623, 624, 625, 1500]
SEEDS = [0, 42, -5, 2**40 + 3]


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


def assert_same(torch, draw, tolerance=0.0):
    """draw(torch) and draw(minigrad) agree, and so does what the streams give afterwards."""
    for seed in SEEDS:
        torch.manual_seed(seed)
        minigrad.manual_seed(seed)
        theirs, ours = draw(torch), draw(minigrad)
        assert str(ours.dtype) == str(theirs.dtype)
        assert tuple(ours.shape) == tuple(theirs.shape)
        if tolerance:
            numpy.testing.assert_allclose(ours.numpy(), theirs.numpy(), tolerance, tolerance)
        else:
            numpy.testing.assert_array_equal(ours.numpy(), theirs.numpy())
        numpy.testing.assert_array_equal(minigrad.rand(3).numpy(), torch.rand(3).numpy())


def ramp(m, shape, dtype):
    """Weights without equal neighbours."""
    count = int(numpy.prod(shape))
    return m.tensor((numpy.arange(1, count + 1) % 7 + 0.5).reshape(shape)).to(getattr(m, dtype))


EXACT = {
    "rand": lambda m, n, d: m.rand(n, dtype=d),
    "uniform_": lambda m, n, d: m.empty(n, dtype=d).uniform_(-3, 2.7),
    "uniform_ symmetric": lambda m, n, d: m.empty(n, dtype=d).uniform_(-0.051, 0.051),
    "uniform_ that rounds to its end": lambda m, n, d: m.empty(n, dtype=d).uniform_(1000, 1000.5),
    "bernoulli": lambda m, n, d: m.bernoulli(m.full((n,), 0.3, dtype=d)),
    "bernoulli_ with a tensor": lambda m, n, d: m.empty(n, dtype=d).bernoulli_(m.full((n,), 0.6)),
    "geometric_": lambda m, n, d: m.empty(n, dtype=d).geometric_(0.3),
    "random_": lambda m, n, d: m.empty(n, dtype=d).random_(),
    "random_ to": lambda m, n, d: m.empty(n, dtype=d).random_(100),
    "random_ from to": lambda m, n, d: m.empty(n, dtype=d).random_(-3, 17),
    "randint": lambda m, n, d: m.randint(5, (n,), dtype=d),
    "poisson, small rate": lambda m, n, d: m.poisson(m.full((n,), 4.0, dtype=d)),
    "poisson, large rate": lambda m, n, d: m.poisson(m.full((n,), 40.0, dtype=d)),
}
CLOSE = {
    "randn": lambda m, n, d: m.randn(n, dtype=d),
    "normal_": lambda m, n, d: m.empty(n, dtype=d).normal_(1.5, 0.3),
    "log_normal_": lambda m, n, d: m.empty(n, dtype=d).log_normal_(0.1, 0.5),
    "cauchy_": lambda m, n, d: m.empty(n, dtype=d).cauchy_(0.1, 0.5),
}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", EXACT)
def test_equal_to_the_last_bit(torch, name, dtype):
    for count in COUNTS:
        assert_same(torch, lambda m: EXACT[name](m, count, getattr(m, dtype)))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", CLOSE)
def test_equal_up_to_the_rounding_of_logarithms(torch, name, dtype):
    for count in COUNTS:
        assert_same(torch, lambda m: CLOSE[name](m, count, getattr(m, dtype)), FLOATS[dtype])


def _not_intel():
    try:
        with open("/proc/cpuinfo") as file:
            return "GenuineIntel" not in file.read()
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not _not_intel(), reason="on Intel processors torch draws these with MKL")
@pytest.mark.parametrize("dtype", FLOATS)
def test_bernoulli_and_exponential(torch, dtype):
    for count in COUNTS:
        assert_same(torch, lambda m: m.empty(count, dtype=getattr(m, dtype)).bernoulli_(0.3))
        assert_same(
            torch,
            lambda m: m.empty(count, dtype=getattr(m, dtype)).exponential_(1.7),
            FLOATS[dtype],
        )


def test_bfloat16(torch):
    pytest.importorskip("ml_dtypes")
    types = {torch: torch.bfloat16, minigrad: minigrad.dtypes.bfloat16}
    for count in COUNTS:
        assert_same(torch, lambda m: m.rand(count, dtype=types[m]).float())
        assert_same(torch, lambda m: m.empty(count, dtype=types[m]).uniform_(-3, 2.7).float())
        assert_same(torch, lambda m: m.randn(count, dtype=types[m]).float(), 1e-2)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64"])
def test_whole_numbers_of_every_dtype(torch, dtype):
    for count in COUNTS:
        assert_same(torch, lambda m: m.empty(count, dtype=getattr(m, dtype)).random_())
        if dtype != "bool":
            assert_same(torch, lambda m: m.empty(count, dtype=getattr(m, dtype)).random_(3, None))
            assert_same(torch, lambda m: m.randint(3, 100, (count,), dtype=getattr(m, dtype)))


@pytest.mark.parametrize(
    "low, high",
    [(0, 10), (-7, 9), (0, 2**28 - 1), (0, 2**28), (0, 2**28 + 1), (0, 2**32 - 1), (0, 2**32)]
    + [(-5, 2**32 + 1), (-(2**40), 2**45), (-(2**63), 2**63 - 1), (-(2**63), None)],
)
def test_ranges_of_integers(torch, low, high):
    assert_same(torch, lambda m: m.empty(100, dtype=m.int64).random_(low, high))
    if high is not None:
        assert_same(torch, lambda m: m.randint(low, high, (100,)))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 10, 31, 1000, 40_000])
def test_randperm(torch, n):
    assert_same(torch, lambda m: m.randperm(n))
    assert_same(torch, lambda m: m.randperm(n, dtype=m.int32))
    assert_same(torch, lambda m: m.randperm(n, dtype=m.float64))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(3,), (100,), (2, 5), (4, 20), (3, 1000)])
def test_multinomial(torch, shape, dtype):
    for count in (1, 2, 3):
        assert_same(torch, lambda m: m.multinomial(ramp(m, shape, dtype), count))
    for count in (1, 2, 50):
        assert_same(torch, lambda m: m.multinomial(ramp(m, shape, dtype), count, replacement=True))


def test_multinomial_never_draws_what_has_no_weight():
    weights = minigrad.tensor([0.0, 1.0, 0.0, 2.0, 0.0])
    for replacement, count in ((True, 500), (False, 2)):
        drawn = minigrad.multinomial(weights, count, replacement)
        assert set(drawn.tolist()) == {1, 3}


@pytest.mark.parametrize("chance", [0.0, 0.02, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("trials", [0.0, 1.0, 10.0, 1000.0])
def test_binomial(torch, trials, chance):
    assert_same(torch, lambda m: m.binomial(m.full((40,), trials), m.full((40,), chance)))


def test_normal_with_numbers_and_tensors(torch):
    for shape in ((), (3,), (4, 5)):
        cases = [
            lambda m: m.normal(m.full(shape, 1.0), m.full(shape, 2.0)),
            lambda m: m.normal(m.full(shape, 1.0), 2.0),
            lambda m: m.normal(1.0, m.full(shape, 2.0)),
            lambda m: m.normal(1.0, 2.0, shape),
            lambda m: m.normal(mean=1.0, std=2.0, size=shape),
        ]
        for case in cases:
            assert_same(torch, case, 3e-6)
    assert_same(torch, lambda m: m.normal(m.zeros(3, 1), m.ones(5)), 3e-6)


@pytest.mark.parametrize("rows", [5, 16, 40])
def test_a_view_is_filled_in_the_order_of_its_memory(torch, rows):
    views = [
        lambda m: m.zeros(rows, 3).t(),
        lambda m: m.zeros(rows, 30)[:, ::2],
        lambda m: m.zeros(rows, 2, 3).permute(1, 2, 0),
    ]
    for view in views:
        assert_same(torch, lambda m: view(m).uniform_())
        assert_same(torch, lambda m: view(m).normal_(), 2e-6)
        assert_same(torch, lambda m: view(m).random_(50))
        assert_same(torch, lambda m: view(m).bernoulli_(m.tensor([[0.2], [0.5]])[:, :1].sum()))
        assert_same(torch, lambda m: m.rand_like(view(m)))
        assert_same(torch, lambda m: m.randn_like(view(m)), 2e-6)
        assert_same(torch, lambda m: m.randint_like(view(m), 3, 9))
        assert_same(torch, lambda m: m.bernoulli(view(m) + 0.4))


def test_filling_part_of_a_tensor(torch):
    def fill(m):
        x = m.zeros(6, 5)
        x[2].normal_()
        x[:, 1:3].uniform_()
        return x

    assert_same(torch, fill, 2e-6)


DRAWS = [
    lambda m: m.rand(1),
    lambda m: m.rand(5, dtype=m.float64),
    lambda m: m.randn(1),
    lambda m: m.randn(3),
    lambda m: m.randn(16),
    lambda m: m.randn(21, dtype=m.float64),
    lambda m: m.randint(7, (2,)),
    lambda m: m.randint(2**33, (3,)),
    lambda m: m.randperm(6),
    lambda m: m.empty(3).log_normal_(),
    lambda m: m.empty(4).geometric_(0.4),
    lambda m: m.bernoulli(m.full((3,), 0.5)),
    lambda m: m.multinomial(m.ones(2, 4), 1),
    lambda m: m.normal(0.0, 1.0, (5,)),
    lambda m: m.poisson(m.full((2,), 12.0)),
]


@given(seed=st.integers(0, 2**63), order=st.lists(st.integers(0, len(DRAWS) - 1), max_size=12))
@settings(max_examples=60, deadline=None)
def test_draws_in_any_order(seed, order):
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    minigrad.manual_seed(seed)
    for which in (0, *order):
        ours, theirs = DRAWS[which](minigrad), DRAWS[which](torch)
        numpy.testing.assert_allclose(ours.numpy(), theirs.numpy(), 3e-6, 3e-6)
    ours, theirs = minigrad.get_rng_state().numpy(), torch.get_rng_state().numpy()
    # but for the spare normal (a float64 whose last bits are the logarithm's), the state is torch's
    spare = slice(24 + 624 * 8 + 8, 24 + 624 * 8 + 16)
    numpy.testing.assert_array_equal(numpy.delete(ours, spare), numpy.delete(theirs, spare))
    numpy.testing.assert_allclose(
        ours[spare].view(numpy.float64), theirs[spare].view(numpy.float64), 1e-14
    )


def test_states_travel_between_torch_and_minigrad(torch):
    torch.manual_seed(3)
    torch.randn(7)
    torch.rand(100)
    minigrad.set_rng_state(minigrad.from_numpy(torch.get_rng_state().numpy()))
    numpy.testing.assert_allclose(minigrad.randn(5).numpy(), torch.randn(5).numpy(), 1e-6)
    minigrad.manual_seed(4)
    minigrad.randn(7)
    torch.set_rng_state(torch.from_numpy(minigrad.get_rng_state().numpy()))
    numpy.testing.assert_allclose(torch.randn(5).numpy(), minigrad.randn(5).numpy(), 1e-6)
    assert minigrad.initial_seed() == torch.initial_seed() == 4


def test_generators(torch):
    ours, theirs = minigrad.Generator(), torch.Generator()
    assert ours.initial_seed() == theirs.initial_seed()
    numpy.testing.assert_array_equal(
        minigrad.rand(3, generator=ours).numpy(), torch.rand(3, generator=theirs).numpy()
    )
    assert ours.manual_seed(9) is ours
    theirs.manual_seed(9)
    numpy.testing.assert_array_equal(
        minigrad.randperm(9, generator=ours).numpy(), torch.randperm(9, generator=theirs).numpy()
    )
    assert minigrad.manual_seed(-1).initial_seed() == torch.manual_seed(-1).initial_seed()
    assert str(ours.device) == "cpu"


def test_a_generator_leaves_the_default_stream_alone():
    minigrad.manual_seed(0)
    first = minigrad.rand(4)
    minigrad.manual_seed(0)
    generator = minigrad.Generator().manual_seed(5)
    minigrad.randn(20, generator=generator)
    minigrad.empty(3).uniform_(generator=generator)
    assert minigrad.equal(minigrad.rand(4), first)


@pytest.mark.parametrize(
    "duplicate", [Generator.clone_state, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))]
)
def test_a_copied_generator_goes_on_alike(duplicate):
    generator = minigrad.Generator().manual_seed(5)
    minigrad.randn(3, generator=generator)
    other = duplicate(generator)
    assert minigrad.equal(
        minigrad.randn(3, generator=generator), minigrad.randn(3, generator=other)
    )
    assert other.initial_seed() == 5


def test_seed_starts_another_stream():
    first = minigrad.seed()
    assert first == minigrad.initial_seed()
    before = minigrad.rand(4)
    assert minigrad.seed() != first
    assert not minigrad.equal(minigrad.rand(4), before)
    minigrad.manual_seed(first)
    assert minigrad.equal(minigrad.rand(4), before)


def test_fork_rng():
    minigrad.manual_seed(0)
    with minigrad.random.fork_rng():
        inside = minigrad.rand(3)
    assert minigrad.equal(minigrad.rand(3), inside)
    with minigrad.random.fork_rng(enabled=False):
        inside = minigrad.rand(3)
    assert not minigrad.equal(minigrad.rand(3), inside)
    state = minigrad.get_rng_state()
    with pytest.raises(KeyError), minigrad.random.fork_rng():
        minigrad.rand(3)
        raise KeyError
    assert minigrad.equal(minigrad.get_rng_state(), state)


def test_keyword_arguments():
    assert minigrad.rand(2, 3, requires_grad=True).requires_grad
    assert minigrad.rand((2, 3)).shape == minigrad.rand(size=(2, 3)).shape == (2, 3)
    assert minigrad.rand(minigrad.Size([2])).shape == (2,)
    assert minigrad.randn(()).shape == ()
    assert minigrad.randint(low=1, high=3, size=(2,)).dtype is minigrad.int64
    assert minigrad.randint(3, size=(2,)).shape == (2,)
    assert minigrad.randint_like(minigrad.zeros(2, 2), 5).dtype is minigrad.float32
    assert minigrad.rand_like(minigrad.zeros(3, dtype=minigrad.float64)).dtype is minigrad.float64
    out = minigrad.zeros(3)
    assert minigrad.rand(3, out=out) is out
    assert out.any()


def test_in_place_draws_are_noticed_by_backward():
    x = minigrad.ones(3, requires_grad=True)
    y = x * 2
    z = y * y
    y.data.uniform_()
    z.sum().backward()
    y = x * 2
    z = y * y
    y.detach().uniform_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


def test_a_refused_draw_changes_nothing():
    leaf = minigrad.ones(3, requires_grad=True)
    minigrad.manual_seed(0)
    before = minigrad.get_rng_state()
    with pytest.raises(RuntimeError, match="leaf Variable"):
        leaf.uniform_()
    assert minigrad.equal(minigrad.get_rng_state(), before)
    assert minigrad.equal(leaf, minigrad.ones(3))


ERRORS = {
    "randint without size": lambda m: m.randint(0, 10),
    "randint without end": lambda m: m.randint(size=(3,)),
    "randint past bool": lambda m: m.randint(5, (3,), dtype=m.bool),
    "randint past uint8": lambda m: m.randint(0, 300, (3,), dtype=m.uint8),
    "randint empty range": lambda m: m.randint(5, 2, (3,)),
    "rand of ints": lambda m: m.rand(3, dtype=m.int64),
    "randn of ints": lambda m: m.randn(3, dtype=m.int64),
    "negative size": lambda m: m.rand(2, -1),
    "size of str": lambda m: m.rand("a"),
    "size of float": lambda m: m.rand(2.5),
    "randperm negative": lambda m: m.randperm(-1),
    "randperm past uint8": lambda m: m.randperm(300, dtype=m.uint8),
    "randperm past float16": lambda m: m.randperm(2**11 + 2, dtype=m.float16),
    "multinomial too many": lambda m: m.multinomial(m.ones(3), 4),
    "multinomial none": lambda m: m.multinomial(m.ones(3), 0),
    "multinomial 3-d": lambda m: m.multinomial(m.ones(3, 2, 2), 1),
    "multinomial of ints": lambda m: m.multinomial(m.ones(3).long(), 1),
    "multinomial negative": lambda m: m.multinomial(m.tensor([-1.0, 2]), 1),
    "multinomial zero": lambda m: m.multinomial(m.zeros(3), 1),
    "multinomial nan": lambda m: m.multinomial(m.tensor([1.0, float("nan")]), 1),
    "normal without size": lambda m: m.normal(0.0, 1.0),
    "normal negative std": lambda m: m.normal(0.0, -1.0, (3,)),
    "normal negative stds": lambda m: m.normal(m.zeros(3), -m.ones(3)),
    "normal_ negative std": lambda m: m.zeros(3).normal_(0, -1),
    "bernoulli of 2": lambda m: m.bernoulli(m.tensor([2.0])),
    "bernoulli of ints": lambda m: m.bernoulli(m.tensor([1])),
    "bernoulli_ of -1": lambda m: m.zeros(2).bernoulli_(-1),
    "bernoulli_ of tensor": lambda m: m.zeros(2).bernoulli_(m.tensor([2.0, 0.0])),
    "exponential_": lambda m: m.zeros(2).exponential_(-1),
    "exponential_ of ints": lambda m: m.zeros(2).long().exponential_(),
    "geometric_": lambda m: m.zeros(2).geometric_(1),
    "cauchy_": lambda m: m.zeros(2).cauchy_(0, -1),
    "log_normal_": lambda m: m.zeros(2).log_normal_(0, -1),
    "uniform_": lambda m: m.zeros(2).uniform_(2, 1),
    "random_ empty": lambda m: m.zeros(2).random_(5, 5),
    "random_ past uint8": lambda m: m.zeros(2, dtype=m.uint8).random_(0, 300),
    "poisson": lambda m: m.poisson(m.tensor([-1.0])),
    "seed of str": lambda m: m.manual_seed("a"),
    "state of floats": lambda m: m.set_rng_state(m.zeros(5056)),
    "state too short": lambda m: m.set_rng_state(m.zeros(3, dtype=m.uint8)),
    "gradients of ints": lambda m: m.randint(3, (2,), requires_grad=True),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_of_torchs_types(torch, name):
    with pytest.raises(Exception) as theirs:
        ERRORS[name](torch)
    with pytest.raises(theirs.type):
        ERRORS[name](minigrad)


def test_keep_mask():
    minigrad.manual_seed(0)
    mask = keep_mask(numpy.zeros(1, numpy.float32), (1000, 101), 0.3)
    assert mask.shape == (1000, 101)
    assert mask.dtype == numpy.float32
    assert set(numpy.unique(mask)) == {0.0, 1.0}
    # 101,000 trials: the share's standard deviation is 0.0014
    assert abs(mask.mean() - 0.7) < 0.006
    assert keep_mask(numpy.zeros(1, numpy.float32), (50,), 0.0).all()
    assert not keep_mask(numpy.zeros(1, numpy.float32), (50,), 1.0).any()
    assert not numpy.array_equal(mask, keep_mask(numpy.zeros(1, numpy.float32), (1000, 101), 0.3))

"""Attention by blocks against its definition, against plain ops and against torch."""

import io
import math

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import attention as kernels
from minigrad.kernels import random_bits

import minigrad
from benchmarks import attention_memory
from minigrad.nn import functional as F
from minigrad.ops import shape
from minigrad.ops.attention import attention_fused

TOLERANCE = {"float32": 2e-5, "float64": 1e-11}


without_reference = pytest.mark.skipif(
    kernels.attention[numpy] is kernels.attention.reference,
    reason="the reference holds the weights, and its output lies in memory as (B, H, L, e)",
)


def close(found, expected, dtype):
    found, expected = (numpy.asarray(getattr(x, "array", x)) for x in (found, expected))
    assert found.shape == expected.shape and found.dtype == dtype
    size = max(1.0, numpy.abs(expected[numpy.isfinite(expected)]).max(initial=0))
    numpy.testing.assert_allclose(found, expected, rtol=0, atol=size * TOLERANCE[dtype])


@st.composite
def cases(draw):
    """(g, q, k, v, mask), options: lengths on both sides of the blocks' and the panels' sizes."""
    dtype = draw(st.sampled_from(["float32", "float64"]))
    batch, shared, group = (draw(st.integers(1, 2)) for _ in range(3))
    lengths = st.sampled_from([1, 2, 5, 16, 63, 64, 65, 97, 130, 257, 520])
    rows, keys = draw(lengths), draw(lengths)
    d, e = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    heads = shared * group
    random = numpy.random.default_rng(draw(st.integers(0, 2**32)))

    def array(*shape):
        """Numbers that lie in memory in one of the orders that models give them."""
        order = draw(st.sampled_from([(0, 1, 2, 3), (0, 2, 1, 3), (2, 0, 1, 3), (0, 1, 3, 2)]))
        spare = draw(st.sampled_from([0, 3]))
        x = random.standard_normal([shape[i] for i in order[:3]] + [shape[order[3]] + spare])
        x = x[..., : shape[order[3]]].astype(dtype)
        x = x if not spare else numpy.concatenate([x, x[..., :1]], -1)[..., :-1]
        return x.transpose([order.index(i) for i in range(4)])

    kind = draw(st.sampled_from(["none", "causal", "bool", "float"]))
    mask = None
    if kind in ("bool", "float"):
        full = (batch, heads, rows, keys)
        given = draw(st.lists(st.booleans(), min_size=4, max_size=4))
        shape = [n if use else 1 for n, use in zip(full, given, strict=True)]
        shape = shape[draw(st.integers(0, 3)) :]
        mask = random.random(shape) < draw(st.sampled_from([0.02, 0.5, 1.0]))
        if kind == "float":
            mask = numpy.where(mask, random.standard_normal(shape), -math.inf).astype(dtype)
    scale = draw(st.sampled_from([0.5, 1.0, -0.3, 0.0]))
    dropout = draw(st.sampled_from([0.0, 0.0, 0.3, 1.0]))
    arrays = (
        array(batch, heads, rows, e), array(batch, heads, rows, d), array(batch, shared, keys, d),
        array(batch, shared, keys, e), mask,
    )  # fmt: skip
    return arrays, (scale, kind == "causal", dropout, draw(st.integers(0, 2**62 - 1)))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_kernel_against_reference(case):
    (g, *arrays), options = case
    dtype = str(g.dtype)
    out, logs = kernels.attention[numpy](*arrays, *options)
    expected, expected_logs = kernels.attention.reference(*arrays, *options)
    close(out, expected, dtype)
    assert numpy.array_equal(numpy.isinf(logs), numpy.isinf(expected_logs))
    seen = numpy.isfinite(logs)
    close(logs[seen], expected_logs[seen], dtype)
    found = kernels.attention_backward[numpy](g, out, logs, *arrays, *options)
    wanted = kernels.attention_backward.reference(g, out, logs, *arrays, *options)
    for one, other in zip(found, wanted, strict=True):
        close(one, other, dtype)


@settings(max_examples=60, deadline=None)
@given(cases())
def test_op_against_torch(case):
    torch = pytest.importorskip("torch")
    (g, q, k, v, mask), (scale, causal, dropout, _) = case
    if dropout:
        return
    scale = abs(scale) or 1.0  # torch's causal mask times a negative scale lets the hidden keys win
    if mask is not None:  # a query that may attend to nothing gives NaN in some of torch's versions
        mask = mask.reshape(
            (1,) * (4 - mask.ndim) + mask.shape
        )  # torch wants two dimensions or more
        mask[..., 0] = True if mask.dtype == bool else 0

    def run(library, tensor):
        q_, k_, v_ = (tensor(x).requires_grad_() for x in (q, k, v))
        given = None if mask is None else tensor(mask)
        out = library.nn.functional.scaled_dot_product_attention(
            q_, k_, v_, given, is_causal=causal, scale=scale, enable_gqa=q.shape[1] != k.shape[1]
        )
        out.backward(tensor(g))
        return out.detach(), q_.grad, k_.grad, v_.grad

    ours = run(minigrad, lambda x: minigrad.tensor(x))
    theirs = run(torch, lambda x: torch.tensor(numpy.ascontiguousarray(x)))
    for one, other in zip(ours, theirs, strict=True):
        close(one, other.numpy(), str(g.dtype))


def tensors(*shapes, dtype="float32", seed=0, grad=True):
    random = numpy.random.default_rng(seed)
    return [
        minigrad.tensor(random.standard_normal(shape).astype(dtype), requires_grad=grad)
        for shape in shapes
    ]


@pytest.mark.parametrize(
    "shapes",
    [
        [(5, 4), (7, 4), (7, 3)],
        [(2, 5, 4), (2, 7, 4), (2, 7, 3)],
        [(3, 1, 2, 5, 4), (3, 2, 2, 7, 4), (1, 2, 2, 7, 3)],
        [(2, 1, 5, 4), (2, 3, 7, 4), (2, 3, 7, 3)],
        [(2, 3, 5, 4), (7, 4), (3, 7, 3)],
        [(0, 2, 5, 4), (0, 2, 7, 4), (0, 2, 7, 3)],
        [(2, 2, 0, 4), (2, 2, 7, 4), (2, 2, 7, 3)],
        [(2, 2, 5, 4), (2, 2, 0, 4), (2, 2, 0, 3)],
        [(2, 2, 5, 0), (2, 2, 7, 0), (2, 2, 7, 3)],
        [(2, 2, 5, 4), (2, 2, 7, 4), (2, 2, 7, 0)],
    ],
)
@pytest.mark.parametrize("kind", ["none", "causal", "bool", "float"])
def test_kernel_and_plain_ops_agree(shapes, kind):
    """For any number of leading dimensions, broadcast ones and empty ones."""
    rows, keys = shapes[0][-2], shapes[1][-2]
    random = numpy.random.default_rng(1)
    mask = {
        "bool": minigrad.tensor(random.random((rows, keys)) < 0.5),
        "float": minigrad.tensor(random.standard_normal((rows, keys)), requires_grad=True),
    }.get(kind, 0)
    inputs = tensors(*shapes, dtype="float64")
    inputs += [mask] if kind == "float" else []
    options = {"scale": 0.4, "causal": kind == "causal", "dropout": 0.2, "seed": 3}
    results = []
    for attend in (attention_fused, attention_fused.composite):
        out = attend(*inputs[:3], mask, **options)[0]
        weight = minigrad.arange(out.numel(), dtype=out.dtype).reshape(out.shape).cos()
        results.append([out, *minigrad.autograd.grad((out * weight).sum(), inputs)])
    for one, other in zip(*results, strict=True):
        close(one, other, "float64")


def test_gradients_by_finite_differences():
    q, k, v = tensors((1, 2, 3, 2), (1, 2, 4, 2), (1, 2, 4, 3), dtype="float64")
    hidden = minigrad.tensor([[True] * 4, [False] * 4, [True, False, True, True]])
    for options in ({"is_causal": True}, {"attn_mask": hidden}):

        def attend(q, k, v, options=options):
            return F.scaled_dot_product_attention(q, k, v, **options)

        assert minigrad.autograd.gradcheck(attend, (q, k, v))
        assert minigrad.autograd.gradgradcheck(attend, (q, k, v))


def test_a_query_that_may_attend_to_nothing_gives_zeros():
    q, k, v = tensors((1, 2, 70, 4), (1, 2, 600, 4), (1, 2, 600, 4))
    allowed = numpy.ones((70, 600), bool)
    allowed[[0, 69]] = False
    allowed[3, :512] = False  # nothing in the first block of keys, something in the second
    out = F.scaled_dot_product_attention(q, k, v, minigrad.tensor(allowed))
    out.sum().backward()
    assert not out.array[:, :, [0, 69]].any() and not q.grad.array[:, :, [0, 69]].any()
    assert out.array[:, :, 3].all() and q.grad.array[:, :, 3].all()
    assert all(numpy.isfinite(x.grad.array).all() for x in (q, k, v))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_nan_and_inf_reach_the_queries_that_see_them(bad):
    q, k, v = tensors((1, 1, 130, 4), (1, 1, 130, 4), (1, 1, 130, 4))
    with minigrad.no_grad():
        k[0, 0, 100, 0] = bad
        q[..., 0] = 1.0
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    out.sum().backward()
    assert numpy.isfinite(out.array[0, 0, :100]).all()
    assert numpy.isnan(out.array[0, 0, 100:]).all() and numpy.isnan(q.grad.array[0, 0, 100:]).all()


def bits(seed=0, dropout=0.2):
    minigrad.manual_seed(0)
    q, k, v, g = tensors(*[(2, 3, 300, 16)] * 4, seed=seed)
    out = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
    out.backward(g)
    return b"".join(x.array.tobytes() for x in (out, q.grad, k.grad, v.grad))


def test_same_bits_on_every_run_and_for_any_number_of_threads():
    before = minigrad.get_num_threads()
    try:
        results = []
        for threads in (2, 1, 2, 3):
            minigrad.set_num_threads(threads)
            results.append(bits())
    finally:
        minigrad.set_num_threads(before)
    assert len(set(results)) == 1


def test_dropout_keeps_the_mean_and_drops_its_share():
    minigrad.manual_seed(1)
    q, k = minigrad.zeros(4, 4, 200, 8), minigrad.zeros(4, 4, 200, 8)
    eye = minigrad.eye(200).expand(4, 4, 200, 200)  # so the output is the matrix of weights
    weights = F.scaled_dot_product_attention(q, k, eye, dropout_p=0.3).array * 200
    kept = weights > 0
    assert abs(kept.mean() - 0.7) < 5 * math.sqrt(0.21 / kept.size)
    numpy.testing.assert_allclose(weights[kept], 1 / 0.7, rtol=1e-5)
    again = F.scaled_dot_product_attention(q, k, eye, dropout_p=0.3).array
    assert (again > 0).mean() != kept.mean() or not numpy.array_equal(again > 0, kept)
    minigrad.manual_seed(1)
    first = F.scaled_dot_product_attention(q, k, eye, dropout_p=0.3).array
    assert numpy.array_equal(first > 0, kept)


def test_dropout_draws_nothing_where_there_is_none():
    state = minigrad.get_rng_state()
    q, k, v = tensors((2, 2, 4, 4), (2, 2, 4, 4), (2, 2, 4, 4))
    F.scaled_dot_product_attention(q, k, v)
    assert minigrad.equal(state, minigrad.get_rng_state())


@without_reference
def test_output_merges_heads_without_a_copy():
    projected = minigrad.randn(2, 9, 3 * 12)
    q, k, v = (x.view(2, 9, 3, 4).transpose(1, 2) for x in projected.split(12, 2))
    merged = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
    assert merged.is_contiguous() and merged.view(2, 9, 12).shape == (2, 9, 12)


def test_inputs_are_not_copied(monkeypatch):
    """Slices of one projection are read where they lie."""
    projected = numpy.zeros((2, 9, 36), numpy.float32)
    heads = projected[..., 12:24].reshape(2, 9, 3, 4).transpose(0, 2, 1, 3)
    assert kernels._readable(heads) is heads
    assert numpy.shares_memory(kernels._flat(heads), projected)


def test_a_mask_changed_in_place_is_noticed():
    q, k, v = tensors((1, 1, 3, 2), (1, 1, 3, 2), (1, 1, 3, 2))
    mask = minigrad.ones(3, 3, dtype=minigrad.bool)
    out = F.scaled_dot_product_attention(q, k, v, mask)
    mask[0, 1] = False
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        out.sum().backward()


def test_errors():
    q, k, v = tensors((2, 4, 5, 8), (2, 4, 6, 8), (2, 4, 6, 8))
    mask = minigrad.ones(5, 6, dtype=minigrad.bool)
    attend = F.scaled_dot_product_attention
    with pytest.raises(RuntimeError, match="Explicit attn_mask should not be set"):
        attend(q, k, v, mask, is_causal=True)
    with pytest.raises(RuntimeError, match="same last dimension"):
        attend(q, k[..., :3], v)
    with pytest.raises(RuntimeError, match="same length"):
        attend(q, k, v[:, :, :3])
    with pytest.raises(RuntimeError, match=r"attn_mask \(4, 6\) does not broadcast"):
        attend(q, k, v, mask[:4])
    with pytest.raises(RuntimeError, match="4 query heads can't share 3"):
        attend(q, k[:, :3], v[:, :3], enable_gqa=True)
    with pytest.raises(RuntimeError):
        attend(q, k[:, :3], v[:, :3])
    with pytest.raises(RuntimeError):
        attend(q, k.double(), v)


def test_the_two_ways_to_random_bits_agree():
    q = numpy.zeros((1, 1, 64, 4), numpy.float32)
    eye = numpy.eye(128, dtype=numpy.float32)[None, None]
    k = numpy.zeros((1, 1, 128, 4), numpy.float32)
    for seed in (0, 1, 2**31, 2**62 - 1):
        out, _ = kernels.attention[numpy](q, k, eye, None, 1.0, False, 0.4, seed)
        keep = random_bits.keep_mask(seed, 64 * 128, 0.4).reshape(64, 128)
        assert numpy.array_equal(out[0, 0] > 0, keep)


@pytest.mark.parametrize("seed", [0, 1, 12345, 2**40 + 1])
def test_random_bits_look_random(seed):
    n = 1 << 16
    one = numpy.unpackbits(random_bits.random_bits(seed, 0, n).view(numpy.uint8)).reshape(n, 32)
    two = numpy.unpackbits(random_bits.random_bits(seed + 1, 0, n).view(numpy.uint8)).reshape(n, 32)
    one, two = one * 2.0 - 1, two * 2.0 - 1
    bound = 5.5 / math.sqrt(n)  # of a mean of n numbers, each 1 or -1
    assert numpy.abs(one.mean(0)).max() < bound
    assert numpy.abs(one.T @ one / n - numpy.eye(32)).max() < bound
    assert numpy.abs(one.T @ two / n).max() < bound
    for lag in (1, 2, 64, 128, 1000):
        assert numpy.abs((one[lag:] * one[:-lag]).mean(0)).max() < bound
        assert numpy.abs((one[lag:] * two[:-lag]).mean(0)).max() < bound
    begun_later = random_bits.random_bits(seed, 1000, 10)
    assert numpy.array_equal(begun_later, random_bits.random_bits(seed, 0, 1010)[1000:])


@without_reference
def test_memory_stays_far_below_the_matrix_of_weights():
    (row,) = [row for row in attention_memory.table([2048]) if row["causal"]]
    assert row["kernel"] < row["matrix"] / 3 and row["kernel"] < row["plain"] / 10
    assert attention_memory.peak(attention_memory.by_kernel, 4096, False) < 6.4
    text = io.StringIO()
    attention_memory.show([row], text)
    assert "| 2,048 | yes | 16.0 |" in text.getvalue()


@without_reference
@pytest.mark.parametrize("batch, heads, length", [(2, 3, 5), (1, 1, 70), (3, 4, 64), (1, 2, 300)])
@pytest.mark.parametrize("causal", [False, True])
def test_gradients_of_thirds_of_one_array_are_thirds_of_one_array(batch, heads, length, causal):
    draw = numpy.random.default_rng(length)
    whole = draw.standard_normal((batch, length, 3, heads, 6))
    g = draw.standard_normal((batch, heads, length, 6))
    results = []
    for copied in (False, True):
        parts = [whole[:, :, i].transpose(0, 2, 1, 3) for i in range(3)]
        parts = [part.copy() for part in parts] if copied else parts
        options = None, 0.4, causal, 0.0, 0
        out, logs = kernels.attention[numpy](*parts, *options)
        results.append(kernels.attention_backward[numpy](g, out, logs, *parts, *options))
    for a, b in zip(*results, strict=True):
        assert (a == b).all()
    found, _ = results
    halved = batch * heads < kernels.FEW and length > 256  # then dq has a second part to be added
    assert all(x.base is found[0].base for x in found) == (not halved)


@without_reference
def test_the_gradient_of_a_split_is_not_copied_where_its_pieces_lie_side_by_side(monkeypatch):
    numbers = numpy.random.default_rng(0).standard_normal((2, 9, 24))

    def gradients(retain):
        x = minigrad.tensor(numbers, requires_grad=True)
        y = x * 1.0
        parts = [p.unflatten(2, (2, 4)).transpose(1, 2) for p in y.split(8, dim=2)]
        for p in (y, *parts[:retain]):
            p.retain_grad()
        out = F.scaled_dot_product_attention(*parts, is_causal=True)
        out.backward(minigrad.ones_like(out))
        return [x.grad, y.grad, *(p.grad for p in parts[:retain])]

    copies = []
    join = numpy.concatenate
    monkeypatch.setattr(numpy, "concatenate", lambda *a, **k: copies.append(1) or join(*a, **k))
    found = gradients(0)
    assert not copies
    kept = gradients(3)
    monkeypatch.setattr(shape, "_side_by_side", lambda pieces, dim: None)
    expected = gradients(3)
    assert copies
    for a, b in zip([*found, *kept], [*expected[:2], *expected], strict=True):
        assert (a == b).all()
    for gradient in kept:  # each has memory of its own
        gradient.zero_()
        assert sum(bool((g == 0).all()) for g in kept) == 1
        gradient.fill_(1.0)


@pytest.mark.parametrize("pieces", ["swapped", "one missing", "of different arrays", "cut"])
def test_pieces_that_are_not_the_whole_in_order_are_joined(pieces):
    x = minigrad.arange(24.0).reshape(2, 12).requires_grad_()
    g = numpy.random.default_rng(0).standard_normal((2, 12)).astype("float32")
    parts = [g[:, :4], g[:, 4:8], g[:, 8:]]
    if pieces == "swapped":
        parts = parts[::-1]
    elif pieces == "one missing":
        parts[1] = numpy.zeros_like(parts[1])
    elif pieces == "of different arrays":
        parts[2] = parts[2].copy()
    else:
        g = numpy.random.default_rng(0).standard_normal((2, 13)).astype("float32")
        parts = [g[:, :4], g[:, 4:8], g[:, 8:12]]
    minigrad.autograd.backward(x.split(4, dim=1), [minigrad.as_tensor(p) for p in parts])
    assert (x.grad.numpy() == numpy.concatenate(parts, 1)).all()

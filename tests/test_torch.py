"""The public names against torch: values, dtypes and gradients of expressions run on both sides.

Every line below is an expression in `t`, which stands for torch and for minigrad in turn; the other
names are tensors with the same numbers on both sides (see `names`). Values must be equal, and so
must the gradients for the floating inputs, of the result weighed with random numbers.
"""

import re

import numpy
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")

EXPRESSIONS = """
x.abs() | t.absolute(x) | t.acos(s) | t.arccos(s) | t.acosh(p + 1) | t.arccosh(p + 1) | x.add(y) | t.add(x, y, alpha=2)
t.asin(s) | t.arcsin(s) | t.asinh(x) | t.arcsinh(x) | t.atan(x) | t.arctan(x) | t.atan2(x, y) | t.arctan2(x, y)
t.atanh(s) | t.arctanh(s) | t.ceil(x) | x.clamp(-1, 1) | t.clamp(x, min=0.3) | t.clip(x, max=0.3) | t.clamp(x, y - 1, y + 1)
t.clamp_min(x, 0.1) | t.clamp_max(x, 0.1) | t.copysign(x, y) | x.cos() | x.cosh() | t.deg2rad(x) | t.rad2deg(x) | t.div(x, p)
t.divide(x, p, rounding_mode='floor') | t.div(x, p, rounding_mode='trunc') | t.true_divide(i, i + 1) | x.exp() | x.exp2()
x.expm1() | t.fix(x) | t.trunc(x) | x.floor() | t.floor_divide(x.detach(), p.detach()) | t.fmax(x, y) | t.fmin(x, y) | t.fmod(x, p) | t.frac(x)
t.heaviside(x.detach(), y.detach()) | t.hypot(x, y) | t.ldexp(x, i) | t.lerp(x, y, 0.3) | t.lerp(x, y, p) | p.log() | p.log10() | p.log1p()
p.log2() | t.logaddexp(x, y) | t.logaddexp2(x, y) | t.maximum(x, y) | t.minimum(x, y) | t.mul(x, y) | t.multiply(x, 2)
t.nan_to_num(x.detach() / 0, 1.0, 2.0, 3.0) | t.neg(x) | t.negative(x) | t.positive(x) | t.pow(p, y) | t.pow(x, 3) | t.pow(2.0, x)
x ** 2 | p ** 0.5 | 2 ** x | t.float_power(p, 2) | t.reciprocal(p) | t.remainder(x, p) | t.round(x) | t.round(x, decimals=1)
t.rsqrt(p) | t.rsub(x, y) | t.sign(x) | t.sgn(x.detach()) | x.sin() | x.sinh() | p.sqrt() | t.square(x) | x.sub(y, alpha=3) | t.subtract(x, y)
s.tan() | x.tanh() | t.addcmul(x, y, p, value=0.5) | t.addcdiv(x, y, p, value=0.5) | x.sigmoid() | t.erf(x) | t.erfc(x) | t.erfinv(s)
t.lgamma(p) | t.digamma(p) | t.polygamma(1, p) | t.logit(s * 0.4 + 0.5) | t.xlogy(p, p) | t.sinc(x) | t.i0(x) | t.special.expit(x)
t.special.entr(p) | t.special.xlog1py(x, p) | t.special.ndtr(x) | t.special.log_ndtr(x) | t.special.gammaln(p) | t.special.erfcx(p)
x.sum() | x.sum(0) | x.sum((0, 1), keepdim=True) | x.sum(dtype=t.float64) | i.sum() | t.nansum(x) | x.mean() | x.mean(-1) | t.nanmean(x, 1)
x.prod() | x.prod(1) | x.std() | x.std(0, unbiased=False) | x.var() | x.var(1, correction=0) | t.var_mean(x, 1) | t.std_mean(x, 0)
x.max() | x.max(1) | x.max(1).indices | t.max(x, y) | x.min() | x.min(0) | t.min(x, y) | x.amax(1) | x.amin((0, 1)) | t.aminmax(x)
x.argmax() | x.argmax(1) | x.argmin(0, keepdim=True) | x.logsumexp(1) | x.logsumexp((0, 1)) | x.cumsum(1) | x.cumprod(1) | t.logcumsumexp(x, 0)
t.cummax(x, 1) | t.cummin(x, 0) | b.any() | b.any(1) | b.all() | b.all(0) | t.count_nonzero(b) | t.count_nonzero(b, dim=1)
x.norm() | x.norm(1) | x.norm(2, dim=1) | x.norm(float('inf'), dim=0) | t.norm(x, p=3, dim=1, keepdim=True) | t.dist(x, y) | t.median(x)
t.median(x, 1) | t.nanmedian(x) | t.mode(i, 1) | t.quantile(x, 0.3) | t.quantile(x, t.tensor([0.1, 0.9], dtype=x.dtype), 1) | t.kthvalue(x, 2, 1)
x == y | x != y | x < y | x <= y | x > y | x >= y | t.eq(x, x) | t.ne(x, y) | t.lt(x, 0) | t.le(x, 0) | t.gt(x, 0) | t.ge(x, 0)
t.greater(x, y) | t.greater_equal(x, y) | t.less(x, y) | t.less_equal(x, y) | t.not_equal(x, y) | t.isclose(x, x + 1e-9) | t.allclose(x, y)
t.equal(x, x) | t.isnan(x) | t.isinf(x / 0) | t.isfinite(x) | t.isposinf(x / 0) | t.isneginf(x / 0) | t.isreal(x) | t.signbit(x)
t.logical_and(b, x > 0) | t.logical_or(b, x > 0) | t.logical_xor(b, x > 0) | t.logical_not(b) | i & 3 | i | 4 | i ^ 5 | ~i | i << 1 | i >> 1
t.bitwise_and(i, j) | t.bitwise_or(i, j) | t.bitwise_xor(i, j) | t.bitwise_not(b) | t.bitwise_left_shift(i, j) | t.bitwise_right_shift(i, j)
x.reshape(2, 6) | x.reshape(-1) | x.view(4, 3) | x.view_as(x.t()) if False else x.view(12) | x.reshape_as(m[:, :3].t()) | x.flatten() | q.flatten(1) | t.ravel(x)
x.unflatten(1, (2, -1)) | x.unsqueeze(1).squeeze(1) | t.squeeze(q[:1]) | x.unsqueeze(-1) | x.t() | x.T | q.mT | q.transpose(0, 2) | q.permute(2, 0, 1)
t.swapaxes(q, 0, 1) | t.swapdims(q, 0, 1) | t.movedim(q, 0, -1) | t.moveaxis(q, (0, 1), (2, 0)) | v.expand(3, 4) | v.expand_as(x) | v.expand(3, -1)
t.broadcast_to(v, (2, 4)) | t.broadcast_tensors(x, v) | t.broadcast_shapes((3, 1), (4,)) | x.repeat(2, 1) | x.repeat(2, 1, 2) | t.tile(x, (2,))
t.repeat_interleave(x, 2) | x.repeat_interleave(2, dim=1) | t.repeat_interleave(v, t.tensor([1, 0, 2, 1])) | t.cat([x, y]) | t.concat([x, y], 1)
t.concatenate([x, y], dim=-1) | t.stack([x, y]) | t.stack((x, y), -1) | t.hstack([x, y]) | t.vstack([x, v]) | t.dstack([x, y]) | t.column_stack([v, v])
t.row_stack([v, v]) | x.split(2, 1) | x.split([1, 3], 1) | x.chunk(2, 1) | x.chunk(3) | t.tensor_split(x, 3, 1) | t.tensor_split(x, (1, 3), 1) | t.hsplit(x, 2)
t.vsplit(x, [1]) | t.dsplit(q, 2) | x.unbind() | x.unbind(1) | x.flip(0) | x.flip([0, 1]) | t.fliplr(x) | t.flipud(x) | t.rot90(x) | t.rot90(x, 2) | x.roll(1)
x.roll((1, -1), (0, 1)) | q.diagonal(0, 1, 2) | t.diag(v) | t.diag(x) | t.diag_embed(x) | t.diagflat(x) | x.narrow(1, 1, 2) | x.select(0, 1) | v.unfold(0, 2, 1)
x.unfold(1, 2, 2) | t.atleast_1d(v.sum()) | t.atleast_2d(v) | t.atleast_3d(x) | t.block_diag(x, m) | x.t().contiguous() | x.clone() | x.tril() | x.triu(1)
t.as_strided(x, (2, 2), (4, 1), 1) | t.diff(x) | t.diff(x, n=2, dim=1) | t.numel(x) | x.nelement() | t.is_tensor(x) | t.is_floating_point(x)
x[0] | x[1:, ::2] | x[..., 1] | x[None, 0] | x[[0, 2]] | x[t.tensor([0, 2, 0])] | x[x > 0] | x[b] | x[t.tensor([0, 1]), t.tensor([1, 2])] | x[:, [1, 1, 3]]
x[-1, -1] | q[:, 1, [0, 2]] | q[0, ..., t.tensor([1, 0])] | x[t.tensor(1)] | x[True] | t.gather(x, 1, i[:, :2] % 4) | x.gather(0, i % 3)
x.scatter(1, k, y) | x.scatter(1, k, 2.0) | x.scatter_add(1, i % 4, y) | x.scatter_reduce(1, i % 4, y, 'sum') | x.scatter_reduce(1, i % 4, y, 'mean', include_self=False)
x.scatter_reduce(1, i % 4, y, 'amax') | x.scatter_reduce(1, i % 4, p, 'prod') | x.index_select(1, t.tensor([0, 3, 0])) | x.index_add(0, t.tensor([0, 2, 0]), y)
x.index_copy(0, t.tensor([2, 0]), y[:2]) | x.index_fill(1, t.tensor([0, 2]), 9.0) | x.index_put((t.tensor([0, 1]), t.tensor([2, 3])), v[:2])
x.index_put((t.tensor([0, 0]), t.tensor([2, 2])), v[:2], accumulate=True) | x.masked_fill(b, -1.0) | x.masked_select(b) | x.masked_scatter(b, y)
t.where(b, x, y) | t.where(b, x, 0.0) | t.where(b) | x.where(b, y) | t.take(x, i) | t.take_along_dim(x, i % 4, 1) | t.nonzero(b) | b.nonzero(as_tuple=True) | t.argwhere(b)
x.topk(2) | x.topk(2, 0, largest=False) | x.sort() | x.sort(0, descending=True) | x.argsort(1) | t.msort(x) | t.unique(i) | t.unique(i, return_inverse=True, return_counts=True)
t.unique_consecutive(t.tensor([1, 1, 2, 2, 2, 1]), return_counts=True) | t.bincount(i.flatten()) | t.bincount(i.flatten(), minlength=12) | t.histc(x, 5, -2, 2)
t.bucketize(x, v.detach().sort().values) | t.searchsorted(v.detach().sort().values, x, right=True) | t.isin(i, t.tensor([1, 2]))
x @ m | t.matmul(q, m) | q @ r | v @ m | x @ v | v @ v | t.mm(x, m) | t.bmm(q, r) | t.mv(x, v) | t.dot(v, v) | t.vdot(v, v) | t.inner(x, y) | t.outer(v, v) | t.ger(v, v)
t.addmm(z, x, m) | t.addmm(z, x, m, beta=0.5, alpha=2) | t.addmv(x[:, 0], x, v) | t.addr(x, x[:, 0], v) | t.addbmm(z, q, r) | t.baddbmm(z, q, r)
t.einsum('ij,jk->ik', x, m) | t.einsum('bij,bjk->bik', q, r) | t.einsum('ij->ji', x) | t.einsum('ij->', x) | t.einsum('ii->i', x[:, :3]) | t.einsum('i,j', v, v)
t.einsum('...ij,jk', q, m) | t.einsum('bij,bkj,bj->bik', q, q, q[:, 0]) | t.einsum('ij,ij->i', x, y) | t.einsum(x, [0, 1], m, [1, 2], [0, 2]) | t.einsum('ib,jb->ijb', x, y)
t.tensordot(x, m, 1) | t.tensordot(q, q, dims=([0, 2], [0, 2])) | t.kron(x, v) | t.trace(x) | t.cross(x[:, :3], y[:, :3], dim=1) | t.chain_matmul(x, m, m.t()) | t.cdist(x, y)
t.linalg.norm(x) | t.linalg.norm(x, 'fro') | t.linalg.norm(x, 1) | t.linalg.vector_norm(x, 3) | t.linalg.matrix_norm(x, float('inf')) | t.linalg.inv(a) | t.inverse(a)
t.det(a) | t.linalg.slogdet(a) | t.logdet(a @ a.t()) | t.linalg.solve(a, m[:3]) | t.linalg.cholesky(a @ a.t() + 3 * t.eye(3, dtype=x.dtype)) | t.linalg.svdvals(x)
t.linalg.eigvalsh(a + a.t()) | t.linalg.pinv(x) | t.matrix_power(a, 3) | t.linalg.matrix_power(a, -1) | t.linalg.multi_dot([x, m, m.t()]) | t.linalg.matrix_rank(x)
t.zeros(2, 3) | t.zeros((2, 3), dtype=t.int32) | t.ones(2) | t.full((2,), 7) | t.full((2,), 7.5) | t.zeros_like(x) | t.ones_like(i) | t.full_like(x, 2) | t.empty(0, 3)
x.new_zeros(2) | x.new_ones(2, 3) | x.new_full((2,), 5.0) | x.new_tensor([1, 2]) | t.arange(5) | t.arange(1, 2, 0.25) | t.arange(5.0) | t.arange(5, 0, -2) | t.linspace(0, 1, 7)
t.logspace(0, 2, 3) | t.eye(3) | t.eye(2, 3) | t.tril_indices(3, 3) | t.triu_indices(3, 4, 1) | t.meshgrid(v, v[:2], indexing='ij') | t.meshgrid(v, v[:2], indexing='xy')
t.cartesian_prod(v, v) | t.combinations(v) | t.tensor([1, 2]) | t.tensor([1.0, 2]) | t.tensor(True) | t.tensor([[1], [2]]) | t.tensor([x[0, 0].item()]) | t.as_tensor([1, 2]) | t.scalar_tensor(2)
t.range(0, 3) if False else t.arange(3) | x.float() | x.double() | x.long() | x.int() | x.bool() | x.half() | x.to(t.float32) | x.type(t.float32) | x.type_as(i) | i.float() | x.short() | b.byte()
i + 1.5 | i * x | b + 1 | i / 2 | i // 2 | i % 3 | t.tensor(3) * x | t.result_type(i, 1.5) | t.promote_types(t.int32, t.float16) | t.can_cast(t.float32, t.int32) | i.float().mean()
x.softmax(1) | x.log_softmax(0) | t.softmax(x, -1) | t.log_softmax(x, 1, dtype=t.float64) | x.relu() | t.relu(x) | t.selu(x) | t.celu(x) | t.prelu(x, v) | t.cosine_similarity(x, y)
x.size() | x.shape | x.size(1) | x.dim() | x.ndim | x.stride() | x.t().is_contiguous() | x.tolist() | len(x) | x[0, 0].item() | x.dtype | x.element_size() | i.type() | x.is_signed()
t.finfo(t.float32).eps | t.iinfo(t.int16).max | bool(x[0, 0] > -9) | int(i[0, 0]) | float(x[0, 0]) | [e.sum().item() for e in x] | t.get_default_dtype() | x.numpy(force=True).sum()
"""


def cases():
    for line in EXPRESSIONS.strip().splitlines():
        # `|` separates expressions, except in `i | 4`
        for part in line.replace("i | 4", "i \\ 4").split(" | "):
            yield part.replace("i \\ 4", "i | 4").strip()


def names(t, dtype):
    """The tensors that expressions use, with equal numbers on both sides."""
    rng = numpy.random.default_rng(7)
    floats = {
        "x": rng.standard_normal((3, 4)),
        "y": rng.standard_normal((3, 4)),
        "p": rng.uniform(0.3, 2, (3, 4)),
        "s": rng.uniform(-0.9, 0.9, (3, 4)),
        "v": rng.standard_normal(4),
        "m": rng.standard_normal((4, 5)),
        "q": rng.standard_normal((2, 3, 4)),
        "r": rng.standard_normal((2, 4, 5)),
        "z": rng.standard_normal((3, 5)),
        "a": rng.standard_normal((3, 3)) + 2 * numpy.eye(3),
    }
    found = {
        name: t.tensor(value.astype(dtype), requires_grad=True) for name, value in floats.items()
    }
    found["i"] = t.tensor(rng.integers(0, 9, (3, 4)))
    found["j"] = t.tensor(rng.integers(0, 3, (3, 4)))
    found["k"] = t.tensor(numpy.array([[0, 3, 1, 2], [2, 1, 0, 3], [3, 2, 1, 0]]))
    found["b"] = t.tensor(rng.random((3, 4)) > 0.4)
    return found


def flat(result):
    """All parts of a result: the tensors of tuples and named tuples one by one."""
    if isinstance(result, (tuple, list)) and not hasattr(result, "numel"):
        return [part for element in result for part in flat(element)]
    return [result]


def run(t, expression, dtype):
    inputs = names(t, dtype)
    parts = flat(eval(expression, {"t": t}, inputs))  # noqa: S307 - the table above
    rng = numpy.random.default_rng(11)
    total = 0
    for part in parts:
        if isinstance(part, t.Tensor) and part.requires_grad:
            weight = t.tensor(rng.standard_normal(tuple(part.shape))).to(part.dtype)
            total = total + (part * weight).sum().double()
    if isinstance(total, t.Tensor):
        total.backward()
    return parts, {n: x.grad for n, x in inputs.items() if getattr(x, "grad", None) is not None}


@pytest.mark.parametrize("expression", list(dict.fromkeys(cases())))
def test_expression(expression):
    expected, expected_grads = run(torch, expression, "float64")
    found, grads = run(mg, expression, "float64")
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, torch.Tensor):
            assert isinstance(ours, mg.Tensor)
            assert tuple(ours.shape) == tuple(theirs.shape)
            assert str(ours.dtype) == str(theirs.dtype)
            numpy.testing.assert_allclose(
                ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-6, atol=1e-9
            )
        elif isinstance(theirs, float):
            assert ours == pytest.approx(theirs, rel=1e-6)
        else:
            assert str(ours).replace("torch.cuda.", "torch.") == str(theirs)
    assert set(grads) == set(expected_grads)
    for name, grad in grads.items():
        numpy.testing.assert_allclose(
            grad.numpy(), expected_grads[name].numpy(), rtol=1e-5, atol=1e-8, err_msg=name
        )


@pytest.mark.parametrize("expression", list(dict.fromkeys(cases())))
def test_float32_stays_float32(expression):
    expected, expected_grads = run(torch, expression, "float32")
    found, grads = run(mg, expression, "float32")
    for ours, theirs in zip(found, expected, strict=True):
        if isinstance(theirs, torch.Tensor):
            assert str(ours.dtype) == str(theirs.dtype)
    for name, grad in grads.items():
        assert grad.dtype == mg.float32 and name in expected_grads


def test_at_least_250_names():
    used = set()
    for expression in cases():
        used |= set(re.findall(r"\bt\.(?:linalg\.|special\.)?(\w+)\(", expression))
        used |= set(re.findall(r"\b[a-z]\.(?!linalg|special)(\w+)\(", expression))
    assert len(used) >= 250, len(used)

"""Calls that autocast has something to say about, for torch and minigrad alike: name -> call(t, i).

t: torch or minigrad. i: inputs as that library's tensors; x (4, 8), y (8, 4), v (8), b (2, 4, 8),
c (2, 8, 4), p (4, 8) between 0 and 1, w (5, 8), k (3, 8, 2), e (2, 8, 6), q (8, 8), all of one dtype; and of
float32 always: f (4, 8), g (2, 4, 8), h (8, 4). classes (4), signs (4, 8) of -1 and 1.
"""

import numpy

SHAPES = {
    "x": (4, 8), "y": (8, 4), "v": (8,), "b": (2, 4, 8), "c": (2, 8, 4), "p": (4, 8), "w": (5, 8),
    "k": (3, 8, 2), "e": (2, 8, 6), "q": (8, 8), "f": (4, 8), "g": (2, 4, 8), "h": (8, 4),
}  # fmt: skip


class Inputs:
    """The inputs, as tensors of a library; `dtype` is that of all but the float32 ones."""

    def __init__(self, t, dtype, device="cpu"):
        rng = numpy.random.default_rng(5)
        for name, shape in SHAPES.items():
            values = rng.standard_normal(shape).astype("float32")
            values = 0.1 + 0.8 / (1 + numpy.exp(-values)) if name == "p" else values
            values = (
                values @ values.T + 8 * numpy.eye(8, dtype="float32") if name == "q" else values
            )
            tensor = t.tensor(values, dtype=t.float32, device=device)
            setattr(self, name, tensor if name in "fgh" else tensor.to(getattr(t, dtype)))
        self.classes = t.tensor([1, 3, 0, 7], device=device)
        signs = numpy.where(rng.standard_normal((4, 8)) > 0, 1.0, -1.0).astype("float32")
        self.signs = t.tensor(signs, device=device)


PRODUCTS = {
    "matmul": lambda t, i: t.matmul(i.x, i.h),
    "operator @": lambda t, i: i.f @ i.y,
    "matmul of vectors": lambda t, i: t.matmul(i.v, i.v),
    "matmul with a vector": lambda t, i: t.matmul(i.f, i.v),
    "matmul of a vector": lambda t, i: t.matmul(i.v, i.h),
    "mm": lambda t, i: t.mm(i.x, i.h),
    "bmm": lambda t, i: t.bmm(i.g, i.c),
    "addmm": lambda t, i: t.addmm(i.f[:, :4], i.x, i.h),
    "baddbmm": lambda t, i: t.baddbmm(i.b[:, :, :4], i.g, i.c),
    "addbmm": lambda t, i: t.addbmm(i.x[:, :4], i.g, i.c),
    "linear": lambda t, i: t.nn.functional.linear(i.f, i.w, i.w[:, 0]),
    "linear without bias": lambda t, i: t.nn.functional.linear(i.x, i.w),
    "conv1d": lambda t, i: t.nn.functional.conv1d(i.e, i.k, i.w[:3, 0]),
    "conv_transpose1d": lambda t, i: t.nn.functional.conv_transpose1d(i.e, i.k.transpose(0, 1)),
    "prelu": lambda t, i: t.nn.functional.prelu(i.x, i.f[0]),
    "attention": lambda t, i: t.nn.functional.scaled_dot_product_attention(i.g, i.b, i.b),
    "einsum of two": lambda t, i: t.einsum("ij,jk->ik", i.f, i.y.float()),
    "outer": lambda t, i: t.outer(i.v, i.v),
}
LOSSES = {
    "mse_loss": lambda t, i: t.nn.functional.mse_loss(i.x, i.f),
    "l1_loss": lambda t, i: t.nn.functional.l1_loss(i.x, i.f),
    "smooth_l1_loss": lambda t, i: t.nn.functional.smooth_l1_loss(i.x, i.f),
    "huber_loss": lambda t, i: t.nn.functional.huber_loss(i.x, i.f),
    "cross_entropy": lambda t, i: t.nn.functional.cross_entropy(i.x, i.classes),
    "cross_entropy of probabilities": lambda t, i: t.nn.functional.cross_entropy(i.x, i.p),
    "nll_loss": lambda t, i: t.nn.functional.nll_loss(i.x, i.classes),
    "binary_cross_entropy_with_logits": lambda t, i: (
        t.nn.functional.binary_cross_entropy_with_logits(i.x, i.p)
    ),
    "kl_div": lambda t, i: t.nn.functional.kl_div(i.x, i.p, reduction="batchmean"),
    "poisson_nll_loss": lambda t, i: t.nn.functional.poisson_nll_loss(i.x, i.p),
    "soft_margin_loss": lambda t, i: t.nn.functional.soft_margin_loss(i.x, i.signs),
    "hinge_embedding_loss": lambda t, i: t.nn.functional.hinge_embedding_loss(i.x, i.signs),
    "margin_ranking_loss": lambda t, i: t.nn.functional.margin_ranking_loss(i.x, i.p, i.signs),
    "cosine_embedding_loss": lambda t, i: t.nn.functional.cosine_embedding_loss(
        i.x, i.p, i.signs[:, 0]
    ),
    "triplet_margin_loss": lambda t, i: t.nn.functional.triplet_margin_loss(i.x, i.p, i.x + 1),
    "multi_margin_loss": lambda t, i: t.nn.functional.multi_margin_loss(i.x, i.classes),
}
REDUCTIONS = {
    "sum": lambda t, i: i.x.sum(),
    "sum over a dimension": lambda t, i: t.sum(i.x, 1),
    "mean": lambda t, i: i.x.mean(),
    "var": lambda t, i: i.x.var(),
    "prod": lambda t, i: t.prod(i.p, 1),
    "cumsum": lambda t, i: t.cumsum(i.x, 1),
    "cumprod": lambda t, i: t.cumprod(i.p, 1),
    "logsumexp": lambda t, i: t.logsumexp(i.x, 1),
    "norm": lambda t, i: t.norm(i.x),
    "vector_norm": lambda t, i: t.linalg.vector_norm(i.x),
    "amax": lambda t, i: t.amax(i.x, 1),
    "softmax": lambda t, i: t.softmax(i.x, -1),
    "log_softmax": lambda t, i: t.nn.functional.log_softmax(i.x, -1),
    "layer_norm": lambda t, i: t.nn.functional.layer_norm(i.x, (8,), i.f[0], i.f[1]),
    "layer_norm alone": lambda t, i: t.nn.functional.layer_norm(i.x, (8,)),
    "trace": lambda t, i: t.trace(i.q),
    "cdist": lambda t, i: t.cdist(i.x, i.w),
}
ELEMENTWISE = {
    "add": lambda t, i: i.x + i.f,
    "add alike": lambda t, i: i.x + i.p,
    "mul": lambda t, i: i.x * i.f,
    "exp": lambda t, i: t.exp(i.x),
    "expm1": lambda t, i: t.expm1(i.x),
    "log": lambda t, i: t.log(i.p),
    "log1p": lambda t, i: t.log1p(i.p),
    "pow": lambda t, i: i.p**2.5,
    "sqrt": lambda t, i: t.sqrt(i.p),
    "rsqrt": lambda t, i: t.rsqrt(i.p),
    "reciprocal": lambda t, i: t.reciprocal(i.p),
    "tanh": lambda t, i: t.tanh(i.x),
    "relu": lambda t, i: t.relu(i.x),
    "gelu": lambda t, i: t.nn.functional.gelu(i.x),
    "softplus": lambda t, i: t.nn.functional.softplus(i.x),
    "sigmoid": lambda t, i: t.sigmoid(i.x),
    "cat": lambda t, i: t.cat([i.x, i.f]),
    "stack": lambda t, i: t.stack([i.x, i.f]),
    "where": lambda t, i: t.where(i.x > 0, i.x, i.p),
    "embedding": lambda t, i: t.nn.functional.embedding(i.classes, i.q),
    "dot": lambda t, i: t.dot(i.v, i.v),
    "mv": lambda t, i: t.mv(i.x, i.v),
}
CASES = PRODUCTS | LOSSES | REDUCTIONS | ELEMENTWISE

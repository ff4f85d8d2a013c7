"""Cases that memory binds: embeddings, norms, cross-entropy, activations, dropout, optimizers.

n rows or numbers, D columns, C classes, V rows of a table, b bytes of a number. Bytes are those that
must be moved: each input read once, each result written once.
"""

import contextlib

import numpy
from minigrad.benchmarks.on_gpu.cases import ITEM, Built, case


def _gather(m, s):
    """(table, ids (n), how many different ids) of a batch of words."""
    ids = m.zipf_array(s.V, s.n)
    table = m.normal(s.V, s.D, grad=True)
    return table, m.place(ids), len(numpy.unique(ids))


def _embedding(m, s, around=contextlib.nullcontext):
    table, ids, different = _gather(m, s)
    b = ITEM[m.dtype]
    return Built(
        lambda: m.t.nn.functional.embedding(ids, table),
        {"table": table},
        bytes=((s.n + different) * s.D * b + 8 * s.n, (s.n + s.V) * s.D * b + 8 * s.n),
        around=around,
    )


WORDS = dict(
    sizes=dict(V=30_522, D=768, n=32_768),
    check=dict(V=3001, D=770, n=5000),
    tiny=dict(V=60, D=20, n=200),
)


@case("embedding", "(n + distinct) D b + 8 n; backward (n + V) D b + 8 n", **WORDS, quick=True)
def embedding(m, s):
    """Rows of a table, by ids that fall like 1 / rank; the gradient's sums in a fixed order"""
    return _embedding(m, s)


@case(
    "embedding, atomic", "as embedding", **WORDS, directions=("backward",), times=("float32",),
    checks=("float32",),  # numbers of 16 bits are rounded at every addition
)  # fmt: skip
def embedding_atomic(m, s):
    """The gradient by atomic additions here; torch as before"""

    @contextlib.contextmanager
    def atomic():
        before = m.t.are_deterministic_algorithms_enabled()
        m.t.use_deterministic_algorithms(False)
        try:
            yield
        finally:
            m.t.use_deterministic_algorithms(before)

    return _embedding(m, s, atomic)


ROWS = dict(sizes=dict(n=32_768, D=768), check=dict(n=667, D=770), tiny=dict(n=9, D=130))


def per_element(m, s, function, *weights):
    """A function of x (n, D), and of vectors of size D of these names."""
    x = m.normal(s.n, s.D, grad=True)
    inputs = {name: m.normal(s.D, grad=True) for name in weights}
    size = s.n * s.D * ITEM[m.dtype]
    return Built(
        lambda: function(x, *inputs.values()), {"x": x, **inputs}, bytes=(2 * size, 3 * size)
    )


@case("layer norm", "2 n D b; backward 3 n D b", **ROWS, quick=True)
def layer_norm(m, s):
    """Over the last dimension, with weight and bias"""
    norm = m.t.nn.functional.layer_norm
    return per_element(m, s, lambda x, w, b: norm(x, (s.D,), w, b), "weight", "bias")


@case(
    "layer norm, wide", "2 n D b; backward 3 n D b",
    sizes=dict(n=4096, D=8192), check=dict(n=99, D=8190), tiny=dict(n=3, D=1100), times=("float32",),
)  # fmt: skip
def layer_norm_wide(m, s):
    """The same for long rows"""
    return layer_norm(m, s)


@case("RMS norm", "2 n D b; backward 3 n D b", **ROWS)
def rms_norm(m, s):
    """Over the last dimension, with weight"""
    norm = m.t.nn.functional.rms_norm
    return per_element(m, s, lambda x, w: norm(x, (s.D,), w, 1e-6), "weight")


@case("GELU", "2 n D b; backward 3 n D b", **ROWS, quick=True)
def gelu(m, s):
    """x Phi(x)"""
    return per_element(m, s, m.t.nn.functional.gelu)


@case("GELU, tanh", "2 n D b; backward 3 n D b", **ROWS, times=("float32",))
def gelu_tanh(m, s):
    """GPT-2's approximation of it"""
    return per_element(m, s, lambda x: m.t.nn.functional.gelu(x, approximate="tanh"))


@case("dropout", "2 n D b", **ROWS, directions=("forward",), random=True)
def dropout(m, s):
    """A tenth of the numbers becomes 0"""
    x = m.normal(s.n, s.D)
    m.t.manual_seed(1)
    return Built(
        lambda: m.t.nn.functional.dropout(x, 0.1), bytes=(2 * s.n * s.D * ITEM[m.dtype], None)
    )


@case(
    "cross-entropy", "n C b; backward 2 n C b",
    sizes=dict(n=4096, C=32_000), check=dict(n=137, C=32_003), tiny=dict(n=5, C=403), quick=True,
)  # fmt: skip
def cross_entropy(m, s):
    """The mean over rows of logits"""
    logits, target = m.normal(s.n, s.C, grad=True), m.ids(s.C, s.n)
    size = s.n * s.C * ITEM[m.dtype]
    return Built(
        lambda: m.t.nn.functional.cross_entropy(logits, target),
        {"logits": logits},
        bytes=(size, 2 * size),
    )


@case(
    "cross-entropy, GPT-2's", "n C b; backward 2 n C b",
    sizes=dict(n=2048, C=50_257), check=dict(n=65, C=50_257), tiny=dict(n=3, C=1203),
)  # fmt: skip
def cross_entropy_gpt2(m, s):
    """With GPT-2's 50,257 classes, whose rows lie at odd addresses"""
    return cross_entropy(m, s)


def _bert_shapes(s):
    """The shapes of BERT's parameters: 110 million for V 30,522, D 768 and 12 layers."""
    D = s.D
    layer = [(D, D), (D,)] * 4 + [(4 * D, D), (4 * D,), (D, 4 * D), (D,)] + [(D,)] * 4
    return [(s.V, D), (512, D), (2, D), (D,), (D,), *layer * s.layers, (D, D), (D,)]


def _parameters(m, s):
    """(parameters with gradients, how many numbers they have)."""
    made = []
    for shape in _bert_shapes(s):
        parameter = m.normal(*shape, grad=True)
        parameter.grad = m.normal(*shape)
        made.append(parameter)
    return made, sum(p.numel() for p in made)


BERT = dict(
    sizes=dict(V=30_522, D=768, layers=12),
    check=dict(V=9001, D=100, layers=2),
    tiny=dict(V=91, D=12),
)
ONCE = dict(times=("float32",), checks=("float32",), directions=("forward",))


@case("AdamW", "7 n b (w, g, m, v read; w, m, v written)", **BERT, **ONCE, quick=True)
def adamw(m, s):
    """A step for the parameters of BERT base; fused=True in torch"""
    parameters, count = _parameters(m, s)
    optimizer = m.t.optim.AdamW(parameters, lr=1e-3, fused=True)
    return Built(
        optimizer.step,
        outputs=lambda: {f"parameter {i}": p for i, p in enumerate(parameters)},
        bytes=(7 * count * ITEM[m.dtype], None),
    )


@case("gradient clipping", "3 n b (g read for the norm; g read and written)", **BERT, **ONCE)
def clipping(m, s):
    """clip_grad_norm_ to 1 for the parameters of BERT base"""
    parameters, count = _parameters(m, s)
    norm = []

    def forward():
        norm[:] = [m.t.nn.utils.clip_grad_norm_(parameters, 1.0)]

    return Built(
        forward,
        outputs=lambda: (
            {"norm": norm[0]} | {f"gradient {i}": p.grad for i, p in enumerate(parameters)}
        ),
        bytes=(3 * count * ITEM[m.dtype], None),
    )

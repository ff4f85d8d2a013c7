"""Cases of the remaining kernels: activations, batch norm, optimizers, sparse rows, products of few rows.

What a model's speed hardly depends on is only checked, not timed. Letters as in kernels.py.
"""

import numpy
from minigrad.benchmarks.on_gpu.cases import ITEM, Built, case
from minigrad.benchmarks.on_gpu.kernels import per_element

SMALL = dict(sizes={}, check=dict(n=667, D=770), tiny=dict(n=5, D=70), times=())

for name in ("relu", "silu", "sigmoid", "erf"):

    @case(name, "", **SMALL)
    def activation(m, s, name=name):
        """One function of every number"""
        found = getattr(m.t.nn.functional, name, None) or getattr(m.t, name)
        return per_element(m, s, found)


@case(
    "batch norm", "n D b read twice, written once; backward 5 n D b",
    sizes=dict(n=32_768, D=768), check=dict(n=667, D=130), tiny=dict(n=9, D=10), times=("float32",),
)  # fmt: skip
def batch_norm(m, s):
    """In training, over the rows"""
    norm = m.t.nn.functional.batch_norm
    run = lambda x, w, b: norm(x, None, None, w, b, training=True)
    built = per_element(m, s, run, "weight", "bias")
    size = s.n * s.D * ITEM[m.dtype]
    built.bytes = 3 * size, 5 * size
    return built


@case(
    "RNN",
    "",
    sizes={},
    check=dict(B=13, T=20, D=70, H=133),
    tiny=dict(B=3, T=3, D=5, H=9),
    times=(),
)
def rnn(m, s):
    """tanh of sums, a layer over sequences"""
    module = m.model(m.t.nn.RNN(s.D, s.H))
    x = m.normal(s.T, s.B, s.D, grad=True)
    return Built(lambda: module(x)[0], {"x": x, **dict(module.named_parameters())})


@case(
    "linear of few rows", "(rows + columns) D b + rows columns b; backward twice that",
    sizes=dict(n=4, D=4096, F=4096), check=dict(n=3, D=515, F=333), tiny=dict(n=3, D=37, F=11),
    directions=("forward",),
)  # fmt: skip
def few_rows(m, s):
    """A token's or a small batch's product with a matrix, as when text is written"""
    x, w = m.normal(s.n, s.D), m.normal(s.F, s.D)
    size = (s.n * s.D + s.F * s.D + s.n * s.F) * ITEM[m.dtype]
    return Built(lambda: m.t.nn.functional.linear(x, w), bytes=(size, None))


@case(
    "linear and cross-entropy", "2 n C D; backward 4 n C D",
    sizes=dict(n=4096, D=768, C=32_000), check=dict(n=67, D=70, C=3003),
    tiny=dict(n=5, D=6, C=103), times=("float32",), checks=("float32", "tf32"),
)  # fmt: skip
def linear_cross_entropy(m, s):
    """A language model's last layer and its loss: one function here, which makes the gradients with the
    loss; two in torch"""
    F = m.t.nn.functional
    fused = getattr(F, "linear_cross_entropy", None)
    separate = lambda x, w, target: F.cross_entropy(F.linear(x, w), target)
    x, w = m.normal(s.n, s.D, grad=True), m.normal(s.C, s.D, scale=s.D**-0.5, grad=True)
    target = m.ids(s.C, s.n)
    flops = 2 * s.n * s.C * s.D
    return Built(
        lambda: (fused or separate)(x, w, target), {"x": x, "weight": w}, flops=(flops, 2 * flops)
    )


OPTIMIZERS = {
    "SGD": dict(lr=0.1, momentum=0.9, weight_decay=0.01),
    "Adam": dict(lr=1e-2, amsgrad=True),
    "Adamax": dict(lr=1e-2),
    "NAdam": dict(lr=1e-2),
    "RAdam": dict(lr=1e-2),
    "Adagrad": dict(lr=1e-2),
    "RMSprop": dict(lr=1e-2, momentum=0.5),
    "Adadelta": dict(lr=1.0),
}
ONCE = dict(times=(), checks=("float32",), directions=("forward",))

for name, options in OPTIMIZERS.items():

    @case(name, "", sizes={}, check=dict(n=300, D=770), tiny=dict(n=5, D=70), **ONCE)
    def optimizer(m, s, name=name, options=options):
        """Seven steps, each with another gradient"""
        parameters = [m.normal(s.n, s.D, grad=True), m.normal(s.D, grad=True)]
        chosen = getattr(m.t.optim, name)(parameters, **options)

        def forward():
            for _ in range(7):
                for parameter in parameters:
                    parameter.grad = m.normal(*parameter.shape)
                chosen.step()

        return Built(forward, outputs=lambda: {"matrix": parameters[0], "vector": parameters[1]})


for name, options in {"SGD": dict(lr=0.1), "Adagrad": {}, "SparseAdam": dict(lr=1e-2)}.items():

    @case(
        f"{name}, sparse", "", sizes={}, check=dict(V=3001, D=130, n=5000),
        tiny=dict(V=40, D=10, n=90), **ONCE,
    )  # fmt: skip
    def sparse(m, s, name=name, options=options):
        """Three steps for the rows of a table that a batch touches"""
        table = m.model(m.t.nn.Embedding(s.V, s.D, sparse=True))
        chosen = getattr(m.t.optim, name)(list(table.parameters()), **options)

        def forward():
            for _ in range(3):
                chosen.zero_grad()
                ids = m.place(numpy.asarray(m.zipf_array(s.V, s.n)))
                (table(ids) * m.normal(s.n, s.D)).sum().backward()
                chosen.step()

        return Built(forward, outputs=lambda: {"table": table.weight})

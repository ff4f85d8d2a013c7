"""Cases that arithmetic binds: convolutions, LSTM and GRU sequences, attention.

B batch, T time, D and H sizes of input and state, F filters of k words, h heads of d. Operations are
those of the matrix products, two for each multiplication.
"""

import functools

import numpy
from minigrad.benchmarks.on_gpu.cases import ALL, Built, case

TF32 = "float32", "tf32", "float16"
ODD = dict(B=5, D=70, T=85, F=101, k=3)
FEW = dict(B=2, D=10, T=9, F=6)


@case(
    "conv1d, TextCNN", "2 B (T - k + 1) F D k; backward twice that",
    sizes=dict(B=256, D=300, T=64, F=100, k=5), check=ODD | dict(k=5), tiny=FEW,
    times=TF32, checks=ALL, quick=True,
)  # fmt: skip
def conv1d(m, s):
    """Kim's widest filters over word vectors"""
    x, w = m.normal(s.B, s.D, s.T, grad=True), m.normal(s.F, s.D, s.k, grad=True)
    b = m.normal(s.F, grad=True)
    flops = 2 * s.B * (s.T - s.k + 1) * s.F * s.D * s.k
    return Built(
        lambda: m.t.nn.functional.conv1d(x, w, b),
        {"x": x, "weight": w, "bias": b},
        flops=(flops, 2 * flops),
    )


@case(
    "conv1d, wide", "2 B (T - k + 1) F D k; backward twice that",
    sizes=dict(B=64, D=512, T=512, F=512, k=3), check=ODD, tiny=FEW, times=TF32, checks=ALL,
)  # fmt: skip
def conv1d_wide(m, s):
    """Many channels and long sequences"""
    return conv1d(m, s)


@case(
    "conv1d, ReLU, max", "2 B (T - k + 1) F D k; backward 2 B F D k (1 place a filter) twice",
    sizes=dict(B=256, D=300, T=64, F=100, k=5), check=ODD, tiny=FEW, times=("float32",),
    checks=("float32",),  # rounding moves the place of a maximum, and the gradient with it
)  # fmt: skip
def conv1d_relu_max(m, s):
    """TextCNN's filters with their ReLU and maximum over time: one function here, three in torch"""
    F = m.t.nn.functional
    fused = getattr(F, "conv1d_relu_max", None)
    separate = lambda *arrays: F.relu(F.conv1d(*arrays)).amax(2)
    x, w = m.normal(s.B, s.D, s.T, grad=True), m.normal(s.F, s.D, s.k, grad=True)
    b = m.normal(s.F, grad=True)
    flops = 2 * s.B * s.F * s.D * s.k
    return Built(
        lambda: (fused or separate)(x, w, b),
        {"x": x, "weight": w, "bias": b},
        flops=((s.T - s.k + 1) * flops, 2 * flops),
    )


SEQUENCES = {  # hidden size and steps: (other sizes, check, precisions it is timed in); GRU's too
    (128, 100): (dict(B=32, D=100), dict(B=9, T=31, D=30, H=64), ("float32",)),
    (256, 50): (dict(B=32, D=256), dict(B=13, T=20, D=70, H=132), ("float32", "tf32")),
    (512, 100): (dict(B=64, D=512), dict(B=13, T=12, D=70, H=291), ("float32", "tf32")),
    (512, 200): (dict(B=64, D=512), dict(B=5, T=9, D=70, H=512), ("float32",)),
}


def _recurrent(m, s, layer, gates):
    """One layer over a whole sequence; weights are among what gradients are taken for."""
    module = m.model(layer(s.D, s.H))
    x = m.normal(s.T, s.B, s.D, grad=True)
    flops = 2 * s.T * s.B * gates * s.H * (s.D + s.H)
    return Built(
        lambda: module(x)[0],
        {"x": x, **dict(module.named_parameters())},
        flops=(flops, 2 * flops),
    )


for kind, gates in (("LSTM", 4), ("GRU", 3)):
    for (hidden, steps), (sizes, check, times) in SEQUENCES.items():

        @case(
            f"{kind} of {hidden}, {steps} steps", f"2 B T {gates} H (D + H); backward twice that",
            sizes=dict(H=hidden, T=steps, **sizes), check=check,
            tiny=dict(B=2, T=3, D=5, H=12 if hidden <= 256 else 260),  # above: another kernel
            times=times, checks=ALL if steps < 200 else ("float32",), quick=steps == 100,
        )  # fmt: skip
        def recurrent(m, s, kind=kind, gates=gates):
            """A layer over sequences"""
            return _recurrent(m, s, getattr(m.t.nn, kind), gates)


def attention_scopes(torch) -> dict:
    """{name: scope} of torch's other implementations of attention."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    kinds = {"flash": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
    return {name: functools.partial(sdpa_kernel, kind) for name, kind in kinds.items()}


def _attention(m, s, causal=True, masked=False):
    q, k, v = (m.normal(s.B, s.h, s.T, s.d, grad=True) for _ in range(3))
    mask = None
    if masked:  # keys that are padding, as in BERT's batches: at least half are kept
        lengths = m.random.integers(s.T // 2, s.T + 1, s.B)
        keep = numpy.arange(s.T) < lengths[:, None]
        mask = m.place(keep.reshape(s.B, 1, 1, s.T))
    flops = 4 * s.B * s.h * s.T**2 * s.d / (2 if causal else 1)
    return Built(
        lambda: m.t.nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=causal
        ),
        {"q": q, "k": k, "v": v},
        flops=(flops, 2.5 * flops),
    )


TOKENS = 16_384  # of a batch, whatever its length
for length in (512, 1024, 2048, 4096, 8192):

    @case(
        f"attention, causal, {length:,}", "2 B h T^2 d; backward 5/2 of that",
        sizes=dict(B=max(1, TOKENS // length), h=16, T=length, d=64),
        check=dict(B=2, h=3, T=333, d=64), tiny=dict(B=1, h=1, T=37, d=16),
        times=ALL if length in (512, 2048, 8192) else ("bfloat16",),
        checks=ALL if length == 512 else (), quick=length == 2048,
    )  # fmt: skip
    def attention(m, s):
        """A token looks at those before it"""
        return _attention(m, s)


@case(
    "attention, padded, 512", "4 B h T^2 d; backward 5/2 of that",
    sizes=dict(B=32, h=12, T=512, d=64), check=dict(B=3, h=4, T=200, d=64),
    tiny=dict(B=1, h=1, T=37, d=16),
    times=("float32", "bfloat16"), checks=ALL,
)  # fmt: skip
def attention_padded(m, s):
    """Keys after each sequence's end are hidden, as in BERT's batches"""
    return _attention(m, s, causal=False, masked=True)

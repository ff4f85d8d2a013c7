"""The models whose training steps are compared on a GPU, each written once for torch and minigrad.

A step is a function of a Maker and of its sizes; it gives the model and a function for the loss of one
batch. B batch, T time, V vocabulary, D embedding, H hidden.
"""

from types import SimpleNamespace

import numpy
from minigrad.benchmarks.on_gpu.sides import Maker
from minigrad.benchmarks.programs import bilstm_tagger, recurrent_classifier, text_cnn

STEPS: dict[str, tuple] = {}  # name: (build, {"full": sizes, "check": ..., "tiny": ...})


def step(name, tiny, check=(), **sizes):
    """Register a step: sizes that it is timed at; what differs on the stand-in; and for comparing."""

    def register(build):
        less = {**sizes, **tiny}
        STEPS[name] = build, {"full": sizes, "check": {**less, **dict(check)}, "tiny": less}
        return build

    return register


def build(name: str, maker: Maker, size: str, dropout: bool):
    """(model, loss function) of a step; without dropout for comparing. size: full, check or tiny."""
    function, sizes = STEPS[name]
    chosen = dict(sizes[size])
    if not dropout:
        chosen["dropout"] = 0.0
    return function(maker, SimpleNamespace(**chosen))


@step(
    "text MLP", tiny=dict(B=5, T=7, V=50, D=9, H=16),
    check=dict(B=31, T=70, V=900, D=90, H=160),
    B=512, T=256, V=30_000, D=300, H=512, classes=2, dropout=0.5,
)  # fmt: skip
def mlp(m, s):
    """The mean of word vectors, then an MLP"""
    nn = m.t.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(s.V, s.D)
            self.hidden = nn.Linear(s.D, s.H)
            self.dropout = nn.Dropout(s.dropout)
            self.output = nn.Linear(s.H, s.classes)

        def forward(self, x):
            x = self.embedding(x).mean(1)
            return self.output(self.dropout(nn.functional.relu(self.hidden(x))))

    model, x, y = m.model(Classifier()), m.ids(s.V, s.B, s.T), m.ids(s.classes, s.B)
    return model, lambda: nn.functional.cross_entropy(model(x), y)


@step(
    "TextCNN", tiny=dict(B=3, T=10, V=50, D=10, maps=4),
    B=256, T=64, V=20_000, D=300, widths=(3, 4, 5), maps=100, classes=2, dropout=0.5,
)  # fmt: skip
def textcnn(m, s):
    """Kim 2014, with a batch that fills a GPU"""
    model, x, y = m.model(text_cnn(m.t, s)), m.ids(s.V, s.B, s.T), m.ids(s.classes, s.B)
    return model, lambda: m.t.nn.functional.cross_entropy(model(x), y)


@step(
    "LSTM classifier", tiny=dict(B=3, T=7, V=50, D=6, H=8),
    check=dict(B=7, T=20, V=300, D=40, H=72),
    B=64, T=200, V=20_000, D=300, H=256, layers=2, classes=2, dropout=0.0,
)  # fmt: skip
def lstm(m, s):
    """Two layers; the last step's output decides"""
    model = m.model(recurrent_classifier(m.t, s, m.t.nn.LSTM))
    x, y = m.ids(s.V, s.B, s.T), m.ids(s.classes, s.B)
    return model, lambda: m.t.nn.functional.cross_entropy(model(x), y)


@step(
    "BiLSTM tagger", tiny=dict(B=3, T=7, V=50, D=6, H=8),
    check=dict(B=7, T=20, V=300, D=40, H=72),
    B=64, T=50, V=20_000, D=100, H=256, tags=17, dropout=0.0,
)  # fmt: skip
def tagger(m, s):
    """A tag for every word"""
    model, x, y = m.model(bilstm_tagger(m.t, s)), m.ids(s.V, s.B, s.T), m.ids(s.tags, s.B, s.T)
    return model, lambda: m.t.nn.functional.cross_entropy(model(x).view(-1, s.tags), y.view(-1))


def _block(m, s):
    """The class of a Transformer's block: pre-norm for GPT, post-norm with a mask for BERT."""
    nn, F = m.t.nn, m.t.nn.functional

    class Block(nn.Module):
        def __init__(self, causal):
            super().__init__()
            self.causal = causal
            self.ln_1 = nn.LayerNorm(s.D)
            self.attn = nn.Linear(s.D, 3 * s.D)
            self.proj = nn.Linear(s.D, s.D)
            self.ln_2 = nn.LayerNorm(s.D)
            self.up = nn.Linear(s.D, 4 * s.D)
            self.down = nn.Linear(4 * s.D, s.D)
            self.dropout = nn.Dropout(s.dropout)

        def attend(self, x, mask):
            B, T, D = x.shape
            heads = (B, T, s.heads, D // s.heads)
            q, k, v = (part.view(heads).transpose(1, 2) for part in self.attn(x).split(D, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=self.causal)
            return self.dropout(self.proj(y.transpose(1, 2).contiguous().view(B, T, D)))

        def mlp(self, x):
            return self.dropout(self.down(F.gelu(self.up(x))))

        def forward(self, x, mask=None):
            if self.causal:
                x = x + self.attend(self.ln_1(x), None)
                return x + self.mlp(self.ln_2(x))
            x = self.ln_1(x + self.attend(x, mask))
            return self.ln_2(x + self.mlp(x))

    return Block


@step(
    "GPT", tiny=dict(B=2, T=11, V=31, D=16, heads=2, layers=1),
    check=dict(B=3, T=75, V=131, D=96, heads=3, layers=2),
    B=64, T=256, V=65, D=384, heads=6, layers=4, dropout=0.2,
)  # fmt: skip
def gpt(m, s):
    """nanoGPT's sizes for a GPU, four layers"""
    nn, Block = m.t.nn, _block(m, s)

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = nn.Embedding(s.V, s.D)
            self.wpe = nn.Embedding(s.T, s.D)
            self.drop = nn.Dropout(s.dropout)
            self.blocks = nn.ModuleList([Block(True) for _ in range(s.layers)])
            self.ln_f = nn.LayerNorm(s.D)
            self.lm_head = nn.Linear(s.D, s.V, bias=False)
            self.wte.weight = self.lm_head.weight

        def forward(self, x):
            x = self.drop(self.wte(x) + self.wpe(places))
            for block in self.blocks:
                x = block(x)
            return self.lm_head(self.ln_f(x))

    model = m.model(GPT())
    places = m.place(numpy.arange(s.T))
    x, y = m.ids(s.V, s.B, s.T), m.ids(s.V, s.B, s.T)
    return model, lambda: nn.functional.cross_entropy(model(x).view(-1, s.V), y.view(-1))


@step(
    "MiniLM BERT", tiny=dict(B=2, T=10, V=50, D=16, heads=2, layers=1),
    check=dict(B=3, T=75, V=131, D=96, heads=3, layers=2),
    B=32, T=128, V=30_522, D=384, heads=12, layers=6, classes=2, dropout=0.1,
)  # fmt: skip
def bert(m, s):
    """Fine-tuning a BERT of MiniLM's size for two classes, with padding"""
    nn, Block = m.t.nn, _block(m, s)

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(s.V, s.D)
            self.positions = nn.Embedding(512, s.D)
            self.types = nn.Embedding(2, s.D)
            self.norm = nn.LayerNorm(s.D)
            self.dropout = nn.Dropout(s.dropout)
            self.blocks = nn.ModuleList([Block(False) for _ in range(s.layers)])
            self.pooler = nn.Linear(s.D, s.D)
            self.fc = nn.Linear(s.D, s.classes)

        def forward(self, x, mask):
            x = self.words(x) + self.positions(places) + self.types(kinds)
            x = self.dropout(self.norm(x))
            for block in self.blocks:
                x = block(x, mask)
            return self.fc(self.dropout(m.t.tanh(self.pooler(x[:, 0]))))

    model = m.model(Classifier())
    places, kinds = (m.place(x) for x in (numpy.arange(s.T), numpy.zeros((s.B, s.T), int)))
    lengths = m.random.integers(s.T // 2, s.T + 1, s.B)
    mask = m.place((numpy.arange(s.T) < lengths[:, None]).reshape(s.B, 1, 1, s.T))
    x, y = m.ids(s.V, s.B, s.T), m.ids(s.classes, s.B)
    return model, lambda: nn.functional.cross_entropy(model(x, mask), y)

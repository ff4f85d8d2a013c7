"""The training steps that are measured, each written once, for torch and minigrad alike.

A step is a function of `t` (torch, or minigrad in its place) and of its sizes `s`. It builds model
and data and returns a Program. Sizes are those of the papers or tutorials named; `small` ones are for
tests. B batch, T time, V vocabulary, D embedding, H hidden.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy


@dataclass
class Program:
    """One step that can be run again and again: `run` is timed, `value` tells what came out."""

    run: Callable[[], object]
    value: Callable[[], object]  # a tensor: the last loss, or outputs and gradients
    model: object = None  # whose initial weights are copied to the other side


@dataclass
class Step:
    name: str
    about: str
    build: Callable[..., Program]
    sizes: dict
    small: dict = field(default_factory=dict)

    def program(self, t, small: bool = False, **sizes) -> Program:
        """The step for torch or minigrad, at its own sizes but for those given."""
        unknown = sizes.keys() - self.sizes.keys()
        if unknown:
            raise ValueError(f"{self.name} has no sizes {sorted(unknown)}: {sorted(self.sizes)}")
        chosen = {**self.sizes, **(self.small if small else {}), **sizes}
        t.manual_seed(0)
        return self.build(t, SimpleNamespace(**chosen), numpy.random.default_rng(0))


STEPS: dict[str, Step] = {}


def step(name, small, **sizes):
    """Register a step under a name, with the sizes of the paper and small ones for tests."""

    def register(build):
        STEPS[name] = Step(name, build.__doc__.splitlines()[0], build, sizes, small)
        return build

    return register


def training(t, model, optimizer, loss, clip=None) -> Program:
    """The training step of every tutorial: zero_grad, forward and loss, backward, step."""
    last = []

    def run():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        if clip is not None:
            t.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        last[:] = [value.detach()]

    return Program(run, lambda: last[0], model)


def ints(t, random, high, *shape):
    return t.tensor(random.integers(0, high, shape))


# -- networks, which the benchmark of a GPU trains too ----------------------------------------------


def text_cnn(t, s):
    """Kim 2014: V words of D numbers, `maps` filters of each of the widths, dropout, classes."""
    nn, F = t.nn, t.nn.functional

    class TextCNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(s.V, s.D)
            self.convs = nn.ModuleList([nn.Conv1d(s.D, s.maps, width) for width in s.widths])
            self.dropout = nn.Dropout(s.dropout)
            self.fc = nn.Linear(s.maps * len(s.widths), s.classes)

        def forward(self, x):
            x = self.embedding(x).transpose(1, 2)  # (B, D, T)
            x = [F.relu(conv(x)).max(dim=2)[0] for conv in self.convs]
            return self.fc(self.dropout(t.cat(x, dim=1)))

    return TextCNN()


def recurrent_classifier(t, s, layer):
    """V words of D numbers, `layers` of layer (nn.LSTM or nn.GRU) of H; the last step decides."""
    nn = t.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(s.V, s.D)
            self.rnn = layer(s.D, s.H, num_layers=s.layers, batch_first=True)
            self.fc = nn.Linear(s.H, s.classes)

        def forward(self, x):
            output, _ = self.rnn(self.embedding(x))
            return self.fc(output[:, -1])

    return Classifier()


def bilstm_tagger(t, s):
    """V words of D numbers, an LSTM of H in each direction, a tag for every word."""
    nn = t.nn

    class Tagger(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(s.V, s.D)
            self.lstm = nn.LSTM(s.D, s.H, batch_first=True, bidirectional=True)
            self.fc = nn.Linear(2 * s.H, s.tags)

        def forward(self, x):
            output, _ = self.lstm(self.embedding(x))
            return self.fc(output)

    return Tagger()


# -- the steps --------------------------------------------------------------------------------------


@step(
    "mlp",
    small=dict(batch=4, words=5, V=40, D=6, H=8),
    batch=64, words=50, V=20_000, D=100, H=256, classes=2, dropout=0.5,
)  # fmt: skip
def mlp(t, s, random):
    """Bag of words, EmbeddingBag and an MLP, Adam"""
    nn = t.nn

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.EmbeddingBag(s.V, s.D, mode="mean")
            self.hidden = nn.Linear(s.D, s.H)
            self.dropout = nn.Dropout(s.dropout)
            self.output = nn.Linear(s.H, s.classes)

        def forward(self, texts, offsets):
            x = self.embedding(texts, offsets)
            return self.output(self.dropout(t.relu(self.hidden(x))))

    model = Classifier()
    texts = ints(t, random, s.V, s.batch * s.words)
    offsets = t.arange(0, s.batch * s.words, s.words)
    labels = ints(t, random, s.classes, s.batch)
    criterion = nn.CrossEntropyLoss()
    optimizer = t.optim.Adam(model.parameters())
    return training(t, model, optimizer, lambda: criterion(model(texts, offsets), labels))


@step(
    "textcnn",
    small=dict(batch=4, T=9, V=40, D=6, maps=5),
    batch=50, T=56, V=18_765, D=300, widths=(3, 4, 5), maps=100, classes=2, dropout=0.5,
)  # fmt: skip
def textcnn(t, s, random):
    """TextCNN at the sizes of Kim 2014, Adam"""
    model = text_cnn(t, s)
    texts = ints(t, random, s.V, s.batch, s.T)
    labels = ints(t, random, s.classes, s.batch)
    criterion = t.nn.CrossEntropyLoss()
    optimizer = t.optim.Adam(model.parameters())
    return training(t, model, optimizer, lambda: criterion(model(texts), labels))


def _recurrent_classifier(t, s, random, layer):
    model = recurrent_classifier(t, s, layer)
    texts = ints(t, random, s.V, s.batch, s.T)
    labels = ints(t, random, s.classes, s.batch)
    criterion = t.nn.CrossEntropyLoss()
    optimizer = t.optim.Adam(model.parameters())
    return training(t, model, optimizer, lambda: criterion(model(texts), labels))


_RECURRENT = dict(batch=32, T=100, V=10_000, D=100, H=128, layers=2, classes=2)
_RECURRENT_SMALL = dict(batch=3, T=7, V=40, D=6, H=5)


@step("lstm", small=_RECURRENT_SMALL, **_RECURRENT)
def lstm(t, s, random):
    """LSTM classifier, 2 layers, Adam"""
    return _recurrent_classifier(t, s, random, t.nn.LSTM)


@step("gru", small=_RECURRENT_SMALL, **_RECURRENT)
def gru(t, s, random):
    """GRU classifier, 2 layers, Adam"""
    return _recurrent_classifier(t, s, random, t.nn.GRU)


@step(
    "tagger",
    small=dict(batch=3, T=7, V=40, D=6, H=5, tags=4),
    batch=32, T=40, V=10_000, D=100, H=128, tags=17,
)  # fmt: skip
def tagger(t, s, random):
    """BiLSTM tagger, Adam"""
    model = bilstm_tagger(t, s)
    words = ints(t, random, s.V, s.batch, s.T)
    tags = ints(t, random, s.tags, s.batch, s.T)
    criterion = t.nn.CrossEntropyLoss()
    optimizer = t.optim.Adam(model.parameters())
    return training(
        t, model, optimizer, lambda: criterion(model(words).view(-1, s.tags), tags.view(-1))
    )


@step(
    "lm",
    small=dict(batch=3, T=6, V=40, D=6, H=6),
    batch=20, T=35, V=10_000, D=200, H=200, layers=2, clip=5.0,
)  # fmt: skip
def lm(t, s, random):
    """LSTM language model, the small one of Zaremba 2014, SGD, clipped"""
    nn = t.nn

    class LanguageModel(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(s.V, s.D)
            self.lstm = nn.LSTM(s.D, s.H, num_layers=s.layers)
            self.decoder = nn.Linear(s.H, s.V)
            for weight in self.parameters():
                nn.init.uniform_(weight, -0.1, 0.1)

        def forward(self, x, state):
            output, state = self.lstm(self.embedding(x), state)
            return self.decoder(output), state

    model = LanguageModel()
    words = ints(t, random, s.V, s.T + 1, s.batch)
    criterion = nn.CrossEntropyLoss()
    zeros = t.zeros(s.layers, s.batch, s.H)
    carried = [(zeros, zeros)]

    def loss():
        logits, state = model(words[:-1], tuple(part.detach() for part in carried[0]))
        carried[0] = state
        return criterion(logits.view(-1, s.V), words[1:].reshape(-1))

    optimizer = t.optim.SGD(model.parameters(), lr=1.0)
    return training(t, model, optimizer, loss, clip=s.clip)


@step(
    "sgns",
    small=dict(batch=6, V=40, D=5),
    batch=4096, negatives=5, V=30_000, D=100,
)  # fmt: skip
def sgns(t, s, random):
    """Skip-gram with negative sampling (Mikolov 2013), SGD"""
    nn = t.nn
    F = nn.functional

    class SkipGram(nn.Module):
        def __init__(self):
            super().__init__()
            self.centers = nn.Embedding(s.V, s.D)
            self.contexts = nn.Embedding(s.V, s.D)
            for table in (self.centers, self.contexts):
                nn.init.uniform_(table.weight, -0.5 / s.D**0.5, 0.5 / s.D**0.5)

        def forward(self, center, context, negative):
            v = self.centers(center)  # (B, D)
            positive = (v * self.contexts(context)).sum(dim=1)
            negative = t.bmm(self.contexts(negative), v.unsqueeze(2)).squeeze(2)
            return -(F.logsigmoid(positive) + F.logsigmoid(-negative).sum(dim=1)).mean()

    model = SkipGram()
    center, context = (ints(t, random, s.V, s.batch) for _ in range(2))
    negative = ints(t, random, s.V, s.batch, s.negatives)
    # word2vec's 0.025 for every pair; the loss is the mean over the batch
    optimizer = t.optim.SGD(model.parameters(), lr=0.025 * s.batch)
    return training(t, model, optimizer, lambda: model(center, context, negative))


@step("skipgram", small=dict(batch=6, V=40, D=5), batch=1024, V=30_000, D=100)
def skipgram(t, s, random):
    """Skip-gram with the full softmax, SGD"""
    nn = t.nn
    model = nn.Sequential(nn.Embedding(s.V, s.D), nn.Linear(s.D, s.V, bias=False))
    center, context = (ints(t, random, s.V, s.batch) for _ in range(2))
    optimizer = t.optim.SGD(model.parameters(), lr=1.0)
    return training(
        t, model, optimizer, lambda: nn.functional.cross_entropy(model(center), context)
    )


@step(
    "chargpt",
    small=dict(batch=2, T=6, V=11, D=8, heads=2, layers=2),
    batch=12, T=64, V=65, D=128, heads=4, layers=4, dropout=0.0,
)  # fmt: skip
def chargpt(t, s, random):
    """Character GPT, nanoGPT's for a CPU, AdamW"""
    nn = t.nn
    F = nn.functional

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1 = nn.LayerNorm(s.D)
            self.c_attn = nn.Linear(s.D, 3 * s.D)
            self.c_proj = nn.Linear(s.D, s.D)
            self.ln_2 = nn.LayerNorm(s.D)
            self.mlp_up = nn.Linear(s.D, 4 * s.D)
            self.mlp_down = nn.Linear(4 * s.D, s.D)
            self.gelu = nn.GELU()
            self.dropout = nn.Dropout(s.dropout)

        def attend(self, x):
            B, T, D = x.size()
            heads = (B, T, s.heads, D // s.heads)
            q, k, v = (part.view(heads).transpose(1, 2) for part in self.c_attn(x).split(D, dim=2))
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            y = y.transpose(1, 2).contiguous().view(B, T, D)
            return self.dropout(self.c_proj(y))

        def forward(self, x):
            x = x + self.attend(self.ln_1(x))
            return x + self.dropout(self.mlp_down(self.gelu(self.mlp_up(self.ln_2(x)))))

    class GPT(nn.Module):
        def __init__(self):
            super().__init__()
            self.wte = nn.Embedding(s.V, s.D)
            self.wpe = nn.Embedding(s.T, s.D)
            self.drop = nn.Dropout(s.dropout)
            self.blocks = nn.ModuleList([Block() for _ in range(s.layers)])
            self.ln_f = nn.LayerNorm(s.D)
            self.lm_head = nn.Linear(s.D, s.V, bias=False)
            self.wte.weight = self.lm_head.weight
            self.apply(self.init_weights)

        def init_weights(self, module):
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, mean=0.0, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

        def forward(self, idx):
            pos = t.arange(0, idx.size(1), dtype=t.long)
            x = self.drop(self.wte(idx) + self.wpe(pos))
            for block in self.blocks:
                x = block(x)
            return self.lm_head(self.ln_f(x))

    model = GPT()
    text = ints(t, random, s.V, s.batch, s.T + 1)
    x = text[:, :-1].contiguous()
    y = text[:, 1:].contiguous()

    def loss():
        logits = model(x)
        return F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))

    return training(t, model, t.optim.AdamW(model.parameters()), loss)


def _encoder(t, s):
    nn = t.nn
    layer = nn.TransformerEncoderLayer(
        s.D, s.heads, s.ff, dropout=s.dropout, activation="gelu", batch_first=True
    )
    return nn.TransformerEncoder(layer, s.layers)


@step(
    "maskedlm",
    small=dict(batch=2, T=8, V=40, D=8, heads=2, layers=2, ff=16, masked=0.4),
    batch=16, T=128, V=8_000, D=256, heads=4, layers=4, ff=1024, dropout=0.1, masked=0.15,
)  # fmt: skip
def maskedlm(t, s, random):
    """Masked language model on nn.TransformerEncoder, AdamW"""
    nn = t.nn

    class MaskedLM(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(s.V, s.D)
            self.positions = nn.Embedding(s.T, s.D)
            self.norm = nn.LayerNorm(s.D)
            self.dropout = nn.Dropout(s.dropout)
            self.encoder = _encoder(t, s)
            self.head = nn.Linear(s.D, s.V)

        def forward(self, x):
            positions = t.arange(x.size(1))
            x = self.dropout(self.norm(self.words(x) + self.positions(positions)))
            return self.head(self.encoder(x))

    model = MaskedLM()
    words = random.integers(1, s.V, (s.batch, s.T))
    hidden = random.random((s.batch, s.T)) < s.masked
    targets = t.tensor(numpy.where(hidden, words, -100))
    words = t.tensor(numpy.where(hidden, 0, words))  # word 0 stands for [MASK]
    criterion = nn.CrossEntropyLoss(ignore_index=-100)
    return training(
        t, model, t.optim.AdamW(model.parameters()),
        lambda: criterion(model(words).view(-1, s.V), targets.view(-1)),
    )  # fmt: skip


def _attention(t, s, random):
    shape = (s.batch, s.heads, s.T, s.D)
    q, k, v = (
        t.tensor(random.standard_normal(shape, dtype="float32"), requires_grad=True)
        for _ in range(3)
    )
    g = t.tensor(random.standard_normal(shape, dtype="float32"))
    last = []

    def run():
        q.grad = k.grad = v.grad = None
        out = t.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out.backward(g)
        last[:] = [out.detach()]

    return Program(run, lambda: t.stack([last[0], q.grad, k.grad, v.grad]))


_ATTENTION_SMALL = dict(batch=2, heads=2, T=9, D=4)


@step("attention512", small=_ATTENTION_SMALL, batch=4, heads=8, T=512, D=64)
def attention512(t, s, random):
    """Causal attention alone, forward and backward, 4 x 8 x 512 x 64"""
    return _attention(t, s, random)


@step("attention2048", small=_ATTENTION_SMALL, batch=1, heads=4, T=2048, D=64)
def attention2048(t, s, random):
    """Causal attention alone, forward and backward, 1 x 4 x 2048 x 64"""
    return _attention(t, s, random)


@step(
    "encoder",
    small=dict(batch=2, T=6, D=8, heads=2, layers=2, ff=16),
    batch=8, T=128, D=256, heads=4, layers=4, ff=1024, dropout=0.1,
)  # fmt: skip
def encoder(t, s, random):
    """nn.TransformerEncoder, inference"""
    model = _encoder(t, s).eval()
    x = t.tensor(random.standard_normal((s.batch, s.T, s.D), dtype="float32"))
    last = []

    def run():
        with t.no_grad():
            last[:] = [model(x)]

    return Program(run, lambda: last[0], model)

"""Whole models' training steps, captured in CUDA graphs and replayed beside the same steps without."""

import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import models, nn, optim

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(kernel.REFERENCE_ONLY, reason="products are captured by a kernel"),
]
SMALL = dict(vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)


def ids():
    return mg.randint(0, 20, (3, 7), device="cuda")


def numbers(*shape):
    return lambda: (mg.randn(*shape, device="cuda"),)


def squares(model, x):
    found = model(x)
    return (found[0] if isinstance(found, tuple) else found).square().mean()


def mixed(model, x):
    with mg.autocast("cuda", dtype=mg.bfloat16):
        y = model(x)
    return y.float().square().mean()


def next_token(model, x):
    return model(x, labels=x).loss


def encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    return nn.Sequential(nn.Embedding(20, 8), layer, nn.Linear(8, 20))


def llama():
    sizes = dict(intermediate_size=16, num_key_value_heads=1, max_position_embeddings=16)
    return models.LlamaForCausalLM(models.LlamaConfig(**SMALL, **sizes))


def bert():
    sizes = dict(intermediate_size=16, max_position_embeddings=16)
    return models.BertForSequenceClassification(models.BertConfig(**SMALL, **sizes))


def gpt2():
    config = models.GPT2Config(vocab_size=20, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    return models.GPT2LMHeadModel(config)


CASES = {
    "encoder": (encoder, lambda: (ids(), ids()),
                lambda m, x, y: F.cross_entropy(m(x).flatten(0, 1), y.flatten())),
    "batch norm": (lambda: nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(8), nn.ReLU()), numbers(6, 8),
                   squares),
    "lstm, two layers": (lambda: nn.LSTM(5, 6, 2, bidirectional=True, dropout=0.3), numbers(4, 3, 5),
                         squares),
    "rnn": (lambda: nn.RNN(5, 6), numbers(4, 3, 5), squares),
    "images": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.MaxPool2d(2)), numbers(2, 2, 6, 6), squares),
    "mixed precision": (lambda: nn.Sequential(nn.Linear(8, 8), nn.GELU(), nn.Linear(8, 2)),
                        numbers(6, 8), mixed),
    "gpt2": (gpt2, lambda: (ids(),), next_token),
    "llama": (llama, lambda: (ids(),), next_token),
    "bert": (bert, lambda: (ids(), mg.ones(3, 7, dtype=mg.int64, device="cuda"),
                            mg.tensor([0, 1, 1], device="cuda")),
             lambda m, x, mask, y: m(x, attention_mask=mask, labels=y).loss),
}  # fmt: skip


def train(case, replays):
    build, make, loss_of = case
    mg.manual_seed(0)
    model = build().to("cuda")
    inputs = make()
    optimizer = optim.AdamW(model.parameters(), lr=0.01, eps=1e-3, capturable=True)

    def step():
        optimizer.zero_grad()
        loss = loss_of(model, *inputs)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    losses = [step().item()]
    if replays:
        graph = mg.cuda.CUDAGraph()
        with mg.cuda.graph(graph):
            loss = step()
    for _ in range(3):
        if replays:
            graph.replay()
        else:
            loss = step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", CASES)
def test_replayed(name):
    losses = train(CASES[name], False)
    assert len(set(losses)) == 4
    mg.testing.assert_close(train(CASES[name], True), losses, rtol=1e-4, atol=1e-6)

"""Every family of models trains on the "cuda" device as on the CPU: losses, weights, what is decoded.

The CPU's kernels are left to their own tests: their references stand in for them.
"""

import numpy
import pytest
from minigrad.kernels import kernel
from stand_in import cuda  # noqa: F401

import minigrad as mg
import minigrad.nn.functional as F
from minigrad import models
from minigrad.models import decoding

DRAW = numpy.random.default_rng(0)
LENGTHS = numpy.array([6, 3, 1])
INSIDE = numpy.arange(6) < LENGTHS[:, None]
IDS = DRAW.integers(1, 12, (3, 6)) * INSIDE
OTHERS = DRAW.integers(1, 12, (3, 5))
LABELS = numpy.array([0, 2, 1])
TAGS = DRAW.integers(0, 4, (3, 6)) * INSIDE
CHARS = DRAW.integers(1, 9, (3, 6, 5)) * INSIDE[..., None]
COUNTS = [40, 21, 13, 8, 5, 3, 2, 1, 1]
WORDS, DRAWN = DRAW.integers(0, 9, (2, 7)), DRAW.integers(0, 9, (7, 3))
BAGS, OFFSETS = DRAW.integers(0, 9, 20), numpy.array([0, 3, 4, 8, 9, 13, 16])


@pytest.fixture(autouse=True)
def references(monkeypatch):
    monkeypatch.setattr(kernel, "REFERENCE_ONLY", True)


def words(logits, ids, at):
    """The loss of predicting words, padding left out."""
    return F.cross_entropy(logits.flatten(0, 1), at(ids).flatten(), ignore_index=0)


def classify(*inputs):
    return lambda model, at: F.cross_entropy(model(*map(at, inputs)), at(LABELS))


def tag(model, at):
    scores = model(at(IDS), at(LENGTHS), at(CHARS), at(IDS % 4))
    model.decode(scores, at(LENGTHS))
    return model.loss(scores, at(TAGS), at(LENGTHS))


def read_on(model, at):
    state = model.init_hidden(6)
    first, state = model(at(IDS), state)
    second, _ = model(at(OTHERS[:, [0, 1, 2, 3, 4, 0]]), state)
    return words(first, IDS, at) + words(second, IDS, at)


def translate(model, at):
    features, _ = model.features(at(IDS), at(OTHERS))
    return words(model.logits(features), OTHERS, at)


def glove(model, at):
    return model(*map(at, WORDS), at(numpy.linspace(1.0, 30.0, 7)))


SIZES = dict(
    vocab_size=20, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=10,
    max_position_embeddings=18,
)  # fmt: skip
LABELLED = {"input_ids": IDS, "attention_mask": INSIDE.astype(int), "labels": TAGS}


def pretrained(name, config, seen=LABELLED, **changes):
    def build():
        return getattr(models, name)(getattr(models, config)(**changes))

    return build, lambda model, at: model(**{key: at(value) for key, value in seen.items()}).loss


def word_vectors(model, *arrays, head="negative"):
    heads = {
        "negative": lambda: models.NegativeSampling(COUNTS, 6),
        "hierarchical": lambda: models.HierarchicalSoftmax(COUNTS, 6),
        "full": lambda: models.FullSoftmax(9, 6),
    }
    arrays = (*arrays, DRAWN) if head == "negative" else arrays
    return lambda: model(heads[head]()), lambda model, at: model(*map(at, arrays))


def rnn(**options):
    return lambda: models.RNNClassifier(12, 3, embed_dim=5, hidden_size=4, **options)


def seq2seq(**options):
    return lambda: models.Seq2Seq(
        12, 12, embed_dim=6, hidden_size=5, dropout=0.2, **options
    ), translate


def transformer(**options):
    sizes = dict(d_model=6, heads=2, layers=1, feedforward=7, max_length=9, dropout=0.1)
    return (
        lambda: models.Transformer(12, 12, **sizes, **options),
        lambda model, at: words(model(at(IDS), at(OTHERS)), OTHERS, at),
    )


TAGGER = dict(embed_dim=4, hidden_size=3, num_chars=9, char_dim=3, char_features=4)
FAMILIES = {
    "textcnn": (lambda: models.TextCNN(12, 3, embed_dim=6, num_filters=5), classify(IDS)),
    "textcnn_wide": (lambda: models.TextCNN(12, 3, embed_dim=6, wide=True), classify(IDS)),
    "textmlp": (lambda: models.TextMLP(6, 3), classify(IDS.astype("float64"))),
    "average": (lambda: models.AverageMLP(12, 3, embed_dim=5, word_dropout=0.3), classify(IDS)),
    "sentimentcnn": (lambda: models.SentimentCNN(12, 3, embedding_dim=6), classify(IDS)),
    "fasttext": (
        lambda: models.FastText(9, 3, 5),
        lambda model, at: F.cross_entropy(model(at(BAGS), at(OFFSETS[:3])), at(LABELS)),
    ),
    **{
        f"rnn_{pooling}_{cell}": (rnn(pooling=pooling, cell=cell), classify(IDS, LENGTHS))
        for pooling, cell in zip(
            ("last", "max", "mean", "kmax", "attention"),
            ("lstm", "gru", "rnn", "lstm", "gru"),
            strict=True,
        )
    },
    **{
        f"language_model_{cell}": (
            lambda cell=cell: models.RecurrentLM(12, 5, 5, 2, 0.2, cell=cell, tie_weights=True),
            read_on,
        )
        for cell in ("lstm", "gru", "rnn")
    },
    "tagger_cnn": (lambda: models.BiLSTMTagger(12, 4, **TAGGER, characters="cnn"), tag),
    "crf_lstm": (lambda: models.BiLSTMCRF(12, 4, **TAGGER, characters="lstm"), tag),
    "crf_caps": (lambda: models.BiLSTMCRF(12, 4, **TAGGER, num_caps=4, caps_dim=2), tag),
    "sutskever": seq2seq(cell="lstm", bidirectional=False, num_layers=2),
    "cho": seq2seq(context=True, bidirectional=False),
    "bahdanau": seq2seq(attention="bahdanau", readout=4),
    "luong": seq2seq(attention="general", input_feeding=True, cell="lstm"),
    "luong_concat": seq2seq(attention="concat", tied=True, readout=6),
    "transformer": transformer(tied=True, shared=True),
    "transformer_norm_first": transformer(norm_first=True, positions="learned"),
    "skip_gram": word_vectors(lambda head: models.SkipGram(9, 6, head), *WORDS),
    "skip_gram_tree": word_vectors(
        lambda head: models.SkipGram(9, 6, head), *WORDS, head="hierarchical"
    ),
    "cbow": word_vectors(lambda head: models.CBOW(9, 6, head), BAGS, OFFSETS, WORDS[0]),
    "cbow_full": word_vectors(
        lambda head: models.CBOW(9, 6, head), BAGS, OFFSETS, WORDS[0], head="full"
    ),
    "subwords": word_vectors(
        lambda head: models.SubwordSkipGram(9, 5, 6, head), BAGS, OFFSETS, WORDS[1]
    ),
    "glove": (lambda: models.GloVe(9, 5), glove),
    "bert": pretrained("BertForMaskedLM", "BertConfig", **SIZES),
    "bert_classes": pretrained(
        "BertForSequenceClassification", "BertConfig", LABELLED | {"labels": LABELS}, num_labels=3,
        **SIZES,
    ),
    "roberta": pretrained("RobertaForTokenClassification", "RobertaConfig", num_labels=4, **SIZES),
    "albert": pretrained("AlbertForMaskedLM", "AlbertConfig", embedding_size=6, **SIZES),
    "distilbert": pretrained(
        "DistilBertForMaskedLM", "DistilBertConfig", vocab_size=20, dim=12, n_layers=2, n_heads=2,
        hidden_dim=10, max_position_embeddings=18,
    ),
    "gpt2": pretrained(
        "GPT2LMHeadModel", "GPT2Config", vocab_size=20, n_embd=12, n_layer=2, n_head=2,
        n_positions=18,
    ),
    "llama": pretrained("LlamaForCausalLM", "LlamaConfig", **SIZES),
    "t5": pretrained(
        "T5ForConditionalGeneration", "T5Config", vocab_size=20, d_model=12, d_kv=4, d_ff=10,
        num_layers=1, num_heads=2, decoder_start_token_id=0,
    ),
    "bart": pretrained(
        "BartForConditionalGeneration", "BartConfig", vocab_size=20, d_model=12, encoder_layers=1,
        decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2, encoder_ffn_dim=10,
        decoder_ffn_dim=10, max_position_embeddings=18,
    ),
}  # fmt: skip


def train(family, device, dtype, steps):
    """Losses and weights of a few steps with dropout, clipping and a falling learning rate."""
    build, loss_of = FAMILIES[family]

    def at(array):
        tensor = mg.tensor(array).to(device)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    mg.manual_seed(1)
    model = build().to(dtype).to(device).train()
    optimizer = mg.optim.AdamW(model.parameters(), lr=0.01)
    schedule = mg.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, at)
        loss.backward()
        mg.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        assert loss.dtype == dtype
        for name, p in model.named_parameters():
            assert p.device.type == device, name
            assert p.grad is None or (p.grad.dtype, p.grad.device) == (dtype, p.device), name
    return losses, {name: p.detach().cpu().numpy() for name, p in model.state_dict().items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_training_is_that_of_the_cpu(family):
    (losses, weights), (expected, others) = (
        train(family, device, mg.float64, 3) for device in ("cuda", "cpu")
    )
    numpy.testing.assert_allclose(losses, expected, rtol=1e-9)
    assert list(weights) == list(others)
    for name, weight in weights.items():
        numpy.testing.assert_allclose(weight, others[name], rtol=1e-6, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_single_precision_by_the_kernels_of_the_device(family, monkeypatch):
    expected, _ = train(family, "cpu", mg.float32, 2)
    monkeypatch.setattr(kernel, "REFERENCE_ONLY", False)
    losses, _ = train(family, "cuda", mg.float32, 2)
    numpy.testing.assert_allclose(losses, expected, rtol=1e-4)


# -- what is generated -------------------------------------------------------------------------------

WRITERS = {
    "gpt2_greedy": ("gpt2", dict(do_sample=False)),
    "gpt2_sampled": ("gpt2", dict(do_sample=True, top_k=5, top_p=0.9, temperature=0.8)),
    "gpt2_beams": ("gpt2", dict(num_beams=3)),
    "llama": ("llama", dict(do_sample=False)),
    "t5": ("t5", dict(do_sample=False)),
    "bart_beams": ("bart", dict(num_beams=2)),
}


@pytest.mark.parametrize("name", WRITERS)
def test_generated_texts_are_those_of_the_cpu(name):
    family, options = WRITERS[name]
    found = []
    for device in ("cuda", "cpu"):
        mg.manual_seed(0)
        model = FAMILIES[family][0]().double().to(device).eval()
        mg.manual_seed(1)
        made = model.generate(mg.tensor(OTHERS, device=device), max_new_tokens=5, **options)
        assert made.device.type == device
        found.append(made.tolist())
    assert found[0] == found[1]


@pytest.mark.parametrize("family", ["sutskever", "bahdanau", "transformer"])
def test_translations_are_those_of_the_cpu(family):
    found = []
    for device in ("cuda", "cpu"):
        mg.manual_seed(0)
        model = FAMILIES[family][0]().double().to(device).eval()
        for search in (decoding.greedy, decoding.beam_search):
            start = model.start(mg.tensor(OTHERS, device=device))
            found.append(search(model.step, start, 3, 2, 3, max_length=5, device=device))
    for ours, expected in zip(found[:2], found[2:], strict=True):
        assert str(_words(ours)) == str(_words(expected))


def _words(found):
    """The tokens of a hypothesis, or of lists of them."""
    return [_words(part) for part in found] if isinstance(found, list) else list(found.tokens)

"""Recurrent translation and the Transformer: Multi30k, German to English, BLEU on test_2016_flickr.

BLEU by sacrebleu on lower-case words as the tokenizer `translation` cuts them (tokenize "none"), one
reference, beam search. The tutorials' figures are BLEU on lower-case spaCy tokens, greedy search.
A model is kept in the cache folder under papers/NAME, for pictures.
"""

import math
import time

from minigrad.text.datasets import cache_folder
from minigrad.text.translation import multi30k
from minigrad.train.progress import Progress
from minigrad.train.translation.settings import Seq2SeqSettings, TransformerSettings
from minigrad.train.translation.training import train_seq2seq
from minigrad.train.translation.translator import bleu

from .experiments import experiment

MEASURE = "BLEU"
DATA = "Multi30k de-en, test_2016_flickr"

COMMON = dict(
    cell="gru",
    attention=None,
    context=False,
    bidirectional=True,
    embed_dim=256,
    hidden_size=256,
    dropout=0.3,
    readout=None,
    reverse_source=False,
    batch_size=64,
    learning_rate=1e-3,
    decay_after=6,
    label_smoothing=0.1,
    epochs=10,
    beam=5,
    alpha=1.0,
    sentences=29000,  # of the training part
)


NOTE = (
    "The tutorials' models have 512 numbers a state, dropout 0.5, teacher forcing 0.5, no label "
    "smoothing and greedy search."
)
ALSO = ("greedy", "13a", "valid_perplexity")


def _sacrebleu_13a(translator, translations, pairs) -> float:
    """BLEU of joined, lower-case sentences against the raw reference, sacrebleu's own words."""
    import sacrebleu

    found = sacrebleu.corpus_bleu(
        [translator.join(words) for words in translations],
        [[target for _, target in pairs]],
        lowercase=True,
    )
    return found.score


def _run(name, settings, seed, kind=Seq2SeqSettings):
    own = dict(settings)
    beam, alpha, sentences = own.pop("beam"), own.pop("alpha"), own.pop("sentences")
    corpus = multi30k("de", "en")
    chosen = kind(**own, seed=seed)
    with Progress() as progress:
        result = train_seq2seq(corpus.train[:sentences], corpus.valid, chosen, progress=progress)
    translator, history = result.translator, result.trainer.history
    translator.save(cache_folder() / "papers" / name)
    words = [translator.tokenize(source) for source, _ in corpus.test]
    references = [translator.tokenize(target) for _, target in corpus.test]
    greedy = translator.translate_words(words, beam=1)
    begin = time.perf_counter()
    found = translator.translate_words(words, beam=beam, alpha=alpha)
    others = {
        "greedy": round(bleu(greedy, references), 2),
        "13a": round(_sacrebleu_13a(translator, found, corpus.test), 2),
        "valid_perplexity": round(math.exp(min(e.valid_loss for e in history.epochs)), 2),
        "epochs": len(history.epochs),
        "decoding_seconds": round(time.perf_counter() - begin, 1),
    }
    yield "test", bleu(found, references), others


@experiment(
    "multi30k_gru_attention",
    model="GRU encoder-decoder, Luong attention (general)",
    data=DATA,
    measure=MEASURE,
    paper="28.3 (pytorch-seq2seq, notebook 3: GRU with attention)",
    settings=COMMON | dict(attention="general"),
    note=NOTE,
    also=ALSO,
)
def multi30k_gru_attention(settings, seed):
    yield from _run("multi30k_gru_attention", settings, seed)


@experiment(
    "multi30k_gru",
    model="GRU encoder-decoder, the source's vector at every step (Cho et al. 2014)",
    data=DATA,
    measure=MEASURE,
    paper="20.6 (pytorch-seq2seq, notebook 2: GRU encoder-decoder)",
    settings=COMMON | dict(context=True, readout=256),
    note=NOTE,
    also=ALSO,
)
def multi30k_gru(settings, seed):
    yield from _run("multi30k_gru", settings, seed)


@experiment(
    "multi30k_lstm",
    model="LSTM encoder-decoder, source reversed (Sutskever et al. 2014)",
    data=DATA,
    measure=MEASURE,
    paper="13.8 (pytorch-seq2seq, notebook 1: LSTM encoder-decoder)",
    settings=COMMON | dict(cell="lstm", bidirectional=False, reverse_source=True),
    note=NOTE,
    also=ALSO,
)
def multi30k_lstm(settings, seed):
    yield from _run("multi30k_lstm", settings, seed)


@experiment(
    "multi30k_gru_bahdanau",
    model="GRU encoder-decoder, additive attention (Bahdanau et al. 2015)",
    data=DATA,
    measure=MEASURE,
    paper="28.3 (pytorch-seq2seq, notebook 3: GRU with attention)",
    settings=COMMON | dict(attention="bahdanau", readout=256),
    note=NOTE,
    also=ALSO,
)
def multi30k_gru_bahdanau(settings, seed):
    yield from _run("multi30k_gru_bahdanau", settings, seed)


@experiment(
    "multi30k_transformer",
    model="Transformer, 3 layers, 8 heads (Vaswani et al. 2017)",
    data=DATA,
    measure=MEASURE,
    paper="36.5 (pytorch-seq2seq, notebook 6: Transformer)",
    settings=dict(
        d_model=256,
        heads=8,
        layers=3,
        feedforward=512,
        dropout=0.1,
        inner_dropout=0.1,
        norm_first=True,
        tied=False,
        batch_size=64,
        learning_rate=0.5,
        warmup=500,
        label_smoothing=0.1,
        epochs=7,
        beam=5,
        alpha=1.0,
        sentences=29000,
    ),
    note=(
        "The tutorial's model has the same sizes and dropout, learned positions, norms behind the "
        "sub-layers, a constant learning rate of 5e-4, no label smoothing, 10 epochs, greedy search."
    ),
    also=ALSO,
)
def multi30k_transformer(settings, seed):
    yield from _run("multi30k_transformer", settings, seed, TransformerSettings)

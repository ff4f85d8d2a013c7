"""Taggers: named entities of CoNLL-2003, parts of speech of the English Web Treebank."""

from minigrad.text import conll
from minigrad.train.progress import TagProgress
from minigrad.train.tagging.tagger import TaggerSettings
from minigrad.train.tagging.training import train_tagger

from .experiments import experiment


def _run(data, settings, seed, vectors=None):
    chosen = TaggerSettings(**settings, entities=data.entities, seed=seed)
    with TagProgress() as progress:
        result = train_tagger(
            data.train, data.valid, data.test, chosen, vectors=vectors, progress=progress
        )
    best = result.trainer.history.best
    figures = {k: round(100 * v, 2) for k, v in result.figures.items() if k != "score"}
    figures |= {"validation": round(100 * best.valid_score, 2), "epoch": best.number}
    yield "test", 100 * result.figures["score"], figures


NER = {
    "model": "bilstm-crf", "characters": "cnn", "caps": True, "embed_dim": 100, "hidden_size": 100,
    "char_features": 50, "dropout": 0.5, "singletons": 0.5, "learning_rate": 2e-3, "decay": 0.05,
    "batch_size": 32, "epochs": 20, "patience": 5,
}  # fmt: skip


@experiment(
    "conll2003_bilstm_crf",
    model="BiLSTM-CRF, letters by a CNN, no pretrained vectors",
    data="CoNLL-2003",
    measure="F1 of entities, %",
    paper="90.94 (Lample et al. 2016), 91.21 (Ma & Hovy 2016)",
    settings=NER,
    note="both papers start from pretrained vectors, this does not",
)
def conll2003_bilstm_crf(settings, seed):
    """Words in lower case, digits alike; letters and kinds of capitals keep the case."""
    yield from _run(conll.conll2003(), settings, seed)


@experiment(
    "conll2003_bilstm",
    model="BiLSTM, words and capitals only",
    data="CoNLL-2003",
    measure="F1 of entities, %",
    paper="none found for this version of the data",
    settings=NER | {"model": "bilstm", "characters": None},
)
def conll2003_bilstm(settings, seed):
    """The same without CRF and letters."""
    yield from _run(conll.conll2003(), settings, seed)


@experiment(
    "conll2003_bilstm_crf_glove",
    model="BiLSTM-CRF, letters by a CNN, GloVe 6B 50d",
    data="CoNLL-2003",
    measure="F1 of entities, %",
    paper="90.94 (Lample et al. 2016), 91.21 (Ma & Hovy 2016)",
    settings=NER,
    note="both papers have vectors of 100 numbers",
)
def conll2003_bilstm_crf_glove(settings, seed):
    """Words start from GloVe's vectors, and go on learning."""
    from minigrad.text.vectors.glove_package import glove_package
    from minigrad.text.vectors.words import WordVectors

    yield from _run(conll.conll2003(), settings, seed, WordVectors(*glove_package()))


@experiment(
    "ewt_bilstm_upos",
    model="BiLSTM, letters by a CNN, no pretrained vectors",
    data="UD English-EWT, UPOS",
    measure="accuracy, %",
    paper="none found for this version of the data",
    settings=NER | {"model": "bilstm", "caps": False, "epochs": 12, "patience": 4},
)
def ewt_bilstm_upos(settings, seed):
    """A tag for each word of its own, by softmax."""
    yield from _run(conll.ud_en_ewt(), settings, seed)

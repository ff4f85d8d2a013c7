"""Word vectors by word2vec and fastText: ours and gensim's, trained on the same text, same settings."""

import time

from minigrad.benchmarks.papers.experiments import experiment

SETTINGS = dict(dim=100, window=5, min_count=5, negative=5, sample=1e-3, epochs=5, alpha=0.025)
NOTE = (
    "The paper's vectors are of a Wikipedia, some hundred times this text. The record has the "
    "pieces of the text, and the speeds in tokens a second of training. gensim's vectors are of the "
    "same text with the same settings."
)


def similarities(vectors, prefix: str = "") -> dict:
    """Spearman x 100 on WS-353 and MEN."""
    from minigrad.text.vectors.word_similarity import evaluate_similarity

    results = evaluate_similarity(vectors, sets=("WS-353", "MEN"))
    return {f"{prefix}{result.name}": round(100 * result.spearman, 2) for result in results}


def compare(settings: dict, seed: int, method: str):
    """Train ours, then gensim's, with the words of one vocabulary: Spearman x 100 of both."""
    from minigrad import get_num_threads
    from minigrad.text.corpora import english
    from minigrad.text.encoded import encode
    from minigrad.text.vectors.words import WordVectors
    from minigrad.train.vectors.word2vec import Trainer

    corpus = english()
    encoded = encode(corpus, settings["min_count"])
    trainer = Trainer(
        encoded,
        seed=seed,
        sg=method != "cbow",
        subwords=(3, 6, 2_000_000) if method == "fasttext" else None,
        **{name: settings[name] for name in ("dim", "window", "negative", "sample")},
    )
    begin = time.perf_counter()
    trainer.train(settings["epochs"], settings["alpha"])
    ours = time.perf_counter() - begin
    vectors = trainer.vectors()
    found = similarities(
        WordVectors(vectors.words, vectors.vectors)
    )  # seen words alone, as gensim's
    del trainer, vectors
    sentences = list(corpus)
    vectors, theirs = gensim_vectors(sentences, settings, seed, method, get_num_threads())
    if set(vectors.words) != set(encoded.words):
        raise RuntimeError("gensim has other words than we do: the comparison would not be fair")
    passed = encoded.tokens * settings["epochs"]
    others = {
        "MEN": found["MEN"],
        **similarities(vectors, "gensim "),
        "tokens/s": round(passed / ours),
        "gensim tokens/s": round(passed / theirs),
        "tokens": encoded.tokens,
        "words": len(encoded.words),
        "pieces": " ".join(corpus.names),
    }
    yield "WS-353", found["WS-353"], others


def gensim_vectors(sentences, settings: dict, seed: int, method: str, threads: int):
    """(gensim's vectors, the seconds that training took)."""
    from gensim.models import FastText, Word2Vec

    from minigrad.text.vectors.words import WordVectors

    model = (FastText if method == "fasttext" else Word2Vec)(
        vector_size=settings["dim"],
        sg=int(method != "cbow"),
        seed=seed + 1,
        workers=threads,
        **{name: settings[name] for name in ("window", "min_count", "negative", "sample", "alpha")},
    )
    model.build_vocab(sentences)
    begin = time.perf_counter()
    model.train(sentences, total_examples=model.corpus_count, epochs=settings["epochs"])
    seconds = time.perf_counter() - begin
    return WordVectors(model.wv.index_to_key, model.wv.vectors), seconds


def _enter(name, model, method, paper, **settings):
    @experiment(
        name,
        model=model,
        data="English text at hand, 14 M tokens",
        measure="Spearman's correlation x 100 on WS-353",
        paper=paper,
        settings=SETTINGS | settings,
        note=NOTE,
        also=("gensim WS-353", "MEN", "gensim MEN"),
    )
    def run(settings, seed):
        return compare(settings, seed, method)


_enter("word2vec_sg", "skip-gram", "sg", "72 (Wikipedia; Bojanowski 2017*, table 1)")
_enter("word2vec_cbow", "CBOW", "cbow", "73 (Wikipedia; Bojanowski 2017*, table 1)")
_enter("fasttext_sg", "fastText", "fasttext", "71 (Wikipedia; Bojanowski 2017*, table 1)")

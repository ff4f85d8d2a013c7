"""Vectors of sentences: Spearman's correlation with people's judgements on the STS benchmark's test."""

from .experiments import experiment

DATA = "STS benchmark, test"
MEASURE = "Spearman's correlation x 100"


@experiment(
    "stsb_minilm",
    model="all-MiniLM-L6-v2, as published",
    data=DATA,
    measure=MEASURE,
    paper="82.03 (the model's authors)",
    settings={},
)
def stsb_minilm(settings, seed):
    """The published weights, read and run here."""
    from minigrad.models import SentenceTransformer
    from minigrad.pretrained.minilm_package import minilm_folder
    from minigrad.text.pairs import stsb
    from minigrad.train.sentence_similarity import spearman

    model = SentenceTransformer(minilm_folder())
    yield "test", 100 * spearman(model.encode, stsb().test)


@experiment(
    "stsb_glove",
    model="mean of GloVe 6B vectors, 50 numbers",
    data=DATA,
    measure=MEASURE,
    paper="58.02 (300 numbers, 840 billion tokens; Reimers and Gurevych 2019)",
    settings=dict(tokenizer="words, marks left out"),
)
def stsb_glove(settings, seed):
    """Sentences as the mean of their words' vectors."""
    from minigrad.text.pairs import stsb
    from minigrad.text.tokenize import get_tokenizer
    from minigrad.text.vectors.glove_package import glove_package
    from minigrad.text.vectors.words import WordVectors
    from minigrad.train.sentence_similarity import average_of, spearman

    def words(text):
        return [word for word in get_tokenizer("words")(text) if word[0].isalnum()]

    encode = average_of(WordVectors(*glove_package()), words)
    yield "test", 100 * spearman(encode, stsb().test)

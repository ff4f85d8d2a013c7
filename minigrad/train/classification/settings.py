"""Settings: how a text classifier is built and trained, as one plain record that is saved with it."""

from dataclasses import dataclass

from ..recipe import Recipe


@dataclass
class Settings(Recipe):
    """What `train_text_classifier` needs to know; a model looks at those settings that concern it.

    How it is trained is a Recipe's options, all of which are settings too.
    `settings_for(name)` (train.models) gives the values that suit a model.
    """

    model: str = "textcnn"
    embed_dim: int = 128
    vectors: str | None = None  # "glove": start from pretrained vectors, whose size they then set
    vector_scale: float = 1.0  # pretrained vectors are multiplied by this
    static: bool = False  # pretrained vectors stay as they are
    embed_dropout: float = 0.0  # textcnn: of the word vectors
    wide: bool = True  # textcnn: zeros before and behind a text, as in Kim's experiments
    num_filters: int = 100
    kernel_sizes: tuple[int, ...] = (3, 4, 5)
    hidden_size: int = 128  # of a recurrent layer
    num_layers: int = 1
    bidirectional: bool = False
    pooling: str = "max"
    hidden_sizes: tuple[int, ...] = (100,)  # of the layers of textmlp and average
    ngrams: int = 2  # fasttext: up to so many words in a row
    buckets: int = 200_000
    tokenizer: str = "kim"
    min_freq: int = 1
    max_length: int = 400
    batch_size: int = 50
    max_norm: float = 3.0
    seed: int = 0

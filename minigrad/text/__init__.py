"""Text to numbers: tokenizers, vocabularies, padded batches, and the data sets of the tutorials."""

from .batch import BucketBatchSampler, collate_classification, pad_ids
from .datasets import TextDataset, data_home, load
from .language import Windows, batchify, load_corpus
from .tokenize import get_tokenizer
from .vectors.files import load_vectors, save_vectors
from .vectors.words import WordVectors
from .vocab import Vocab, build_vocab_from_iterator

__all__ = [
    "BucketBatchSampler",
    "TextDataset",
    "Vocab",
    "Windows",
    "WordVectors",
    "batchify",
    "build_vocab_from_iterator",
    "collate_classification",
    "data_home",
    "get_tokenizer",
    "load",
    "load_corpus",
    "load_vectors",
    "pad_ids",
    "save_vectors",
]

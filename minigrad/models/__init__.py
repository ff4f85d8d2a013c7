"""The models of the NLP tutorials, one readable file each."""

from .fasttext import FastText
from .rnn_classifier import RNNClassifier
from .sentimentcnn import SentimentCNN
from .textcnn import TextCNN
from .textmlp import AverageMLP, TextMLP

__all__ = ["AverageMLP", "FastText", "RNNClassifier", "SentimentCNN", "TextCNN", "TextMLP"]

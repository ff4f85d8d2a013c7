"""The models of the NLP tutorials, one readable file each."""

from .crf import CRF
from .fasttext import FastText
from .rnn_classifier import RNNClassifier
from .seq2seq import Seq2Seq
from .sentimentcnn import SentimentCNN
from .tagger import BiLSTMCRF, BiLSTMTagger, CharCNN, CharLSTM
from .textcnn import TextCNN
from .textmlp import AverageMLP, TextMLP

__all__ = [
    "AverageMLP",
    "BiLSTMCRF",
    "BiLSTMTagger",
    "CRF",
    "CharCNN",
    "CharLSTM",
    "FastText",
    "RNNClassifier",
    "SentimentCNN",
    "Seq2Seq",
    "TextCNN",
    "TextMLP",
]

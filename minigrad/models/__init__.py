"""The models of the NLP tutorials, one readable file each."""

from ..pretrained import AutoTokenizer, PreTrainedTokenizerFast
from .auto import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from .bert import (
    BertConfig,
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForNextSentencePrediction,
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from .crf import CRF
from .fasttext import FastText
from .glove import GloVe
from .language_model import RecurrentLM
from .rnn_classifier import RNNClassifier
from .sentence_bert import SentenceTransformer
from .seq2seq import Seq2Seq
from .sentimentcnn import SentimentCNN
from .tagger import BiLSTMCRF, BiLSTMTagger, CharCNN, CharLSTM
from .textcnn import TextCNN
from .textmlp import AverageMLP, TextMLP
from .transformer import Transformer
from .word2vec import (
    CBOW,
    FullSoftmax,
    HierarchicalSoftmax,
    NegativeSampling,
    SkipGram,
    SubwordSkipGram,
)

__all__ = [
    "AutoConfig",
    "AutoModel",
    "AutoModelForMaskedLM",
    "AutoModelForMultipleChoice",
    "AutoModelForNextSentencePrediction",
    "AutoModelForPreTraining",
    "AutoModelForQuestionAnswering",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
    "AverageMLP",
    "BertConfig",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "BiLSTMCRF",
    "BiLSTMTagger",
    "CBOW",
    "CRF",
    "CharCNN",
    "CharLSTM",
    "FastText",
    "FullSoftmax",
    "GloVe",
    "HierarchicalSoftmax",
    "NegativeSampling",
    "PreTrainedTokenizerFast",
    "RNNClassifier",
    "RecurrentLM",
    "SentenceTransformer",
    "SentimentCNN",
    "Seq2Seq",
    "SkipGram",
    "SubwordSkipGram",
    "TextCNN",
    "TextMLP",
    "Transformer",
]

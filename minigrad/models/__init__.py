"""The models of the NLP tutorials, one readable file each."""

from ..pretrained import AutoTokenizer, PreTrainedTokenizerFast
from .albert import (
    AlbertConfig,
    AlbertForMaskedLM,
    AlbertForMultipleChoice,
    AlbertForPreTraining,
    AlbertForQuestionAnswering,
    AlbertForSequenceClassification,
    AlbertForTokenClassification,
    AlbertModel,
)
from .auto import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForMultipleChoice,
    AutoModelForNextSentencePrediction,
    AutoModelForPreTraining,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from .bart import (
    BartConfig,
    BartForConditionalGeneration,
    BartForQuestionAnswering,
    BartForSequenceClassification,
    BartModel,
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
from .distilbert import (
    DistilBertConfig,
    DistilBertForMaskedLM,
    DistilBertForMultipleChoice,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
)
from .fasttext import FastText
from .glove import GloVe
from .gpt import GPT, GPTConfig
from .gpt2 import (
    GPT2Config,
    GPT2ForQuestionAnswering,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2LMHeadModel,
    GPT2Model,
)
from .gpt3 import GPT3_SIZES, gpt2_parameters, gpt3_config
from .language_model import RecurrentLM
from .llama import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    LlamaModel,
)
from .marian import MarianConfig, MarianModel, MarianMTModel
from .pegasus import PegasusConfig, PegasusForConditionalGeneration, PegasusModel
from .rnn_classifier import RNNClassifier
from .roberta import (
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForMultipleChoice,
    RobertaForQuestionAnswering,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
)
from .sentence_bert import SentenceTransformer
from .sentence_classifier import BertForSentenceClassification
from .seq2seq import Seq2Seq
from .sentimentcnn import SentimentCNN
from .t5 import (
    T5Config,
    T5EncoderModel,
    T5ForConditionalGeneration,
    T5ForSequenceClassification,
    T5ForTokenClassification,
    T5Model,
)
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
    "AlbertConfig",
    "AlbertForMaskedLM",
    "AlbertForMultipleChoice",
    "AlbertForPreTraining",
    "AlbertForQuestionAnswering",
    "AlbertForSequenceClassification",
    "AlbertForTokenClassification",
    "AlbertModel",
    "AutoConfig",
    "AutoModel",
    "AutoModelForCausalLM",
    "AutoModelForMaskedLM",
    "AutoModelForMultipleChoice",
    "AutoModelForNextSentencePrediction",
    "AutoModelForPreTraining",
    "AutoModelForQuestionAnswering",
    "AutoModelForSeq2SeqLM",
    "AutoModelForSequenceClassification",
    "AutoModelForTokenClassification",
    "AutoTokenizer",
    "AverageMLP",
    "BartConfig",
    "BartForConditionalGeneration",
    "BartForQuestionAnswering",
    "BartForSequenceClassification",
    "BartModel",
    "BertConfig",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForQuestionAnswering",
    "BertForSentenceClassification",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertModel",
    "BiLSTMCRF",
    "BiLSTMTagger",
    "CBOW",
    "CRF",
    "CharCNN",
    "CharLSTM",
    "DistilBertConfig",
    "DistilBertForMaskedLM",
    "DistilBertForMultipleChoice",
    "DistilBertForQuestionAnswering",
    "DistilBertForSequenceClassification",
    "DistilBertForTokenClassification",
    "DistilBertModel",
    "FastText",
    "FullSoftmax",
    "GPT",
    "GPT2Config",
    "GPT2ForQuestionAnswering",
    "GPT2ForSequenceClassification",
    "GPT2ForTokenClassification",
    "GPT2LMHeadModel",
    "GPT2Model",
    "GPT3_SIZES",
    "GPTConfig",
    "GloVe",
    "HierarchicalSoftmax",
    "LlamaConfig",
    "LlamaForCausalLM",
    "LlamaForSequenceClassification",
    "LlamaForTokenClassification",
    "LlamaModel",
    "MarianConfig",
    "MarianMTModel",
    "MarianModel",
    "NegativeSampling",
    "PegasusConfig",
    "PegasusForConditionalGeneration",
    "PegasusModel",
    "PreTrainedTokenizerFast",
    "RNNClassifier",
    "RecurrentLM",
    "RobertaConfig",
    "RobertaForMaskedLM",
    "RobertaForMultipleChoice",
    "RobertaForQuestionAnswering",
    "RobertaForSequenceClassification",
    "RobertaForTokenClassification",
    "RobertaModel",
    "SentenceTransformer",
    "SentimentCNN",
    "Seq2Seq",
    "SkipGram",
    "SubwordSkipGram",
    "T5Config",
    "T5EncoderModel",
    "T5ForConditionalGeneration",
    "T5ForSequenceClassification",
    "T5ForTokenClassification",
    "T5Model",
    "TextCNN",
    "TextMLP",
    "Transformer",
    "gpt2_parameters",
    "gpt3_config",
]

"""RoBERTa: BERT's encoder, trained for longer on more text, without the task of the next sentence.

Liu et al. 2019, "RoBERTa: A Robustly Optimized BERT Pretraining Approach" (arXiv:1907.11692).
Layers and parameters' names are BERT's; positions and two heads are its own.

B texts, T tokens, H hidden size, V vocabulary, C classes.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from ..pretrained import (
    ForMaskedLM,
    ForMultipleChoice,
    ForQuestionAnswering,
    ForSequenceClassification,
    ForTokenClassification,
)
from .bert import BertConfig, BertModel, BertPreTrainedModel
from .bert_layers import BertEmbeddings


class RobertaConfig(BertConfig):
    """Sizes and options; the defaults are those of transformers.

    roberta-base has max_position_embeddings=514, layer_norm_eps=1e-5, type_vocab_size=1.
    """

    model_type = "roberta"

    vocab_size: int = 50265
    pad_token_id: int | None = 1
    bos_token_id: int | None = 0
    eos_token_id: int | None = 2

    def check(self) -> None:
        """ValueError for what this encoder can't be."""
        super().check()
        if self.pad_token_id is None:
            raise ValueError(
                f"{type(self).__name__}: positions count from pad_token_id, it is None"
            )
        if self.max_position_embeddings <= self.pad_token_id + 1:
            raise ValueError(
                f"{type(self).__name__}: positions begin at {self.pad_token_id + 1} (pad_token_id + 1), "
                f"max_position_embeddings must be larger, not {self.max_position_embeddings}"
            )


class RobertaEmbeddings(BertEmbeddings):
    """BERT's embeddings, with places counted from pad_token_id + 1 and over padding.

    position_t = pad + (w_t != pad) sum_{s <= t} (w_s != pad); the row of padding stays zero.
    """

    def __init__(self, config):
        super().__init__(config)
        self.padding_idx = config.pad_token_id
        self.position_embeddings = nn.Embedding(
            config.max_position_embeddings, config.hidden_size, padding_idx=self.padding_idx
        )

    def positions(self, input_ids, words):
        """The place of every token, (B, T); (1, T) without ids, where no padding can be seen."""
        if input_ids is None:
            return super().positions(input_ids, words) + self.padding_idx + 1
        real = (input_ids != self.padding_idx).long()
        return real.cumsum(1) * real + self.padding_idx


class RobertaPreTrainedModel(BertPreTrainedModel):
    """What all of RoBERTa's models share."""

    config_class = RobertaConfig
    base_model_prefix = "roberta"

    def longest_input(self) -> int:
        """max_position_embeddings, without those up to pad_token_id, which no token has."""
        return self.config.max_position_embeddings - self.config.pad_token_id - 1


class RobertaModel(RobertaPreTrainedModel, BertModel):
    """input_ids (B, T) -> last_hidden_state (B, T, H), pooler_output (B, H); inputs as BertModel's.

    Padding is told by pad_token_id for positions, by attention_mask for attention: pass both.
    """

    embeddings_class = RobertaEmbeddings


# -- heads ---------------------------------------------------------------------------------------


class RobertaLMHead(nn.Module):
    """Scores of all words, (B, T, H) -> (B, T, V): LayerNorm(gelu(Linear(x))) E^T + bias.

    E is the table of word vectors.
    """

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x):
        return self.decoder(self.layer_norm(F.gelu(self.dense(x))))


class RobertaForMaskedLM(ForMaskedLM, RobertaPreTrainedModel):
    """Which word stands where one is masked."""

    encoder_class = RobertaModel
    tied_weights = {
        "lm_head.decoder.weight": "roberta.embeddings.word_embeddings.weight",
        "lm_head.decoder.bias": "lm_head.bias",
    }

    def build(self, config) -> None:
        """Make the head of words."""
        self.lm_head = RobertaLMHead(config)

    def words(self, states):
        """Scores of all words (B, T, V)."""
        return self.lm_head(states)


class RobertaClassificationHead(nn.Module):
    """Linear(tanh(Linear(x_0))) of the first token's state, dropout before each: (B, T, H) -> (B, C)."""

    def __init__(self, config, dropout: float):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.dropout = nn.Dropout(dropout)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, x):
        first = torch.tanh(self.dense(self.dropout(x[:, 0])))
        return self.out_proj(self.dropout(first))


class RobertaForSequenceClassification(ForSequenceClassification, RobertaPreTrainedModel):
    """A text's class, from the first token's state."""

    encoder_class = RobertaModel
    pooled = False

    def build(self, config) -> None:
        """Make the classifier."""
        self.classifier = RobertaClassificationHead(config, self.dropout_of(config))

    def classify(self, output):
        """Logits (B, C) of the encoder's output."""
        return self.classifier(output.last_hidden_state)


class RobertaForTokenClassification(ForTokenClassification, RobertaPreTrainedModel):
    """Every token's class."""

    encoder_class = RobertaModel


class RobertaForQuestionAnswering(ForQuestionAnswering, RobertaPreTrainedModel):
    """Where in a text the answer to a question begins and ends."""

    encoder_class = RobertaModel


class RobertaForMultipleChoice(ForMultipleChoice, RobertaPreTrainedModel):
    """The best of several texts, from the pooler."""

    encoder_class = RobertaModel
    classifier_dropouts = ("hidden_dropout_prob",)

"""BART: an encoder-decoder that learns to restore texts in which words are masked and sentences moved.

Lewis et al. 2020, "BART: Denoising Sequence-to-Sequence Pre-training for Natural Language Generation,
Translation, and Comprehension" (ACL). The Transformer of 2017 with learned positions, gelu, and a norm
behind the embeddings; the same word vectors on both sides and before the softmax.

B texts, T target tokens, S source tokens, H width, C classes.
"""

import minigrad as torch
from minigrad import nn

from ..pretrained import (
    Seq2SeqQuestionAnsweringModelOutput,
    Seq2SeqSequenceClassifierOutput,
    classification_loss,
    may_return_tuple,
    shift_tokens_right,
    span_loss,
)
from .encoder_decoder import EncoderDecoderModel, ForConditionalGeneration, OnBothSides
from .encoder_decoder_sides import EncoderDecoderConfig, EncoderDecoderPreTrained


class BartConfig(EncoderDecoderConfig):
    """Sizes and options; the defaults are those of bart-large."""

    model_type = "bart"

    num_labels: int = 3
    classifier_dropout: float = 0.0


class BartPreTrainedModel(EncoderDecoderPreTrained):
    """What all of BART's models share."""

    config_class = BartConfig


class BartModel(BartPreTrainedModel, EncoderDecoderModel):
    """As EncoderDecoderModel; without decoder_input_ids the decoder reads the source, one place later."""

    def target_without_ids(self, input_ids):
        """The source, one place later: its own text is what the decoder is to write."""
        if input_ids is None:
            return super().target_without_ids(input_ids)
        return shift_tokens_right(
            input_ids, self.config.pad_token_id, self.config.decoder_start_token_id
        )


class BartForConditionalGeneration(BartPreTrainedModel, ForConditionalGeneration):
    """The next target word: summaries, or a text restored (see ForConditionalGeneration)."""

    model_class = BartModel


class BartClassificationHead(nn.Module):
    """Linear(dropout(tanh(Linear(dropout(x))))): (B, H) -> (B, C)."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.d_model, config.d_model)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.out_proj = nn.Linear(config.d_model, config.num_labels)

    def forward(self, x):
        return self.out_proj(self.dropout(torch.tanh(self.dense(self.dropout(x)))))


def last_ends(model, input_ids):
    """The place of every text's last end token, (B); ValueError for a text without one."""
    if input_ids is None:
        raise ValueError(
            f"{type(model).__name__}: pass input_ids (B, T): they tell where a text ends"
        )
    ends = input_ids == model.config.eos_token_id
    if not bool(ends.any(1).all()):
        raise ValueError(
            f"{type(model).__name__}: every text needs its end token "
            f"(eos_token_id {model.config.eos_token_id}): its class is read there"
        )
    places = torch.arange(input_ids.shape[1], device=input_ids.device)
    return torch.where(ends, places, -1).max(dim=1).values


class BartForSequenceClassification(BartPreTrainedModel, OnBothSides):
    """A text's class, from the decoder's state at the text's last end token: logits (B, C)."""

    model_class = BartModel

    def build(self, config) -> None:
        """Make the classifier."""
        self.classification_head = BartClassificationHead(config)

    @may_return_tuple
    def forward(self, input_ids=None, *inputs, labels=None, use_cache=None, **options):
        last = last_ends(self, input_ids)
        use_cache = use_cache if labels is None else False
        output = self.model(input_ids, *inputs, use_cache=use_cache, return_dict=True, **options)
        rows = torch.arange(len(last), device=last.device)
        logits = self.classification_head(output.last_hidden_state[rows, last])
        return Seq2SeqSequenceClassifierOutput(
            loss=classification_loss(self.config, logits, labels),
            logits=logits,
            **self.both_sides(output),
        )


class BartForQuestionAnswering(BartPreTrainedModel, OnBothSides):
    """Where in a text the answer to a question begins and ends: two scores a token, (B, T) each."""

    model_class = BartModel

    def __init__(self, config):
        config.num_labels = 2
        super().__init__(config)

    def build(self, config) -> None:
        """Make the scores' layer."""
        self.qa_outputs = nn.Linear(config.d_model, 2)

    @may_return_tuple
    def forward(self, *inputs, start_positions=None, end_positions=None, **options):
        output = self.model(*inputs, return_dict=True, **options)
        start, end = self.qa_outputs(output.last_hidden_state).unbind(-1)
        return Seq2SeqQuestionAnsweringModelOutput(
            loss=span_loss(start, end, start_positions, end_positions),
            start_logits=start,
            end_logits=end,
            **self.both_sides(output),
        )

"""Heads: what stands on an encoder for a task, the same for every family.

A family's class inherits a head, then the family's base, and names the encoder:

    class BertForTokenClassification(ForTokenClassification, BertPreTrainedModel):
        encoder_class = BertModel

All take the encoder's inputs, and labels, of which they make a loss. B texts, T tokens, H hidden
size, C classes (config.num_labels).
"""

from ..nn import Dropout, Linear
from .model import PreTrainedModel
from .outputs import (
    MaskedLMOutput,
    MultipleChoiceModelOutput,
    QuestionAnsweringModelOutput,
    SequenceClassifierOutput,
    TokenClassifierOutput,
    may_return_tuple,
)
from .tasks import classification_loss, span_loss, token_loss


class Head(PreTrainedModel):
    """An encoder under its family's prefix; `build` adds what stands on it."""

    encoder_class: type[PreTrainedModel]
    pooled = False  # whether the head looks at the pooler's output

    def __init__(self, config):
        super().__init__(config)
        self.num_labels = config.num_labels
        setattr(self, self.base_model_prefix, self.make_encoder(config))
        self.build(config)
        self.post_init()

    def make_encoder(self, config):
        """The encoder, with its pooler only where it is needed."""
        if not self.has_pooler:
            return self.encoder_class(config)
        return self.encoder_class(config, add_pooling_layer=self.pooled)

    def build(self, config) -> None:
        """Make the head's layers."""
        raise NotImplementedError

    def dropout_of(self, config) -> float:
        """The dropout before a classifier."""
        values = (getattr(config, name, None) for name in self.classifier_dropouts)
        return next(value for value in values if value is not None)


class ForMaskedLM(Head):
    """Which word stands where one is masked: logits (B, T, V); labels (B, T), -100 where not asked."""

    def words(self, states):
        """Scores of all words (B, T, V) of the encoder's states (B, T, H)."""
        raise NotImplementedError

    @may_return_tuple
    def forward(self, *inputs, labels=None, **options):
        output = self.base_model(*inputs, return_dict=True, **options)
        logits = self.words(output.last_hidden_state)
        return MaskedLMOutput(
            loss=token_loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class ForSequenceClassification(Head):
    """A text's class: pooler -> dropout -> Linear; logits (B, C), labels (B) or (B, C)."""

    pooled = True

    def build(self, config) -> None:
        """Make the classifier."""
        self.dropout = Dropout(self.dropout_of(config))
        self.classifier = Linear(config.hidden_size, config.num_labels)

    def classify(self, output):
        """Logits (B, C) of the encoder's output."""
        return self.classifier(self.dropout(output.pooler_output))

    @may_return_tuple
    def forward(self, *inputs, labels=None, **options):
        output = self.base_model(*inputs, return_dict=True, **options)
        logits = self.classify(output)
        return SequenceClassifierOutput(
            loss=classification_loss(self.config, logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class ForTokenClassification(Head):
    """Every token's class: dropout -> Linear; logits (B, T, C), labels (B, T), -100 where none."""

    def build(self, config) -> None:
        """Make the classifier."""
        self.dropout = Dropout(self.dropout_of(config))
        self.classifier = Linear(config.hidden_size, config.num_labels)

    def classify(self, output):
        """Logits (B, T, C) of the encoder's output."""
        return self.classifier(self.dropout(output.last_hidden_state))

    @may_return_tuple
    def forward(self, *inputs, labels=None, **options):
        output = self.base_model(*inputs, return_dict=True, **options)
        logits = self.classify(output)
        return TokenClassifierOutput(
            loss=token_loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class ForQuestionAnswering(Head):
    """Where an answer begins and ends: Linear to two scores a token, (B, T) each."""

    def build(self, config) -> None:
        """Make the scores' layer."""
        if config.num_labels != 2:
            raise ValueError(
                f"{type(self).__name__}: an answer has two scores a token, where it begins and where "
                f"it ends: num_labels must be 2, not {config.num_labels}"
            )
        self.qa_outputs = Linear(config.hidden_size, 2)

    def scores(self, output):
        """Two scores a token (B, T, 2) of the encoder's output."""
        return self.qa_outputs(output.last_hidden_state)

    @may_return_tuple
    def forward(self, *inputs, start_positions=None, end_positions=None, **options):
        output = self.base_model(*inputs, return_dict=True, **options)
        start, end = self.scores(output).unbind(-1)
        return QuestionAnsweringModelOutput(
            loss=span_loss(start, end, start_positions, end_positions),
            start_logits=start,
            end_logits=end,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class ForMultipleChoice(Head):
    """The best of N choices: each is a text of its own, (B, N, T) -> one score each, (B, N)."""

    pooled = True

    def build(self, config) -> None:
        """Make the score's layer."""
        self.dropout = Dropout(self.dropout_of(config))
        self.classifier = Linear(config.hidden_size, 1)

    def score(self, output):
        """A score (B N, 1) of the encoder's output."""
        return self.classifier(self.dropout(output.pooler_output))

    @may_return_tuple
    def forward(self, input_ids=None, *inputs, labels=None, **options):
        given = input_ids if input_ids is not None else options["inputs_embeds"]
        choices = given.shape[1]

        def flat(x):
            return x.flatten(0, 1) if hasattr(x, "flatten") else x

        options = {name: flat(value) for name, value in options.items()}
        output = self.base_model(flat(input_ids), *map(flat, inputs), return_dict=True, **options)
        logits = self.score(output).reshape(-1, choices)
        return MultipleChoiceModelOutput(
            loss=token_loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

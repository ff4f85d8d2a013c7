"""BERT: a Transformer encoder that reads a text from both sides, trained to fill in what is masked.

Devlin, Chang, Lee and Toutanova 2019, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding" (NAACL). Parameters have the names of Hugging Face's files. The layers are in
bert_layers.py: here are the configuration, the model made of them, and its heads.

B texts, T tokens, H hidden size, V vocabulary.
"""

import minigrad as torch
from minigrad import nn

from ..pretrained import (
    BaseModelOutputWithPooling,
    ForMaskedLM,
    ForMultipleChoice,
    ForQuestionAnswering,
    ForSequenceClassification,
    ForTokenClassification,
    ModelOutput,
    NextSentencePredictorOutput,
    PretrainedConfig,
    PreTrainedModel,
    activation,
    may_return_tuple,
    token_loss,
)
from .bert_layers import (
    BertAttention,
    BertEmbeddings,
    BertEncoder,
    BertIntermediate,
    BertLayer,
    BertOutput,
    BertPooler,
    BertSelfAttention,
    attend,
    attend_heads,
    run_layers,
)

__all__ = [
    "BertAttention",
    "BertConfig",
    "BertEmbeddings",
    "BertEncoder",
    "BertForMaskedLM",
    "BertForMultipleChoice",
    "BertForNextSentencePrediction",
    "BertForPreTraining",
    "BertForPreTrainingOutput",
    "BertForQuestionAnswering",
    "BertForSequenceClassification",
    "BertForTokenClassification",
    "BertHeads",
    "BertIntermediate",
    "BertLMPredictionHead",
    "BertLayer",
    "BertModel",
    "BertOutput",
    "BertPooler",
    "BertPreTrainedModel",
    "BertPredictionHeadTransform",
    "BertSelfAttention",
    "attend",
    "attend_heads",
    "run_layers",
]


class BertConfig(PretrainedConfig):
    """Sizes and options; the defaults are those of bert-base-uncased."""

    model_type = "bert"

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    pad_token_id: int | None = 0
    classifier_dropout: float | None = None
    is_decoder: bool = False

    def check(self) -> None:
        """ValueError for what this encoder can't be."""
        super().check()
        if self.is_decoder:
            raise ValueError(f"{type(self).__name__}: this is an encoder; is_decoder must be False")


# -- the model -----------------------------------------------------------------------------------


class BertPreTrainedModel(PreTrainedModel):
    """What all of BERT's models share."""

    config_class = BertConfig
    base_model_prefix = "bert"
    optional = ("pooler.",)


class BertModel(BertPreTrainedModel):
    """input_ids (B, T) -> last_hidden_state (B, T, H), pooler_output (B, H).

    attention_mask (B, T), or (B, T, T) for a mask of each token's own: 1 for tokens that are looked
    at, 0 for padding. token_type_ids (B, T): 0 for the first of two texts, 1 for the second.
    inputs_embeds (B, T, H) in place of input_ids: word vectors of one's own.
    """

    embeddings_class: type[nn.Module] = BertEmbeddings
    layers_class: type[nn.Module] = BertEncoder
    pooler_class: type[nn.Module] = BertPooler

    def __init__(self, config, add_pooling_layer: bool = True):
        super().__init__(config)
        self.embeddings = self.embeddings_class(config)
        self.encoder = self.layers_class(config)
        self.pooler = self.pooler_class(config) if add_pooling_layer else None
        self.post_init()

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.embeddings.word_embeddings

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        inputs_embeds=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        self.check_inputs(input_ids, inputs_embeds, attention_mask)
        x = self.embeddings(input_ids, token_type_ids, position_ids, inputs_embeds)
        encoded = self.encoder(
            x,
            self.attention_mask(attention_mask),
            *self.asked_for(output_hidden_states, output_attentions),
        )
        x = encoded.last_hidden_state
        return BaseModelOutputWithPooling(
            last_hidden_state=x,
            pooler_output=None if self.pooler is None else self.pooler(x),
            hidden_states=encoded.hidden_states,
            attentions=encoded.attentions,
        )


# -- heads ---------------------------------------------------------------------------------------


class BertPredictionHeadTransform(nn.Module):
    """LayerNorm(act(Linear(x)))."""

    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = activation(config.hidden_act)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x):
        return self.LayerNorm(self.activation(self.dense(x)))


class BertLMPredictionHead(nn.Module):
    """Scores of all words for every token, (B, T, V); the table of word vectors is the last matrix."""

    def __init__(self, config):
        super().__init__()
        self.transform = BertPredictionHeadTransform(config)
        self.decoder = nn.Linear(config.hidden_size, config.vocab_size)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, x):
        return self.decoder(self.transform(x))


class BertHeads(nn.Module):
    """The heads of pretraining: masked words, and whether two texts follow each other."""

    def __init__(self, config, words: bool = True, sentences: bool = True):
        super().__init__()
        if words:
            self.predictions = BertLMPredictionHead(config)
        if sentences:
            self.seq_relationship = nn.Linear(config.hidden_size, 2)


TIED = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}


class BertForPreTrainingOutput(ModelOutput):
    """prediction_logits (B, T, V), seq_relationship_logits (B, 2), the sum of both losses."""

    fields = (
        "loss", "prediction_logits", "seq_relationship_logits", "hidden_states", "attentions",
    )  # fmt: skip


class BertForPreTraining(BertPreTrainedModel):
    """Both objectives of the paper: masked words, and the next sentence.

    labels (B, T): the words, -100 where none is asked for. next_sentence_label (B): 0 where the
    second text follows the first, 1 where it is another one.
    """

    tied_weights = TIED

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config)
        self.cls = BertHeads(config)
        self.post_init()

    @may_return_tuple
    def forward(self, *inputs, labels=None, next_sentence_label=None, **options):
        output = self.bert(*inputs, return_dict=True, **options)
        words = self.cls.predictions(output.last_hidden_state)
        follows = self.cls.seq_relationship(output.pooler_output)
        loss = None
        if labels is not None and next_sentence_label is not None:
            loss = token_loss(words, labels) + token_loss(follows, next_sentence_label)
        return BertForPreTrainingOutput(
            loss=loss,
            prediction_logits=words,
            seq_relationship_logits=follows,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class BertForMaskedLM(ForMaskedLM, BertPreTrainedModel):
    """Which word stands where one is masked."""

    encoder_class = BertModel
    tied_weights = TIED

    def build(self, config) -> None:
        """Make the head of words."""
        self.cls = BertHeads(config, sentences=False)

    def words(self, states):
        """Scores of all words (B, T, V)."""
        return self.cls.predictions(states)


class BertForNextSentencePrediction(BertPreTrainedModel):
    """Whether the second text follows the first: logits (B, 2), labels (B), 0 if it does."""

    def __init__(self, config):
        super().__init__(config)
        self.bert = BertModel(config)
        self.cls = BertHeads(config, words=False)
        self.post_init()

    @may_return_tuple
    def forward(self, *inputs, labels=None, **options):
        output = self.bert(*inputs, return_dict=True, **options)
        logits = self.cls.seq_relationship(output.pooler_output)
        return NextSentencePredictorOutput(
            loss=token_loss(logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class BertForSequenceClassification(ForSequenceClassification, BertPreTrainedModel):
    """A text's class, from the pooler."""

    encoder_class = BertModel


class BertForTokenClassification(ForTokenClassification, BertPreTrainedModel):
    """Every token's class."""

    encoder_class = BertModel


class BertForQuestionAnswering(ForQuestionAnswering, BertPreTrainedModel):
    """Where in a text the answer to a question begins and ends."""

    encoder_class = BertModel


class BertForMultipleChoice(ForMultipleChoice, BertPreTrainedModel):
    """The best of several texts."""

    encoder_class = BertModel

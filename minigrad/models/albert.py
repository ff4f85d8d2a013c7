"""ALBERT: a BERT whose layers share their weights, with small word vectors and a harder pair task.

Lan et al. 2020, "ALBERT: A Lite BERT for Self-supervised Learning of Language Representations"
(ICLR). Word vectors have E components, widened to H by one matrix, V E + E H numbers in place of V H;
the layers of a group are one set of weights, run many times; of two parts of a text the model says
in which order they stood. Parameters have the names of Hugging Face's files.

B texts, T tokens, E embedding size, H hidden size, A heads, V vocabulary.
"""

import minigrad as torch
from minigrad import nn

from ..pretrained import (
    ForMaskedLM,
    ForMultipleChoice,
    ForQuestionAnswering,
    ForSequenceClassification,
    ForTokenClassification,
    ModelOutput,
    PretrainedConfig,
    PreTrainedModel,
    activation,
    may_return_tuple,
    token_loss,
)
from ..pretrained.heads import Head
from .bert import BertModel
from .bert_layers import BertEmbeddings, BertSelfAttention, run_layers


class AlbertConfig(PretrainedConfig):
    """Sizes and options; the defaults are those of albert-xxlarge-v2.

    num_hidden_groups: how many sets of weights the num_hidden_layers layers share.
    inner_group_num: how many layers, each with its weights, stand in one set.
    """

    model_type = "albert"

    vocab_size: int = 30000
    embedding_size: int = 128
    hidden_size: int = 4096
    num_hidden_layers: int = 12
    num_hidden_groups: int = 1
    num_attention_heads: int = 64
    intermediate_size: int = 16384
    inner_group_num: int = 1
    hidden_act: str = "gelu_new"
    hidden_dropout_prob: float = 0.0
    attention_probs_dropout_prob: float = 0.0
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    classifier_dropout_prob: float | None = 0.1
    pad_token_id: int | None = 0
    bos_token_id: int | None = 2
    eos_token_id: int | None = 3

    def check(self) -> None:
        """ValueError for what this encoder can't be."""
        super().check()
        if self.num_hidden_groups < 1 or self.inner_group_num < 1:
            raise ValueError(
                f"{type(self).__name__}: num_hidden_groups {self.num_hidden_groups} and inner_group_num "
                f"{self.inner_group_num} must be 1 at least: without them there are no weights to share"
            )


# -- layers --------------------------------------------------------------------------------------


class AlbertEmbeddings(BertEmbeddings):
    """BERT's embeddings in E components: ids (B, T) -> (B, T, E)."""

    def __init__(self, config):
        super().__init__(config, config.embedding_size)


class AlbertAttention(BertSelfAttention):
    """LayerNorm(x + dropout(Linear(attention))): (B, T, H) -> (B, T, H), weights or None."""

    def __init__(self, config):
        super().__init__(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.output_dropout = nn.Dropout(config.hidden_dropout_prob)

    def forward(self, x, mask=None, want_weights=False):
        context, weights = super().forward(x, mask, want_weights)
        return self.LayerNorm(x + self.output_dropout(self.dense(context))), weights


class AlbertLayer(nn.Module):
    """Attention, then LayerNorm(x + Linear(act(Linear(x)))), with no dropout at its end."""

    def __init__(self, config):
        super().__init__()
        self.full_layer_layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.attention = AlbertAttention(config)
        self.ffn = nn.Linear(config.hidden_size, config.intermediate_size)
        self.ffn_output = nn.Linear(config.intermediate_size, config.hidden_size)
        self.activation = activation(config.hidden_act)

    def forward(self, x, mask=None, want_weights=False):
        x, weights = self.attention(x, mask, want_weights)
        wide = self.activation(self.ffn(x))  # (B, T, intermediate_size)
        return self.full_layer_layer_norm(self.ffn_output(wide) + x), weights


class AlbertLayerGroup(nn.Module):
    """One set of weights: the layers that stand in it."""

    def __init__(self, config):
        super().__init__()
        self.albert_layers = nn.ModuleList(
            AlbertLayer(config) for _ in range(config.inner_group_num)
        )


class AlbertTransformer(nn.Module):
    """(B, T, E) -> (B, T, H), then layer l of L uses group floor(l / (L / groups)).

    The quotients are floating-point numbers, as in the published models: rounding tells the group.
    """

    def __init__(self, config):
        super().__init__()
        self.depth = config.num_hidden_layers
        self.embedding_hidden_mapping_in = nn.Linear(config.embedding_size, config.hidden_size)
        self.albert_layer_groups = nn.ModuleList(
            AlbertLayerGroup(config) for _ in range(config.num_hidden_groups)
        )

    def layers(self):
        """All layers in the order in which they run, one that is shared many times."""
        share = self.depth / len(self.albert_layer_groups)
        for number in range(self.depth):
            yield from self.albert_layer_groups[int(number / share)].albert_layers

    def forward(self, x, mask=None, output_hidden_states=False, output_attentions=False):
        x = self.embedding_hidden_mapping_in(x)
        return run_layers(self.layers(), x, mask, output_hidden_states, output_attentions)


class AlbertPooler(nn.Linear):
    """tanh(Linear(the first token's state)): (B, T, H) -> (B, H)."""

    def __init__(self, config):
        super().__init__(config.hidden_size, config.hidden_size)

    def forward(self, x):
        return torch.tanh(super().forward(x[:, 0]))


# -- the model -----------------------------------------------------------------------------------


class AlbertPreTrainedModel(PreTrainedModel):
    """What all of ALBERT's models share."""

    config_class = AlbertConfig
    base_model_prefix = "albert"
    optional = ("pooler.",)
    classifier_dropouts = ("classifier_dropout_prob", "hidden_dropout_prob")


class AlbertModel(AlbertPreTrainedModel, BertModel):
    """input_ids (B, T) -> last_hidden_state (B, T, H), pooler_output (B, H); inputs as BertModel's.

    inputs_embeds are (B, T, E).
    """

    embeddings_class = AlbertEmbeddings
    layers_class = AlbertTransformer
    pooler_class = AlbertPooler


# -- heads ---------------------------------------------------------------------------------------


class AlbertMLMHead(nn.Module):
    """Scores of all words, (B, T, H) -> (B, T, V): LayerNorm(act(Linear(x))) W^T + bias.

    The Linear goes from H back to E components; W (V, E) is the table of word vectors.
    """

    def __init__(self, config):
        super().__init__()
        self.LayerNorm = nn.LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.dense = nn.Linear(config.hidden_size, config.embedding_size)
        self.decoder = nn.Linear(config.embedding_size, config.vocab_size)
        self.activation = activation(config.hidden_act)

    def forward(self, x):
        return self.decoder(self.LayerNorm(self.activation(self.dense(x))))


class AlbertSOPHead(nn.Module):
    """Scores of both orders of a text's two parts: the pooler's (B, H) -> (B, 2)."""

    def __init__(self, config, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, x):
        return self.classifier(self.dropout(x))


TIED = {
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
}


class AlbertForPreTrainingOutput(ModelOutput):
    """prediction_logits (B, T, V), sop_logits (B, 2), the sum of both losses."""

    fields = ("loss", "prediction_logits", "sop_logits", "hidden_states", "attentions")


class AlbertForPreTraining(Head, AlbertPreTrainedModel):
    """Both objectives of the paper: masked words, and the order of sentences.

    labels (B, T): the words, -100 where none is asked for. sentence_order_label (B): 0 where the two
    parts stand in their order, 1 where they are swapped.
    """

    encoder_class = AlbertModel
    pooled = True
    tied_weights = TIED

    def build(self, config) -> None:
        """Make the heads of words and of order."""
        self.predictions = AlbertMLMHead(config)
        self.sop_classifier = AlbertSOPHead(config, self.dropout_of(config))

    @may_return_tuple
    def forward(self, *inputs, labels=None, sentence_order_label=None, **options):
        output = self.albert(*inputs, return_dict=True, **options)
        words = self.predictions(output.last_hidden_state)
        order = self.sop_classifier(output.pooler_output)
        loss = None
        if labels is not None and sentence_order_label is not None:
            loss = token_loss(words, labels) + token_loss(order, sentence_order_label)
        return AlbertForPreTrainingOutput(
            loss=loss,
            prediction_logits=words,
            sop_logits=order,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class AlbertForMaskedLM(ForMaskedLM, AlbertPreTrainedModel):
    """Which word stands where one is masked."""

    encoder_class = AlbertModel
    tied_weights = TIED

    def build(self, config) -> None:
        """Make the head of words."""
        self.predictions = AlbertMLMHead(config)

    def words(self, states):
        """Scores of all words (B, T, V)."""
        return self.predictions(states)


class AlbertForSequenceClassification(ForSequenceClassification, AlbertPreTrainedModel):
    """A text's class, from the pooler."""

    encoder_class = AlbertModel


class AlbertForTokenClassification(ForTokenClassification, AlbertPreTrainedModel):
    """Every token's class."""

    encoder_class = AlbertModel


class AlbertForQuestionAnswering(ForQuestionAnswering, AlbertPreTrainedModel):
    """Where in a text the answer to a question begins and ends."""

    encoder_class = AlbertModel


class AlbertForMultipleChoice(ForMultipleChoice, AlbertPreTrainedModel):
    """The best of several texts, from the pooler."""

    encoder_class = AlbertModel

"""DistilBERT: a BERT of half the layers, without segments and pooler, that learnt from a whole one.

Sanh, Debut, Chaumond and Wolf 2019, "DistilBERT, a distilled version of BERT: smaller, faster,
cheaper and lighter" (arXiv:1910.01108). Parameters have the names of Hugging Face's files.

B texts, T tokens, H = dim, A = n_heads, V vocabulary, C classes.
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
    PretrainedConfig,
    PreTrainedModel,
    activation,
    may_return_tuple,
)
from .bert_layers import attend, run_layers

EPSILON = 1e-12  # of every LayerNorm


class DistilBertConfig(PretrainedConfig):
    """Sizes and options; the defaults are those of distilbert-base-uncased.

    dim, n_heads and n_layers can be said as hidden_size, num_attention_heads, num_hidden_layers.
    sinusoidal_pos_embds: positions start as sines and cosines, not as random numbers.
    """

    model_type = "distilbert"
    attribute_map = {
        "hidden_size": "dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }

    vocab_size: int = 30522
    max_position_embeddings: int = 512
    sinusoidal_pos_embds: bool = False
    n_layers: int = 6
    n_heads: int = 12
    dim: int = 768
    hidden_dim: int = 3072
    dropout: float = 0.1
    attention_dropout: float = 0.1
    activation: str = "gelu"
    initializer_range: float = 0.02
    qa_dropout: float = 0.1
    seq_classif_dropout: float = 0.2
    pad_token_id: int | None = 0


# -- layers --------------------------------------------------------------------------------------


def sinusoids(length: int, width: int):
    """Places as waves, (length, width): sin(t / 10000^(2i/width)) at 2i, the cosine at 2i + 1."""
    places = torch.arange(length, dtype=torch.float64).unsqueeze(1)
    columns = torch.arange(width, dtype=torch.float64)
    angles = places / 10000 ** (2 * (columns // 2) / width)  # (length, width)
    return torch.where(columns % 2 == 0, angles.sin(), angles.cos())


class DistilBertEmbeddings(nn.Module):
    """LayerNorm(word + position), then dropout: ids (B, T) -> (B, T, H)."""

    def __init__(self, config):
        super().__init__()
        self.word_embeddings = nn.Embedding(
            config.vocab_size, config.dim, padding_idx=config.pad_token_id
        )
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, config.dim)
        self.LayerNorm = nn.LayerNorm(config.dim, eps=EPSILON)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, input_ids=None, inputs_embeds=None, position_ids=None):
        words = self.word_embeddings(input_ids) if inputs_embeds is None else inputs_embeds
        if position_ids is None:
            position_ids = torch.arange(words.shape[1], device=words.device).unsqueeze(0)
        return self.dropout(self.LayerNorm(words + self.position_embeddings(position_ids)))


class DistilBertSelfAttention(nn.Module):
    """Linear(attention in A heads): (B, T, H) -> (B, T, H), weights (B, A, T, T) or None."""

    def __init__(self, config):
        super().__init__()
        self.heads = config.n_heads
        self.q_lin = nn.Linear(config.dim, config.dim)
        self.k_lin = nn.Linear(config.dim, config.dim)
        self.v_lin = nn.Linear(config.dim, config.dim)
        self.out_lin = nn.Linear(config.dim, config.dim)
        self.dropout = nn.Dropout(config.attention_dropout)

    def forward(self, x, mask=None, want_weights=False):
        q, k, v = self.q_lin(x), self.k_lin(x), self.v_lin(x)
        context, weights = attend(q, k, v, self.heads, self.dropout, mask, want_weights)
        return self.out_lin(context), weights


class DistilBertFFN(nn.Module):
    """dropout(Linear(act(Linear(x)))): (B, T, H) -> (B, T, hidden_dim) -> (B, T, H)."""

    def __init__(self, config):
        super().__init__()
        self.lin1 = nn.Linear(config.dim, config.hidden_dim)
        self.lin2 = nn.Linear(config.hidden_dim, config.dim)
        self.dropout = nn.Dropout(config.dropout)
        self.activation = activation(config.activation)

    def forward(self, x):
        return self.dropout(self.lin2(self.activation(self.lin1(x))))


class DistilBertBlock(nn.Module):
    """Attention, then two linear layers, each with its residual and its norm behind it."""

    def __init__(self, config):
        super().__init__()
        self.attention = DistilBertSelfAttention(config)
        self.sa_layer_norm = nn.LayerNorm(config.dim, eps=EPSILON)
        self.ffn = DistilBertFFN(config)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=EPSILON)

    def forward(self, x, mask=None, want_weights=False):
        attended, weights = self.attention(x, mask, want_weights)
        x = self.sa_layer_norm(attended + x)
        return self.output_layer_norm(self.ffn(x) + x), weights


class DistilBertTransformer(nn.Module):
    """The layers, as `run_layers` runs them."""

    def __init__(self, config):
        super().__init__()
        self.layer = nn.ModuleList(DistilBertBlock(config) for _ in range(config.n_layers))

    def forward(self, x, mask=None, output_hidden_states=False, output_attentions=False):
        return run_layers(self.layer, x, mask, output_hidden_states, output_attentions)


# -- the model -----------------------------------------------------------------------------------


class DistilBertPreTrainedModel(PreTrainedModel):
    """What all of DistilBERT's models share."""

    config_class = DistilBertConfig
    base_model_prefix = "distilbert"
    has_pooler = False
    classifier_dropouts = ("seq_classif_dropout",)

    def _init_weights(self, module) -> None:
        super()._init_weights(module)
        if not self.config.sinusoidal_pos_embds:
            return
        if module is self.base_model.embeddings.position_embeddings:
            with torch.no_grad():
                module.weight.copy_(sinusoids(*module.weight.shape))


class DistilBertModel(DistilBertPreTrainedModel):
    """input_ids (B, T) -> last_hidden_state (B, T, H); there are no segments and no pooler.

    attention_mask (B, T), or (B, T, T) for a mask of each token's own: 1 for tokens that are looked
    at, 0 for padding. inputs_embeds (B, T, H) in place of input_ids: word vectors of one's own.
    """

    def __init__(self, config):
        super().__init__(config)
        self.embeddings = DistilBertEmbeddings(config)
        self.transformer = DistilBertTransformer(config)
        self.post_init()

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.embeddings.word_embeddings

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        attention_mask=None,
        inputs_embeds=None,
        position_ids=None,
        output_hidden_states=None,
        output_attentions=None,
    ):
        self.check_inputs(input_ids, inputs_embeds, attention_mask)
        return self.transformer(
            self.embeddings(input_ids, inputs_embeds, position_ids),
            self.attention_mask(attention_mask),
            *self.asked_for(output_hidden_states, output_attentions),
        )


# -- heads ---------------------------------------------------------------------------------------


class DistilBertForMaskedLM(ForMaskedLM, DistilBertPreTrainedModel):
    """Which word stands where one is masked: LayerNorm(act(Linear(x))) E^T + bias.

    E is the table of word vectors.
    """

    encoder_class = DistilBertModel
    tied_weights = {"vocab_projector.weight": "distilbert.embeddings.word_embeddings.weight"}

    def build(self, config) -> None:
        """Make the head of words."""
        self.activation = activation(config.activation)
        self.vocab_transform = nn.Linear(config.dim, config.dim)
        self.vocab_layer_norm = nn.LayerNorm(config.dim, eps=EPSILON)
        self.vocab_projector = nn.Linear(config.dim, config.vocab_size)

    def words(self, states):
        """Scores of all words (B, T, V)."""
        x = self.vocab_layer_norm(self.activation(self.vocab_transform(states)))
        return self.vocab_projector(x)


class DistilBertForSequenceClassification(ForSequenceClassification, DistilBertPreTrainedModel):
    """A text's class: Linear(dropout(relu(Linear(x_0)))) of the first token's state."""

    encoder_class = DistilBertModel

    def build(self, config) -> None:
        """Make the classifier, and the layer before it."""
        super().build(config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)

    def classify(self, output):
        """Logits (B, C) of the encoder's output."""
        first = F.relu(self.pre_classifier(output.last_hidden_state[:, 0]))
        return self.classifier(self.dropout(first))


class DistilBertForTokenClassification(ForTokenClassification, DistilBertPreTrainedModel):
    """Every token's class."""

    encoder_class = DistilBertModel
    classifier_dropouts = ("dropout",)


class DistilBertForQuestionAnswering(ForQuestionAnswering, DistilBertPreTrainedModel):
    """Where in a text the answer to a question begins and ends, with a dropout of its own."""

    encoder_class = DistilBertModel

    def build(self, config) -> None:
        """Make the scores' layer, and the dropout before it."""
        super().build(config)
        self.dropout = nn.Dropout(config.qa_dropout)

    def scores(self, output):
        """Two scores a token (B, T, 2) of the encoder's output."""
        return self.qa_outputs(self.dropout(output.last_hidden_state))


class DistilBertForMultipleChoice(ForMultipleChoice, DistilBertPreTrainedModel):
    """The best of several texts, each scored as a text is classified."""

    encoder_class = DistilBertModel

    def build(self, config) -> None:
        """Make the score's layer, and the layer before it."""
        super().build(config)
        self.pre_classifier = nn.Linear(config.dim, config.dim)

    def score(self, output):
        """A score (B N, 1) of the encoder's output."""
        first = F.relu(self.pre_classifier(output.last_hidden_state[:, 0]))
        return self.classifier(self.dropout(first))

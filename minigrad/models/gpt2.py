"""GPT-2: a Transformer decoder that reads from left to right, trained to tell the next token.

Radford, Wu, Child, Luan, Amodei and Sutskever 2019, "Language Models are Unsupervised Multitask
Learners" (OpenAI). Parameters have the names of Hugging Face's files. GPT-3's sizes: gpt3.py.

B texts, T new tokens, S tokens in all (those read before, then the new ones), H hidden size, A heads,
V vocabulary.
"""

import math

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from ..generation import DynamicCache, GenerationMixin
from ..pretrained import (
    BaseModelOutputWithPastAndCrossAttentions,
    CausalLMOutputWithCrossAttentions,
    ForLastTokenClassification,
    ForQuestionAnswering,
    ForTokenClassification,
    PretrainedConfig,
    PreTrainedModel,
    activation,
    causal_mask,
    masked_softmax,
    may_return_tuple,
    next_token_loss,
)


class GPT2Config(PretrainedConfig):
    """Sizes and options; the defaults are those of the smallest GPT-2.

    reorder_and_upcast_attn is kept for the files that have it: attention is the same with or without.
    """

    model_type = "gpt2"
    attribute_map = {
        "hidden_size": "n_embd",
        "max_position_embeddings": "n_positions",
        "num_attention_heads": "n_head",
        "num_hidden_layers": "n_layer",
    }

    vocab_size: int = 50257
    n_positions: int = 1024
    n_embd: int = 768
    n_layer: int = 12
    n_head: int = 12
    n_inner: int | None = None
    activation_function: str = "gelu_new"
    resid_pdrop: float = 0.1
    embd_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    layer_norm_epsilon: float = 1e-5
    initializer_range: float = 0.02
    scale_attn_weights: bool = True
    use_cache: bool = True
    bos_token_id: int | None = 50256
    eos_token_id: int | list[int] | None = 50256
    scale_attn_by_inverse_layer_idx: bool = False
    reorder_and_upcast_attn: bool = False
    add_cross_attention: bool = False

    def check(self) -> None:
        """ValueError for what this decoder can't be."""
        super().check()
        if self.add_cross_attention:
            raise ValueError(
                f"{type(self).__name__}: this decoder has no encoder to look at; add_cross_attention "
                "must be False"
            )


class Conv1D(nn.Module):
    """x W + b, the weight (in, out): a Linear whose weight is kept transposed, as GPT-2's files do."""

    def __init__(self, nf: int, nx: int):
        super().__init__()
        self.nf, self.nx = nf, nx
        self.weight = nn.Parameter(torch.empty(nx, nf))
        self.bias = nn.Parameter(torch.zeros(nf))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """N(0, 0.02^2) and 0."""
        nn.init.normal_(self.weight, std=0.02)
        nn.init.zeros_(self.bias)

    def forward(self, x):
        return F.linear(x, self.weight.mT, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        return f"nf={self.nf}, nx={self.nx}"


class GPT2Attention(nn.Module):
    """softmax(scale Q K^T) V in A heads, each token looking at those before it and itself.

    scale = 1 / sqrt(H/A) with scale_attn_weights, and 1 / (layer + 1) times that with
    scale_attn_by_inverse_layer_idx.
    """

    def __init__(self, config, layer: int):
        super().__init__()
        width = config.hidden_size
        self.heads, self.layer = config.num_attention_heads, layer
        self.scale = (width // self.heads) ** -0.5 if config.scale_attn_weights else 1.0
        if config.scale_attn_by_inverse_layer_idx:
            self.scale /= layer + 1
        self.c_attn = Conv1D(3 * width, width)
        self.c_proj = Conv1D(width, width)
        self.attn_dropout = nn.Dropout(config.attn_pdrop)
        self.resid_dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x, mask=None, is_causal=True, cache=None, want_weights=False):
        """(B, T, H), and the weights (B, A, T, S) where they are wanted."""
        qkv = self.c_attn(x).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, A, H/A)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, A, T, H/A) each
        if cache is not None:
            k, v = cache.update(k, v, self.layer)  # (B, A, S, H/A)
        if want_weights:
            weights = masked_softmax(q @ k.mT * self.scale, mask, is_causal)
            context = self.attn_dropout(weights) @ v
        else:
            weights = None
            p = self.attn_dropout.p if self.training else 0.0
            context = F.scaled_dot_product_attention(q, k, v, mask, p, is_causal, self.scale)
        return self.resid_dropout(self.c_proj(context.transpose(1, 2).flatten(2))), weights


class GPT2MLP(nn.Module):
    """Dropout(act(x W1 + b1) W2 + b2): (B, T, H) -> (B, T, H)."""

    def __init__(self, intermediate_size: int, config):
        super().__init__()
        self.c_fc = Conv1D(intermediate_size, config.hidden_size)
        self.c_proj = Conv1D(config.hidden_size, intermediate_size)
        self.act = activation(config.activation_function)
        self.dropout = nn.Dropout(config.resid_pdrop)

    def forward(self, x):
        return self.dropout(self.c_proj(self.act(self.c_fc(x))))


class GPT2Block(nn.Module):
    """x + Attention(LayerNorm(x)), then x + MLP(LayerNorm(x))."""

    def __init__(self, config, layer: int):
        super().__init__()
        width, eps = config.hidden_size, config.layer_norm_epsilon
        self.ln_1 = nn.LayerNorm(width, eps=eps)
        self.attn = GPT2Attention(config, layer)
        self.ln_2 = nn.LayerNorm(width, eps=eps)
        self.mlp = GPT2MLP(4 * width if config.n_inner is None else config.n_inner, config)

    def forward(self, x, mask=None, is_causal=True, cache=None, want_weights=False):
        context, weights = self.attn(self.ln_1(x), mask, is_causal, cache, want_weights)
        x = x + context
        return x + self.mlp(self.ln_2(x)), weights


class GPT2PreTrainedModel(PreTrainedModel):
    """What all of GPT-2's models share."""

    config_class = GPT2Config
    base_model_prefix = "transformer"
    has_pooler = False

    def _init_weights(self, module):
        """N(0, r^2), and N(0, r^2 / 2L) for what is added to the residual stream: two sums a layer.

        r = initializer_range, L layers: the sum of all 2L has the size of one (section 2.3).
        """
        super()._init_weights(module)
        with torch.no_grad():
            if isinstance(module, Conv1D):
                module.weight.normal_(0.0, self.config.initializer_range)
                module.bias.zero_()
            if isinstance(module, (GPT2Attention, GPT2MLP)):
                std = self.config.initializer_range / math.sqrt(2 * self.config.n_layer)
                module.c_proj.weight.normal_(0.0, std)


class GPT2Model(GPT2PreTrainedModel):
    """input_ids (B, T) -> last_hidden_state (B, T, H).

    attention_mask (B, S): 1 for tokens that are looked at, 0 for padding, on whichever side.
    position_ids (B, T): places; without them tokens are counted from the first of all S, so that
    texts padded on the left want their own. token_type_ids (B, T): words added to each token.
    past_key_values: the cache of an earlier call, to go on from.
    """

    def __init__(self, config):
        super().__init__(config)
        self.wte = nn.Embedding(config.vocab_size, config.hidden_size)
        self.wpe = nn.Embedding(config.max_position_embeddings, config.hidden_size)
        self.drop = nn.Dropout(config.embd_pdrop)
        self.h = nn.ModuleList(GPT2Block(config, i) for i in range(config.num_hidden_layers))
        self.ln_f = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_epsilon)
        self.post_init()

    def get_input_embeddings(self):
        """The table of word vectors."""
        return self.wte

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        past_key_values=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        inputs_embeds=None,
        use_cache=None,
        output_attentions=None,
        output_hidden_states=None,
    ):
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        self.check_inputs(input_ids, inputs_embeds, attention_mask, past)
        words = self.wte(input_ids) if inputs_embeds is None else inputs_embeds
        length = words.shape[1]
        mask, is_causal = causal_mask(attention_mask, length, past, words.device)
        if past_key_values is None and self.wants_cache(use_cache):
            past_key_values = DynamicCache()
        if position_ids is None:
            position_ids = torch.arange(past, past + length, device=words.device)
        x = words + self.wpe(position_ids)
        if token_type_ids is not None:
            x = x + self.wte(token_type_ids)
        x = self.drop(x)
        want_states, want_weights = self.asked_for(output_hidden_states, output_attentions)
        states, attentions = [], []
        for block in self.h:
            states.append(x)
            x, weights = block(x, mask, is_causal, past_key_values, want_weights)
            attentions.append(weights)
        x = self.ln_f(x)
        return BaseModelOutputWithPastAndCrossAttentions(
            last_hidden_state=x,
            past_key_values=past_key_values,
            hidden_states=(*states, x) if want_states else None,
            attentions=tuple(attentions) if want_weights else None,
        )


class GPT2LMHeadModel(GenerationMixin, GPT2PreTrainedModel):
    """Which token comes next: logits (B, T, V), by the table of word vectors.

    labels (B, T), -100 where none is asked for: those of input_ids; token t is held against label
    t + 1. logits_to_keep: how many of the last tokens get logits, 0 for all.
    """

    tied_weights = {"lm_head.weight": "transformer.wte.weight"}

    def __init__(self, config):
        super().__init__(config)
        self.transformer = GPT2Model(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @may_return_tuple
    def forward(
        self,
        input_ids=None,
        past_key_values=None,
        attention_mask=None,
        token_type_ids=None,
        position_ids=None,
        inputs_embeds=None,
        labels=None,
        use_cache=None,
        logits_to_keep: int = 0,
        **options,
    ):
        output = self.transformer(
            input_ids, past_key_values, attention_mask, token_type_ids, position_ids,
            inputs_embeds, use_cache, return_dict=True, **options,
        )  # fmt: skip
        logits = self.lm_head(output.last_hidden_state[:, -logits_to_keep:])
        return CausalLMOutputWithCrossAttentions(
            loss=next_token_loss(logits, labels),
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )


class GPT2ForSequenceClassification(ForLastTokenClassification, GPT2PreTrainedModel):
    """A text's class, from its last token."""

    encoder_class = GPT2Model


class GPT2ForTokenClassification(ForTokenClassification, GPT2PreTrainedModel):
    """Every token's class."""

    encoder_class = GPT2Model

    def dropout_of(self, config) -> float:
        """The dropout before a classifier, 0.1 where the configuration has none."""
        values = (getattr(config, name, None) for name in ("classifier_dropout", "hidden_dropout"))
        return next((value for value in values if value is not None), 0.1)


class GPT2ForQuestionAnswering(ForQuestionAnswering, GPT2PreTrainedModel):
    """Where in a text the answer to a question begins and ends."""

    encoder_class = GPT2Model

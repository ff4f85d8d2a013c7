"""GPT: Transformer layers that only look back, trained to foretell each next token.

Radford, Narasimhan, Salimans & Sutskever 2018, "Improving Language Understanding by Generative
Pre-Training" (OpenAI); norms before the sub-layers and scaled projections: Radford, Wu, Child, Luan,
Amodei & Sutskever 2019, "Language Models are Unsupervised Multitask Learners" (OpenAI). Names and
starting weights are those of nanoGPT (github.com/karpathy/nanoGPT), whose checkpoints load.

B texts, T tokens, D model width, A heads, K = D / A, V vocabulary.
"""

import math
from dataclasses import dataclass

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .language_model import next_ids
from .multihead import attention_weights, look_back


@dataclass
class GPTConfig:
    """Sizes of a GPT; the defaults are GPT-2's smallest model. bias: of linear layers and norms."""

    block_size: int = 1024
    vocab_size: int = 50304
    n_layer: int = 12
    n_head: int = 12
    n_embd: int = 768
    dropout: float = 0.0
    bias: bool = True


class CausalSelfAttention(nn.Module):
    """Multi-head attention of each token at itself and those before it: (B, T, D) -> (B, T, D)."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        if config.n_embd % config.n_head:
            raise ValueError(
                f"GPT: a width of {config.n_embd} can't be shared by {config.n_head} heads"
            )
        self.c_attn = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.bias)
        self.c_proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.resid_dropout = nn.Dropout(config.dropout)
        self.n_head = config.n_head
        self.dropout = config.dropout

    def heads(self, x):
        """Queries, keys and values of x (B, T, D), from one product: (B, A, T, K) each."""
        parts = self.c_attn(x).chunk(3, dim=2)
        return [part.unflatten(2, (self.n_head, -1)).transpose(1, 2) for part in parts]

    def forward(self, x):
        query, key, value = self.heads(x)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return self.resid_dropout(self.c_proj(y.transpose(1, 2).flatten(2)))

    def weights(self, x):
        """How much each token looks at each: (B, A, T, T)."""
        query, key, _ = self.heads(x)
        return attention_weights(query, key, look_back(x.shape[1], device=x.device))


class MLP(nn.Module):
    """W2 gelu(W1 x), for every token by itself; 4 D hidden units."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.c_fc = nn.Linear(config.n_embd, 4 * config.n_embd, bias=config.bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * config.n_embd, config.n_embd, bias=config.bias)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x):
        return self.dropout(self.c_proj(self.gelu(self.c_fc(x))))


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.ln_1 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.attn = CausalSelfAttention(config)
        self.ln_2 = nn.LayerNorm(config.n_embd, bias=config.bias)
        self.mlp = MLP(config)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class GPT(nn.Module):
    """ids (B, T) -> logits (B, T, V) of the token after each, and their loss where targets are given.

    targets: (B, T), the ids one further on; -100 does not count. The table of tokens is also the
    output layer. Matrices start from N(0, 0.02^2), those that write into the residual stream from
    N(0, 0.02^2 / (2 L)) for L layers, so that its variance does not grow with them; biases at zero.
    Raises ValueError for more tokens than block_size.
    """

    def __init__(self, config: GPTConfig):
        super().__init__()
        self.config = config
        self.transformer = nn.ModuleDict(
            dict(
                wte=nn.Embedding(config.vocab_size, config.n_embd),
                wpe=nn.Embedding(config.block_size, config.n_embd),
                drop=nn.Dropout(config.dropout),
                h=nn.ModuleList([Block(config) for _ in range(config.n_layer)]),
                ln_f=nn.LayerNorm(config.n_embd, bias=config.bias),
            )
        )
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=False)
        self.transformer.wte.weight = self.lm_head.weight
        self.apply(self._start)
        for name, weight in self.named_parameters():
            if name.endswith("c_proj.weight"):
                nn.init.normal_(weight, 0.0, 0.02 / math.sqrt(2 * config.n_layer))

    @staticmethod
    def _start(module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, 0.0, 0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def _embed(self, ids):
        if ids.dim() != 2 or not 1 <= ids.shape[1] <= self.config.block_size:
            raise ValueError(
                f"GPT: expected ids (B, T) of 1 to block_size = {self.config.block_size} tokens, got "
                f"shape {tuple(ids.shape)}"
            )
        parts = self.transformer
        positions = torch.arange(ids.shape[1], device=ids.device)
        return parts.drop(parts.wte(ids) + parts.wpe(positions))

    def forward(self, idx, targets=None):
        x = self._embed(idx)
        for block in self.transformer.h:
            x = block(x)
        logits = self.lm_head(self.transformer.ln_f(x))
        if targets is None:
            return logits, None
        return logits, F.cross_entropy(logits.flatten(0, 1), targets.flatten())

    def attentions(self, idx) -> tuple:
        """The attention weights of each layer, (B, A, T, T)."""
        x = self._embed(idx)
        found = []
        for block in self.transformer.h:
            found.append(block.attn.weights(block.ln_1(x)))
            x = block(x)
        return tuple(found)

    @torch.no_grad()
    def generate(
        self, idx, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None,
        top_p: float | None = None, greedy: bool = False, generator=None,
    ):  # fmt: skip
        """ids (B, T) and max_new_tokens more, (B, T + n); each sees the last block_size tokens."""
        was_training = self.training
        self.eval()
        try:
            for _ in range(max_new_tokens):
                logits, _ = self(idx[:, -self.config.block_size :])
                new = next_ids(logits[:, -1], temperature, top_k, top_p, greedy, generator)
                idx = torch.cat([idx, new[:, None]], dim=1)
        finally:
            self.train(was_training)
        return idx

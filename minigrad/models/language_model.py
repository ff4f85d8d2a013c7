"""Recurrent language model: words or characters in, the probabilities of the next one out.

Mikolov et al. 2010, "Recurrent neural network based language model"; with LSTM layers and dropout
between them only, Zaremba, Sutskever, Vinyals 2014, "Recurrent Neural Network Regularization"; with
tied weights, Press and Wolf 2017, "Using the Output Embedding to Improve Language Models".

T time, B batch (columns of text), V vocabulary, D embedding size, H hidden size, L layers.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}

# Zaremba 2014, section 4.1: 114.5, 82.7 and 78.4 is their perplexity on the test part of PTB
ZAREMBA = {
    "small": dict(embed_dim=200, hidden_size=200, num_layers=2, dropout=0.0, init_range=0.1),
    "medium": dict(embed_dim=650, hidden_size=650, num_layers=2, dropout=0.5, init_range=0.05),
    "large": dict(embed_dim=1500, hidden_size=1500, num_layers=2, dropout=0.65, init_range=0.04),
}


def detach_state(state):
    """The same numbers without their graph: here backpropagation through time is cut."""
    if state is None:
        return None
    if isinstance(state, tuple):
        return tuple(part.detach() for part in state)
    return state.detach()


def filter_logits(logits, top_k: int | None = None, top_p: float | None = None):
    """-inf for all but the top_k likeliest, then for all but the fewest that make up top_p.

    logits (B, V). top_p is the nucleus of Holtzman et al. 2020: the likeliest is always kept.
    """
    if top_k is not None:
        if top_k < 1:
            raise ValueError(f"generate: top_k must be at least 1, not {top_k}")
        worst = logits.topk(min(top_k, logits.size(1)), dim=1).values[:, -1:]
        logits = logits.masked_fill(logits < worst, float("-inf"))
    if top_p is not None:
        if not 0 < top_p <= 1:
            raise ValueError(f"generate: top_p must be above 0 and at most 1, not {top_p}")
        ranked, order = logits.sort(dim=1, descending=True)
        share = F.softmax(ranked, dim=1)
        before = share.cumsum(dim=1) - share  # the mass of all likelier ones
        ranked = ranked.masked_fill(before >= top_p, float("-inf"))
        logits = torch.full_like(logits, float("-inf")).scatter(1, order, ranked)
    return logits


def next_ids(logits, temperature=1.0, top_k=None, top_p=None, greedy=False, generator=None):
    """One id for each row of logits (B, V): (B,). Drawn from softmax(logits / temperature), filtered."""
    if greedy:
        return logits.argmax(dim=1)
    if not temperature > 0:
        raise ValueError(
            f"generate: temperature must be above 0, not {temperature}; greedy=True always takes "
            "the likeliest"
        )
    probabilities = F.softmax(filter_logits(logits / temperature, top_k, top_p), dim=1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)


class RecurrentLM(nn.Module):
    """Embedding -> dropout -> LSTM, GRU or RNN layers with dropout between -> dropout -> Linear.

    ids (T, B), state -> logits (T, B, V) of the ids that follow, state after the last. Without a
    state it starts from zeros. All weights start from U(-init_range, init_range), or, where that is
    None, as their layers have it. tie_weights: the output layer's weight is the embedding (D = H).
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dim: int = 200,
        hidden_size: int = 200,
        num_layers: int = 2,
        dropout: float = 0.0,
        cell: str = "lstm",
        tie_weights: bool = False,
        init_range: float | None = 0.1,
    ):
        super().__init__()
        if cell not in CELLS:
            raise ValueError(f"RecurrentLM: cell must be one of {', '.join(CELLS)}, not {cell!r}")
        if tie_weights and embed_dim != hidden_size:
            raise ValueError(
                f"RecurrentLM: tied weights need embed_dim = hidden_size, not {embed_dim} and "
                f"{hidden_size}"
            )
        self.embedding = nn.Embedding(vocab_size, embed_dim)
        self.dropout = nn.Dropout(dropout)
        between = dropout if num_layers > 1 else 0.0
        self.rnn = CELLS[cell](embed_dim, hidden_size, num_layers, dropout=between)
        self.decoder = nn.Linear(hidden_size, vocab_size)
        if tie_weights:
            self.decoder.weight = self.embedding.weight
        if init_range is not None:
            for weight in self.parameters():
                nn.init.uniform_(weight, -init_range, init_range)

    def init_hidden(self, batch_size: int):
        """The state before the first word: zeros (L, B, H), for an LSTM two of them."""
        weight = self.decoder.weight
        zeros = weight.new_zeros(self.rnn.num_layers, batch_size, self.rnn.hidden_size)
        return (zeros, zeros.clone()) if isinstance(self.rnn, nn.LSTM) else zeros

    def features(self, ids, state=None):
        """What the output layer sees, (T, B, H), and the state after the last id."""
        output, state = self.rnn(self.dropout(self.embedding(ids)), state)
        return self.dropout(output), state

    def forward(self, ids, state=None):
        output, state = self.features(ids, state)
        return self.decoder(output), state

    @torch.no_grad()
    def generate(
        self,
        prompt,
        length: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        greedy: bool = False,
        state=None,
        generator=None,
    ):
        """`length` ids to follow the prompt, (P,) -> (length,) or (P, B) -> (length, B); the state.

        The state has read all but the last id: `generate(ids[-1:], more, state=state)` goes on.
        Raises ValueError for a temperature of 0 or less, an empty prompt, a length below 1.
        """
        if prompt.dim() not in (1, 2) or prompt.numel() == 0:
            raise ValueError(
                f"generate: expected a prompt of one id or more, (P,) or (P, B), got {tuple(prompt.shape)}"
            )
        if length < 1:
            raise ValueError(f"generate: length must be at least 1, not {length}")
        ids = prompt.unsqueeze(1) if prompt.dim() == 1 else prompt  # (P, B)
        was_training = self.training
        self.eval()
        found = []
        try:
            for _ in range(length):
                output, state = self.features(ids, state)
                logits = self.decoder(output[-1])  # (B, V)
                ids = next_ids(logits, temperature, top_k, top_p, greedy, generator).unsqueeze(0)
                found.append(ids)
        finally:
            self.train(was_training)
        found = torch.cat(found)  # (length, B)
        return (found.squeeze(1) if prompt.dim() == 1 else found), state

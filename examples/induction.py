"""In-context learning in small: ... A B ... A -> B, which one layer of attention cannot do and two can.

    python examples/induction.py            # half a minute on two cores; draws induction.png

Every sequence is made of pairs of random tokens, A B C D ..., and then of the same pairs in another
order. What follows an A stands in the text the second time. One layer cannot look for a token by what
stood before it. With two, heads of the first tell each token what it follows, and heads of the second
look for the one that follows what they see now: induction heads.  Olsson et al. 2022, "In-context
Learning and Induction Heads" (Transformer Circuits). There is attention alone, no feed-forward layer.
"""

import argparse
from pathlib import Path

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.models.gpt import CausalSelfAttention, GPTConfig
from minigrad.train.attention_plots import plot_heads

PAIRS, TOKENS, WIDTH, HEADS, BATCH, LENGTH = 6, 26, 48, 2, 64, 24


class AttentionOnly(nn.Module):
    """ids (B, T) -> logits (B, T, V), by attention and nothing else; weights: those of each layer."""

    def __init__(self, layers: int):
        super().__init__()
        config = GPTConfig(n_embd=WIDTH, n_head=HEADS, bias=False)
        self.tokens = nn.Embedding(TOKENS, WIDTH)
        self.positions = nn.Embedding(LENGTH, WIDTH)
        self.layers = nn.ModuleList([CausalSelfAttention(config) for _ in range(layers)])
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(layers)])
        self.head = nn.Linear(WIDTH, TOKENS)

    def forward(self, ids, weights=None):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            if weights is not None:
                weights.append(layer.weights(norm(x)))
            x = x + layer(norm(x))
        return self.head(x)


def draw(rows: int):
    """ids (B, T), and the places (B, K) where a first token of a pair stands for the second time."""
    first = torch.rand(rows, TOKENS).argsort(dim=1)[:, :PAIRS]  # all different, for one answer
    pairs = torch.stack([first, torch.randint(TOKENS, (rows, PAIRS))], dim=2)
    order = torch.rand(rows, PAIRS).argsort(dim=1)
    again = pairs.gather(1, order[:, :, None].expand(-1, -1, 2))
    ids = torch.cat([pairs, again], dim=1).flatten(1)
    return ids, torch.arange(2 * PAIRS, LENGTH, 2).expand(rows, -1)


def answers(model, ids, places):
    """The logits (B, K, V) at these places, and the tokens (B, K) that follow them."""
    logits = model(ids[:, :-1]).gather(1, places[:, :, None].expand(-1, -1, TOKENS))
    return logits, ids.gather(1, places + 1)


def train(layers: int, updates: int):
    """A model after so many updates."""
    model = AttentionOnly(layers)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
    for update in range(1, updates + 1):
        logits, wanted = answers(model, *draw(BATCH))
        loss = F.cross_entropy(logits.flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if update % (updates // 8) == 0:
            print(f"{layers} layer(s), update {update:4d}: right {accuracy(model):.1%}")
    return model


@torch.no_grad()
def accuracy(model) -> float:
    """The share of second tokens that are foretold right, of 500 new sequences."""
    logits, wanted = answers(model, *draw(500))
    return (logits.argmax(2) == wanted).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--updates", type=int, default=800)
    parser.add_argument("--out", type=Path, default=Path("induction.png"))
    args = parser.parse_args()
    torch.manual_seed(0)
    models = [train(layers, args.updates) for layers in (1, 2)]
    ids, weights = draw(1)[0], []
    models[1](ids, weights)
    letters = [chr(ord("A") + i) for i in ids[0].tolist()]
    plot_heads([w[0] for w in weights], letters, args.out, title="a row: a token that looks back")
    one, two = map(accuracy, models)
    print(f"one layer: {one:.1%} right, two: {two:.1%}; {args.out}")


if __name__ == "__main__":
    main()

"""How much of the gradient reaches the first words: RNN, GRU and LSTM, untrained and trained.

    python examples/vanishing_gradients.py --out vanishing.png

Left: untrained layers read film reviews. Right: after training on a task of long memory: the first
of T symbols is to be named at the end, all others are noise.
"""

import argparse
import time

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn
from minigrad.text import build_vocab_from_iterator, get_tokenizer, load
from minigrad.train.diagnostics.measures import state_gradients
from minigrad.train.diagnostics.plots import plot_state_gradients

SYMBOLS = 8
LAYERS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM, "LSTM, forget bias 2": nn.LSTM}


def make(name, size, hidden):
    """A layer; of the last kind, with forget gates that are open at first (Gers et al. 2000)."""
    torch.manual_seed(0)
    layer = LAYERS[name](size, hidden, batch_first=True)
    if "forget" in name:
        with torch.no_grad():
            layer.bias_ih_l0[hidden : 2 * hidden] = 2.0
    return layer


def reviews(words, count):
    """Vectors of the first words of some film reviews, (count, words, 50)."""
    tokenize = get_tokenizer("kim")
    texts = [tokenize(text) for text, _ in load("movie_reviews").train]
    texts = [text[:words] for text in texts if len(text) >= words][:count]
    vocab = build_vocab_from_iterator(texts)
    torch.manual_seed(0)
    return nn.Embedding(len(vocab), 50)(torch.tensor([vocab(text) for text in texts])).detach()


def task(count, length):
    """(ids, labels): the label is the first symbol, the noise is of symbols of its own."""
    ids = torch.randint(SYMBOLS, 2 * SYMBOLS, (count, length))
    labels = torch.randint(SYMBOLS, (count,))
    ids[:, 0] = labels
    return ids, labels


class Memory(nn.Module):
    """The symbols, a recurrent layer, and from its last state the answer."""

    def __init__(self, name, hidden):
        super().__init__()
        self.embedding = nn.Embedding(2 * SYMBOLS, 16)
        self.rnn = make(name, 16, hidden)
        self.fc = nn.Linear(hidden, SYMBOLS)

    def forward(self, ids):
        return self.fc(self.rnn(self.embedding(ids))[0][:, -1])


def train(name, updates, length, hidden):
    """The trained model and its accuracy on fresh examples."""
    model = Memory(name, hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(updates):
        ids, labels = task(64, length)
        optimizer.zero_grad()
        F.cross_entropy(model(ids), labels).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    with torch.no_grad():
        ids, labels = task(1000, length)
        return model, (model(ids).argmax(1) == labels).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", default="vanishing.png")
    parser.add_argument("--words", type=int, default=20)
    parser.add_argument("--updates", type=int, default=1500)
    parser.add_argument("--hidden", type=int, default=48)
    args = parser.parse_args()
    left, right = {}, {}
    x = reviews(30, 50)
    for name in LAYERS:
        left[name] = state_gradients(make(name, 50, args.hidden), x, lambda h: h.sum())
        print(f"{name}, untrained, film reviews: x {left[name].rate:.3f} a step back")
    for name in LAYERS:
        begin = time.perf_counter()
        model, accuracy = train(name, args.updates, args.words, args.hidden)
        ids, labels = task(200, args.words)
        loss = lambda h: F.cross_entropy(model.fc(h), labels)
        found = state_gradients(model.rnn, model.embedding(ids), loss)
        right[f"{name} ({accuracy:.0%})"] = found
        print(
            f"{name}, trained: {accuracy:.1%} right (chance {1 / SYMBOLS:.1%}), x {found.rate:.3f} "
            f"a step back; {time.perf_counter() - begin:.0f} s",
            flush=True,
        )
    panels = {"untrained, film reviews": left, f"trained: recall the 1st of {args.words}": right}
    plot_state_gradients(panels, args.out)


if __name__ == "__main__":
    main()

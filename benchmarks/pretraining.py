"""Pretraining a small encoder on WikiText-2: masked words, and next sentence (BERT) or order (ALBERT).

    python benchmarks/pretraining.py nsp        # writes results/pretraining_nsp.{json,png}
    python benchmarks/pretraining.py sop

First 50 steps without dropout in minigrad and, where torch and transformers are installed, in
transformers, from the same weights on the same batches: the largest difference of their losses. Then
training with dropout. The mean loss of masked words on articles left out is held against the unigram
entropy of the training text, H = -sum_w p(w) ln p(w): what a model can do that knows only how often
words occur.
"""

import argparse
from pathlib import Path

from minigrad.benchmarks.measure import describe, machine, say, write_json
from minigrad.benchmarks.wikitext import Batches, articles, draw, fit, same_curve, unigram_entropy

import minigrad
from minigrad.models import AlbertConfig, AlbertForPreTraining, BertConfig, BertForPreTraining
from minigrad.nn import functional as F
from minigrad.optim import AdamW
from minigrad.pretrained.collators import DataCollatorForLanguageModeling
from minigrad.pretrained.pretraining_data import next_sentence_pairs, sentence_order_pairs
from minigrad.pretrained.training_tokenizers import train_tokenizer

RESULTS = Path(__file__).parent / "results"
SIZES = dict(
    hidden_size=128, num_hidden_layers=2, num_attention_heads=4, intermediate_size=512,
    max_position_embeddings=64,
)  # fmt: skip
# objective: (configuration, model, its pairs, the pairs' label, logits of the pairs)
OBJECTIVES = {
    "nsp": (
        BertConfig, BertForPreTraining, next_sentence_pairs, "next_sentence_label",
        "seq_relationship_logits",
    ),
    "sop": (
        AlbertConfig, AlbertForPreTraining, sentence_order_pairs, "sentence_order_label",
        "sop_logits",
    ),
}  # fmt: skip


class Data(Batches):
    """Batches of pairs, anew masked every time, from one seed."""

    def __init__(self, objective: str, vocab_size: int, seed: int):
        _, _, make, self.label, _ = OBJECTIVES[objective]
        documents = articles()
        cut = len(documents) // 10
        self.held_out, self.documents = documents[:cut], documents[cut:]
        texts = [sentence for document in self.documents for sentence in document]
        self.tokenizer = train_tokenizer(texts, "wordpiece", vocab_size=vocab_size)
        minigrad.manual_seed(seed)
        length = SIZES["max_position_embeddings"]
        self.train = make(self.documents, self.tokenizer, length)
        self.valid = make(self.held_out, self.tokenizer, length)
        self.entropy = unigram_entropy(self.documents, self.tokenizer)

    def batch(self, rows, generator_seed: int) -> dict:
        """The model's inputs for some examples, masked by a stream of its own."""
        collate = DataCollatorForLanguageModeling(self.tokenizer, seed=generator_seed)
        return dict(collate([dict(row) for row in rows]))


def measure(model, data, objective, size: int = 64) -> tuple[float, float]:
    """(loss of a masked word in nats, share of pairs told right) on the articles left out."""
    *_, label, logits = OBJECTIVES[objective]
    model.eval()
    total, words, right, count = 0.0, 0, 0, 0
    with minigrad.no_grad():
        for place in range(0, len(data.valid), size):
            batch = data.batch(data.valid[place : place + size], place)
            output = model(**batch)
            labels = batch["labels"].flatten()
            total += F.cross_entropy(
                output.prediction_logits.flatten(0, 1), labels, reduction="sum"
            ).item()
            words += int((labels != -100).sum())
            right += int((output[logits].argmax(1) == batch[label].flatten()).sum())
            count += len(output[logits])
    model.train()
    return total / words, right / count


def train(model, data, objective, epochs: int, size: int, lr: float) -> list[dict]:
    """Train with AdamW; a row of figures for every epoch."""

    def figures():
        valid, told = measure(model, data, objective)
        return {"masked_word_loss": valid, "pairs_right": told}

    def tell(found):
        return "a masked word {masked_word_loss:.3f} nats, pairs {pairs_right:.1%}".format(**found)

    optimizer = AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    return fit(model, data, epochs, size, optimizer, figures, tell)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("objective", choices=list(OBJECTIVES))
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--vocab-size", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=50, help="of the comparison with transformers")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    data = Data(args.objective, args.vocab_size, args.seed)
    config_class, kind, *_ = OBJECTIVES[args.objective]
    config = config_class(vocab_size=len(data.tokenizer), **SIZES)
    say(f"{len(data.train):,} pairs to train on, unigram entropy {data.entropy:.3f} nats")
    difference = same_curve(kind, config, data, args.steps, args.batch_size, 5e-4)
    say(f"largest relative difference of {args.steps} losses: {difference}")
    minigrad.manual_seed(args.seed)
    model = kind(config)
    rows = train(model, data, args.objective, args.epochs, args.batch_size, args.lr)
    name = f"pretraining_{args.objective}"
    record = {
        "settings": vars(args) | SIZES,
        "machine": describe(machine()),
        "pairs": len(data.train),
        "unigram entropy, nats": data.entropy,
        f"largest relative difference of {args.steps} losses to transformers": difference,
        "epochs": rows,
    }
    write_json(RESULTS / f"{name}.json", record)
    title = f"{kind.__name__}, {model.num_parameters():,} parameters, WikiText-2"
    draw(rows, data.entropy, RESULTS / f"{name}.png", title)
    last = rows[-1]
    print(
        f"masked words {last['masked_word_loss']:.3f} nats (unigram entropy {data.entropy:.3f}), "
        f"pairs told right {last['pairs_right']:.1%}; largest difference to transformers' curve "
        f"{difference}"
    )


if __name__ == "__main__":
    main()

"""Pretraining a small encoder-decoder on WikiText-2, to write what its texts lack.

    python benchmarks/denoising.py t5        # writes results/denoising_t5.{json,png}
    python benchmarks/denoising.py pegasus
    python benchmarks/denoising.py bart

t5: spans that were cut out. pegasus: the sentences that say most of a text. bart: the whole text, of
which spans are masked and sentences stand in any order.

First 50 steps without dropout in minigrad and, where torch and transformers are installed, in
transformers, from the same weights on the same batches: the largest difference of their losses. Then
training with dropout. The mean loss of the words that the decoder writes, on articles left out, is held
against the unigram entropy of the training text, H = -sum_w p(w) ln p(w): what a model can do that
knows only how often words occur. Special tokens, which are easy to guess, count in neither.

T5 begins with large scores, so that losses in float32 part ever faster by rounding alone:
`--dtype float64` compares in float64; `--epochs 0` compares and doesn't train. Its paper trains with
`--optimizer adafactor --lr 1e-2`, whose steps are in proportion to the size of each weight.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from minigrad.benchmarks.measure import describe, machine, say, write_json
from minigrad.benchmarks.wikitext import Batches, articles, draw, fit, same_curve, unigram_entropy

import minigrad
from minigrad.models import (
    BartConfig,
    BartForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)
from minigrad.nn import functional as F
from minigrad.optim import Adafactor, AdamW
from minigrad.pretrained import (
    DataCollatorForDenoising,
    DataCollatorForSeq2Seq,
    DataCollatorForSpanCorruption,
    compute_input_and_target_lengths,
    gap_sentence_examples,
    pack_documents,
    stretches,
    train_tokenizer,
)

RESULTS = Path(__file__).parent / "results"
SOURCE = 128  # tokens that the encoder reads


@dataclass(frozen=True)
class Objective:
    """A model and what it learns.

    make_tokenizer(texts, vocab_size); make_examples(documents, tokenizer): a list, of documents that
    are lists of sentences; make_collator(tokenizer, seed): from some examples to the model's inputs.
    """

    config_class: type
    model_class: type
    sizes: dict
    make_tokenizer: Callable
    make_examples: Callable
    make_collator: Callable


def packed(documents, tokenizer) -> list[list[int]]:
    """Documents one after the other, in blocks that become SOURCE tokens with their spans cut out."""
    texts = [" ".join(document) for document in documents]
    ids = tokenizer(texts, add_special_tokens=False, verbose=False).input_ids
    return pack_documents(ids, compute_input_and_target_lengths(SOURCE)[0], drop_last=True)


def sentences(documents, tokenizer) -> list[dict]:
    """Stretches of documents of at most SOURCE / 2 tokens, two sentences or more each."""
    room = SOURCE // 2 - tokenizer.num_special_tokens_to_add()
    found = (ids for document in documents for _, ids in stretches(document, tokenizer, room))
    return [{"sentences": ids} for ids in found if len(ids) > 1]


def with_gaps(documents, tokenizer) -> list[dict]:
    """Stretches of documents of at most SOURCE tokens without their principal sentences."""
    return gap_sentence_examples(documents, tokenizer, SOURCE, SOURCE // 2, mask_token=GAP)


OPTIMIZERS = {"adamw": AdamW, "adafactor": Adafactor}
GAP = "<mask_1>"
WIDTHS = dict(
    d_model=128, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=512, decoder_ffn_dim=512,
    max_position_embeddings=2 * SOURCE, init_std=0.08,
)  # fmt: skip

OBJECTIVES = {
    "bart": Objective(
        BartConfig,
        BartForConditionalGeneration,
        WIDTHS,
        lambda texts, size: train_tokenizer(texts, "bpe", size, add_prefix_space=True),
        sentences,
        lambda tokenizer, seed: DataCollatorForDenoising(tokenizer, seed=seed),
    ),
    "pegasus": Objective(
        PegasusConfig,
        PegasusForConditionalGeneration,
        WIDTHS,
        lambda texts, size: train_tokenizer(
            texts, "t5", size, extra_ids=0, extra_special_tokens=[GAP]
        ),
        with_gaps,
        lambda tokenizer, seed: DataCollatorForSeq2Seq(tokenizer),
    ),
    "t5": Objective(
        T5Config,
        T5ForConditionalGeneration,
        dict(d_model=128, d_kv=32, d_ff=512, num_layers=2, num_heads=4, decoder_start_token_id=0),
        lambda texts, size: train_tokenizer(texts, "t5", size, extra_ids=32),
        packed,
        lambda tokenizer, seed: DataCollatorForSpanCorruption(tokenizer, seed=seed),
    ),
}


class Data(Batches):
    """Batches of examples, anew corrupted every time, from one seed."""

    def __init__(self, objective: Objective, vocab_size: int):
        self.objective = objective
        documents = articles()
        cut = len(documents) // 10
        texts = [sentence for document in documents[cut:] for sentence in document]
        self.tokenizer = objective.make_tokenizer(texts, vocab_size)
        self.train = objective.make_examples(documents[cut:], self.tokenizer)
        self.valid = objective.make_examples(documents[:cut], self.tokenizer)
        self.entropy = unigram_entropy(documents[cut:], self.tokenizer)

    def batch(self, examples, seed: int) -> dict:
        """The model's inputs for some examples, corrupted by a stream of its own."""
        return dict(self.objective.make_collator(self.tokenizer, seed)(examples))


def in_float64(ours, theirs, torch) -> None:
    """Have both models compute in float64; transformers' T5 norms round to float32 of themselves."""
    ours.double(), theirs.double()
    for norm in theirs.modules():
        if type(norm).__name__ == "T5LayerNorm":
            norm.forward = partial(
                lambda norm, x: torch.nn.functional.rms_norm(
                    x, x.shape[-1:], norm.weight, norm.variance_epsilon
                ),
                norm,
            )


def measure(model, data, size: int = 64) -> float:
    """The mean loss, in nats, of the words to be written, on the articles left out."""
    special = minigrad.tensor([-100, *data.tokenizer.all_special_ids])
    model.eval()
    total, words = 0.0, 0
    with minigrad.no_grad():
        for place in range(0, len(data.valid), size):
            batch = data.batch(data.valid[place : place + size], place)
            labels = batch.pop("labels")
            if "decoder_input_ids" not in batch:
                batch["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels)
            asked = labels.masked_fill(minigrad.isin(labels, special), -100).flatten()
            logits = model(**batch, use_cache=False).logits.flatten(0, 1)
            total += F.cross_entropy(logits, asked, reduction="sum").item()
            words += int((asked != -100).sum())
    model.train()
    return total / words


def train(model, data, epochs: int, size: int, lr: float, kind: str = "adamw") -> list[dict]:
    """Train with AdamW or Adafactor; a row of figures for every epoch."""
    optimizer = OPTIMIZERS[kind](model.parameters(), lr=lr, weight_decay=0.01)
    figures = lambda: {"word_loss": measure(model, data)}
    tell = lambda found: f"a word left out {found['word_loss']:.3f} nats"
    return fit(model, data, epochs, size, optimizer, figures, tell)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("objective", choices=list(OBJECTIVES))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--optimizer", choices=list(OPTIMIZERS), default="adamw")
    parser.add_argument("--vocab-size", type=int, default=5000)
    parser.add_argument("--steps", type=int, default=50, help="of the comparison with transformers")
    parser.add_argument(
        "--dtype", choices=["float32", "float64"], default="float32", help="of the comparison"
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    objective = OBJECTIVES[args.objective]
    minigrad.manual_seed(args.seed)
    data = Data(objective, args.vocab_size)
    config = objective.config_class(vocab_size=len(data.tokenizer), **objective.sizes)
    say(f"{len(data.train):,} examples to train on, unigram entropy {data.entropy:.3f} nats")
    difference = same_curve(
        objective.model_class, config, data, args.steps, args.batch_size, args.lr,
        in_float64 if args.dtype == "float64" else None,
    )  # fmt: skip
    say(f"largest relative difference of {args.steps} losses: {difference}")
    if args.epochs == 0:
        return
    minigrad.manual_seed(args.seed)
    model = objective.model_class(config)
    rows = train(model, data, args.epochs, args.batch_size, args.lr, args.optimizer)
    record = {
        "settings": vars(args) | objective.sizes,
        "machine": describe(machine()),
        "examples": len(data.train),
        "unigram entropy, nats": data.entropy,
        f"largest relative difference of {args.steps} losses to transformers": difference,
        "epochs": rows,
    }
    name = f"denoising_{args.objective}"
    write_json(RESULTS / f"{name}.json", record)
    title = f"{type(model).__name__}, {model.num_parameters():,} parameters, WikiText-2"
    label = "words to write, articles left out"
    draw(rows, data.entropy, RESULTS / f"{name}.png", title, "word_loss", label)
    print(
        f"words to write {rows[-1]['word_loss']:.3f} nats (unigram entropy {data.entropy:.3f}); "
        f"largest difference to transformers' curve {difference}"
    )


if __name__ == "__main__":
    main()

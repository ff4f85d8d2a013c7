"""Generation with and without a cache, and against transformers on torch, two threads each, in turn.

    python benchmarks/generation_speed.py            # writes results/generation_speed.md

Greedy search from a prompt of 16 tokens to a given length, one text, float32, the same drawn weights;
transformers with its default attention and its own cache. Both sides' tokens are compared first. A
ratio of cached to uncached below 1 is what the cache saves; one of minigrad to torch below 1 means that
minigrad takes less time. A section is a model: a name, and a function that gives both sides.
"""

import argparse
from pathlib import Path

from minigrad.benchmarks.measure import (
    alternate,
    describe,
    geometric_mean,
    import_torch,
    machine,
    ratio,
    say,
    spread,
    table,
)

import minigrad
from minigrad.files import atomic
from minigrad.models import GPT2Config, GPT2LMHeadModel

LENGTHS = (64, 128, 256, 512)  # tokens in all
PROMPT = 16
GPT2 = dict(vocab_size=8000, n_embd=256, n_layer=6, n_head=8, n_positions=1024, eos_token_id=0)
RESULTS = Path(__file__).parent / "results" / "generation_speed.md"


def small_gpt2(torch):
    """(ours, transformers'): 6 layers of 256, the same weights."""
    import transformers

    torch.manual_seed(0)
    config = transformers.GPT2Config(**GPT2, bos_token_id=0, pad_token_id=0)
    theirs = transformers.GPT2LMHeadModel(config).eval()
    ours = GPT2LMHeadModel(GPT2Config(**GPT2, bos_token_id=0, pad_token_id=0)).eval()
    ours.load_state_dict({k: minigrad.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return ours, theirs


SECTIONS = {"GPT-2 of 6 layers of 256, 8,000 words": small_gpt2}


def generate(library, model, ids, length, **options):
    """The ids of the whole text, exactly `length` of them."""
    return model.generate(
        library.tensor(ids), max_length=length, min_length=length, do_sample=False, **options
    )


def measure(make, lengths, rounds: int):
    """(rows of the table, {kind: ratios}) of one section."""
    import numpy

    torch = import_torch()
    if torch is None:
        raise SystemExit("generation_speed.py needs torch and transformers")
    ours, theirs = make(torch)
    words = ours.config.vocab_size
    ids = numpy.random.default_rng(0).integers(5, words, (1, PROMPT))
    rows, ratios = [], {"cached / uncached": [], "minigrad / torch": []}
    for length in lengths:
        programs = [
            lambda n=length: generate(minigrad, ours, ids, n),
            lambda n=length: generate(minigrad, ours, ids, n, use_cache=False),
            lambda n=length: generate(torch, theirs, ids, n),
        ]
        found = [program().tolist() for program in programs]
        if not found[0] == found[1] == found[2]:
            raise RuntimeError(f"{length} tokens: the texts differ")
        cached, uncached, torchs = alternate(programs, rounds, warmup=1, seconds=0.0)
        saved, against = ratio(cached, uncached), ratio(cached, torchs)
        for values, one in zip(ratios.values(), (saved, against), strict=True):
            values.append(one[1])
        times = [
            spread(*(1000 * q for q in t.quartiles), digits=0) for t in (cached, uncached, torchs)
        ]
        each = 1000 * cached.quartiles[1] / (length - PROMPT)
        rows.append([str(length), *times, f"{each:.2f}", spread(*saved), spread(*against)])
        say(f"{length} tokens: cached / uncached {rows[-1][-2]}, minigrad / torch {rows[-1][-1]}")
    return rows, ratios


HEADER = [
    "tokens", "cached, ms", "uncached, ms", "torch cached, ms", "ms a new token", "cached / uncached",
    "minigrad / torch",
]  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    args = parser.parse_args()
    parts = []
    for name, make in SECTIONS.items():
        rows, ratios = measure(make, args.lengths, args.rounds)
        parts += [f"## {name}", "", table(HEADER, rows), ""]
        parts += [f"Geometric mean, {k}: {geometric_mean(v):.2f}" for k, v in ratios.items()]
        parts.append("")
    text = "\n".join(
        [
            "# Generation, with and without a cache, and against transformers on torch",
            "",
            f"`python benchmarks/generation_speed.py`; {describe(machine())}.",
            f"From {PROMPT} tokens to the length given; median [quartiles]; ratio below 1: less time.",
            "",
            *parts,
        ]
    )
    if list(args.lengths) == list(LENGTHS):
        with atomic(RESULTS, "w") as file:
            file.write(text)
    print(text)


if __name__ == "__main__":
    main()

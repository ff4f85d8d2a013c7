"""The STS benchmark by all-MiniLM-L6-v2, as whole programs: minigrad, and transformers on torch.

    python benchmarks/sentence_speed.py          # writes results/sentence_speed.md

Each program runs in a process of its own, in turn, on two threads: it starts, loads the published
weights, encodes the 2,758 sentences of the test part in batches of 32, similar lengths together, and
prints Spearman's correlation. A ratio below 1 means that minigrad takes less time. It needs torch and
transformers.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from minigrad.benchmarks.measure import THREADS, describe, import_torch, machine, say, spread, table

from minigrad.files import atomic

RESULTS = Path(__file__).parent / "results" / "sentence_speed.md"
SIDES = ("minigrad", "transformers")


def ours(pairs) -> dict:
    """minigrad's vectors."""
    from minigrad.models import SentenceTransformer
    from minigrad.pretrained.minilm_package import minilm_folder
    from minigrad.train.sentence_similarity import spearman

    begin = time.perf_counter()
    model = SentenceTransformer(minilm_folder())
    loaded = time.perf_counter()
    found = spearman(model.encode, pairs)
    return {
        "load": loaded - begin, "encode": time.perf_counter() - loaded, "spearman": 100 * found,
    }  # fmt: skip


def theirs(pairs) -> dict:
    """The same in transformers on torch."""
    torch = import_torch()
    import transformers

    from minigrad.pretrained.minilm_package import minilm_folder
    from minigrad.train.sentence_similarity import spearman

    begin = time.perf_counter()
    model = transformers.AutoModel.from_pretrained(minilm_folder()).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_folder())
    loaded = time.perf_counter()

    def encode(texts, batch_size=32):
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        rows = [None] * len(texts)
        with torch.inference_mode():
            for place in range(0, len(order), batch_size):
                chosen = order[place : place + batch_size]
                inputs = tokenizer(
                    [texts[i] for i in chosen], padding=True, truncation=True, max_length=256,
                    return_tensors="pt",
                )  # fmt: skip
                states = model(**inputs).last_hidden_state
                mask = inputs["attention_mask"].unsqueeze(-1).to(states.dtype)
                vectors = (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
                vectors = torch.nn.functional.normalize(vectors, dim=-1)
                for i, vector in zip(chosen, vectors, strict=True):
                    rows[i] = vector
        return torch.stack(rows).numpy()

    found = spearman(encode, pairs)
    return {
        "load": loaded - begin, "encode": time.perf_counter() - loaded, "spearman": 100 * found,
    }  # fmt: skip


def program(side: str) -> dict:
    """One process of a side: its own figures, and its whole wall time in seconds."""
    begin = time.perf_counter()
    done = subprocess.run(
        [sys.executable, __file__, "--side", side], capture_output=True, text=True, check=True
    )
    whole = time.perf_counter() - begin
    return json.loads(done.stdout.strip().splitlines()[-1]) | {"whole": whole}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", choices=SIDES, help="run one program alone")
    args = parser.parse_args()
    if args.side:
        from minigrad import set_num_threads
        from minigrad.text.pairs import stsb

        set_num_threads(THREADS)
        print(json.dumps({"minigrad": ours, "transformers": theirs}[args.side](stsb().test)))
        return
    runs: dict[str, list[dict]] = {side: [] for side in SIDES}
    for side in SIDES:  # once before: compiled kernels and files are cached from here on
        program(side)
    for number in range(args.rounds):
        for side in SIDES if number % 2 == 0 else SIDES[::-1]:
            runs[side].append(program(side))
            say(f"{side}: {runs[side][-1]}")
    rows = []
    for what in ("whole", "load", "encode"):
        ours_, theirs_ = ([run[what] for run in runs[side]] for side in SIDES)
        ratios = [a / b for a, b in zip(ours_, theirs_, strict=True)]
        cells = [spread(min(v), statistics.median(v), max(v)) for v in (ours_, theirs_, ratios)]
        rows.append([what, *cells])
    scores = [runs[side][0]["spearman"] for side in SIDES]
    text = "\n".join(
        [
            "# The STS benchmark's test part by all-MiniLM-L6-v2",
            "",
            f"`python benchmarks/sentence_speed.py`; {describe(machine())}.",
            "Seconds of whole programs in turn, and of their parts: median [least, most]; a ratio below 1:",
            "minigrad takes less time.",
            "",
            table(["part", "minigrad, s", "transformers on torch, s", "ratio"], rows),
            "",
            f"Spearman x 100: {scores[0]:.2f} and {scores[1]:.2f}.",
            "",
        ]
    )
    with atomic(RESULTS, "w") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()

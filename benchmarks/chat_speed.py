"""SmolLM2 (135 million parameters) in a chat: minigrad, with 32 and 8 bits, and transformers on torch.

    python benchmarks/chat_speed.py                # writes results/chat_speed.md
    python benchmarks/chat_speed.py --loss         # also what 8 bits lose: the loss on real text

The same GGUF file, two threads each, every side in a process of its own, in turn. Prefill: reading a
prompt, the last token's logits, keys and values kept. Decode: a token after a prompt, one at a time,
which reads every weight once. generate: the whole of it, as a user calls it. Both sides' tokens are
compared first. A ratio below 1 means that minigrad takes less time.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path

from minigrad.benchmarks.measure import (
    describe,
    import_torch,
    machine,
    quartiles,
    say,
    spread,
    table,
)

from minigrad.files import atomic

SIDES = ("minigrad", "minigrad, 8 bits", "torch")
WORK = (
    ("prefill", 32), ("prefill", 128), ("prefill", 512), ("decode", 32), ("decode", 512),
    ("generate", 32),
)  # fmt: skip
COUNT = 32  # tokens written
RESULTS = Path(__file__).parent / "results" / "chat_speed.md"


# -- a side: a process that does one piece of work after another -------------------------------------


def prompt(length: int) -> list[list[int]]:
    """Ids that are no text, but all are words."""
    return [[1000 + 37 * i % 40000 for i in range(length)]]


class Side:
    """The model in one library."""

    def __init__(self, name: str):
        from minigrad.pretrained.smollm2_package import FILE, smollm2_folder

        given = smollm2_folder(), FILE
        self.name = name
        if name == "torch":
            import transformers

            self.library = import_torch()
            kind, options = transformers.AutoModelForCausalLM, {}
        else:
            import minigrad
            from minigrad.models import AutoModelForCausalLM

            import_torch()
            self.library, kind = minigrad, AutoModelForCausalLM
            options = {"load_in_8bit": "8" in name}
        self.model = kind.from_pretrained(given[0], gguf_file=given[1], **options).eval()

    def read(self, ids, cache=None):
        """(the likeliest next token, (1, 1), the cache)."""
        output = self.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return output.logits[:, -1].argmax(-1)[:, None], output.past_key_values

    def prefill(self, ids):
        """Seconds of reading a prompt."""
        start = time.perf_counter()
        self.read(ids)
        return [time.perf_counter() - start], []

    def decode(self, ids):
        """Seconds of every token after a prompt, and the tokens."""
        token, cache = self.read(ids)
        seconds, tokens = [], []
        for _ in range(COUNT):
            start = time.perf_counter()
            token, cache = self.read(token, cache)
            seconds.append(time.perf_counter() - start)
            tokens.append(int(token))
        return seconds, tokens

    def generate(self, ids):
        """Seconds a token of generate, the prompt's reading with it."""
        start = time.perf_counter()
        found = self.model.generate(
            ids, max_new_tokens=COUNT, min_new_tokens=COUNT, do_sample=False, pad_token_id=2
        )
        return [(time.perf_counter() - start) / COUNT], found[0, ids.shape[1] :].tolist()

    def serve(self):
        """Answer the lines of stdin: a kind of work and a prompt's length."""
        for line in sys.stdin:
            kind, length = json.loads(line)
            with self.library.no_grad():
                found = getattr(self, kind)(self.library.tensor(prompt(length)))
            print(json.dumps(found), flush=True)


class Process:
    """A side's process; calling it gives what Side's method of that kind gave."""

    def __init__(self, name: str):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--side", name],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(self, kind: str, length: int):
        self.process.stdin.write(json.dumps([kind, length]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError("a side's process has ended")
        return json.loads(answer)

    def end(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


# -- all sides ---------------------------------------------------------------------------------------


def measure(rounds: int) -> list[list[str]]:
    """Rows of the table: milliseconds of each side, and the ratios to torch's."""
    sides = [Process(name) for name in SIDES]
    rows = []
    try:
        for kind, length in WORK:
            found = [side(kind, length) for side in sides]  # not timed: caches, compiled code
            if found[0][1] != found[2][1]:
                raise RuntimeError(f"{kind} after {length}: {found[0][1]} and {found[2][1]}")
            times = [[] for _ in sides]  # a round's median each
            for _ in range(rounds):
                for side, own in zip(sides, times, strict=True):
                    own.append(quartiles(side(kind, length)[0])[1])
            cells = [spread(*(1000 * q for q in quartiles(own)), digits=1) for own in times]
            for own in times[:2]:
                low, _, high = quartiles([a / b for a, b in zip(own, times[2], strict=True)])
                cells.append(spread(low, quartiles(own)[1] / quartiles(times[2])[1], high))
            rows.append([f"{kind}, {length}", *cells])
            say(" | ".join(rows[-1]))
    finally:
        for side in sides:
            side.end()
    return rows


def losses(texts: int) -> str:
    """The mean loss of a token of Wikipedia's paragraphs (XQuAD's), with 32 and 8 bits."""
    import minigrad
    from minigrad.models import AutoTokenizer
    from minigrad.pretrained.smollm2_package import FILE, smollm2_folder
    from minigrad.text.questions import xquad

    tokenizer = AutoTokenizer.from_pretrained(smollm2_folder(), gguf_file=FILE)
    paragraphs = list(dict.fromkeys(example.context for example in xquad()))[:texts]
    rows = []
    for name in SIDES[:2]:
        model, total, count = Side(name).model, 0.0, 0
        for text in paragraphs:
            ids = tokenizer(text, return_tensors="mg").input_ids[:, :512]
            with minigrad.no_grad():
                total += model(ids, labels=ids).loss.item() * (ids.shape[1] - 1)
            count += ids.shape[1] - 1
        loss = total / count
        size = sum(t.numel() * t.element_size() for t in unique(model.state_dict().values()))
        rows.append([name, f"{size / 1e6:.0f}", f"{loss:.4f}", f"{math.exp(loss):.3f}"])
        say(f"{' | '.join(rows[-1])} of {count:,} tokens")
    return (
        f"What 8 bits lose, on {count:,} tokens of {len(paragraphs)} paragraphs of Wikipedia (XQuAD's):\n\n"
        + table(["weights", "MB", "loss, nats a token", "perplexity"], rows)
    )


def unique(tensors):
    """Tensors that share their memory once."""
    return {tensor.data_ptr(): tensor for tensor in tensors}.values()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--loss", action="store_true", help="also the loss with 32 and 8 bits")
    parser.add_argument("--texts", type=int, default=60, help="paragraphs for the loss")
    parser.add_argument("--side", choices=SIDES, help="serve as one side")
    args = parser.parse_args()
    if args.side:
        Side(args.side).serve()
        return
    rows = measure(args.rounds)
    header = ["work, tokens of the prompt", *(f"{name}, ms" for name in SIDES)]
    header += ["ratio", "ratio, 8 bits"]
    parts = [
        "# SmolLM2-135M against transformers on torch",
        "",
        f"`python benchmarks/chat_speed.py{' --loss' if args.loss else ''}`; {describe(machine())}.",
        "Median milliseconds [quartiles of the rounds], a token for decode and generate; ratio to torch.",
        "",
        table(header, rows),
        "",
    ]
    if args.loss:
        parts += [losses(args.texts), ""]
    with atomic(RESULTS, "w") as file:
        file.write("\n".join(parts))
    print("\n".join(parts))


if __name__ == "__main__":
    main()

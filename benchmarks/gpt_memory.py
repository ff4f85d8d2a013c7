"""Memory of a whole GPT, forward and backward, by the length of its context: here and in torch.

    python benchmarks/gpt_memory.py              # writes results/gpt_memory.png, prints the table

4 layers of 128 with 4 heads, one text, float32, no optimizer. Each figure is from a process of its own:
the most memory that it held at any moment (VmHWM of Linux) less what it held before, after a pass over a
short text that makes what is made once. "all weights held": the same model here with its attention in
plain ops, softmax(Q K^T) V, as in models/multihead.py.
"""

import argparse
import gc
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

LENGTHS = 512, 1024, 2048, 4096
SIDES = "minigrad", "torch", "all weights held"
COLOURS = "#1f5fa8", "#d9772b", "#888888"
MOST = 2048  # tokens with all weights held: more does not fit everywhere
FOLDER = Path(__file__).parent / "results"
KIB, MIB = 2**10, 2**20


def status(name: str) -> int:
    """A figure of this process, in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * KIB
    raise OSError(f"gpt_memory: /proc/self/status has no {name}; this needs Linux")


def model_of(side: str, length: int):
    """(the library, a GPT for so many tokens)."""
    if side == "torch":
        from nanogpt_side import torch_model

        torch = importlib.import_module("torch")
        sizes = argparse.Namespace(
            block_size=length, vocab_size=65, n_layer=4, n_head=4, n_embd=128, bias=False
        )
        return torch, torch_model(torch, sizes)
    import minigrad
    from minigrad.models.gpt import GPT, CausalSelfAttention, GPTConfig

    class Plain(CausalSelfAttention):
        """Attention whose weights are all held."""

        def forward(self, x):
            heads = self.weights(x) @ self.heads(x)[2]
            return self.c_proj(heads.transpose(1, 2).flatten(2))

    model = GPT(GPTConfig(length, 65, n_layer=4, n_head=4, n_embd=128, bias=False))
    if side == "all weights held":
        for block in model.transformer.h:
            block.attn.__class__ = Plain
    return minigrad, model


def peak(side: str, length: int) -> int:
    """The most bytes that a forward and backward pass held beside the model and its gradients."""
    library, model = model_of(side, length)
    library.manual_seed(0)

    def work(tokens):
        ids = library.randint(65, (1, tokens + 1))
        model(ids[:, :-1], ids[:, 1:].contiguous())[1].backward()

    work(64)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # VmHWM begins anew
    before = status("VmRSS")
    work(length)
    return status("VmHWM") - before


def measured(side: str, length: int) -> float:
    """`peak` in a process of its own, in MiB."""
    # blocks of a megabyte and more go back to the system when they are freed, on both sides
    env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MIB), "MALLOC_TRIM_THRESHOLD_": str(MIB)}
    command = [sys.executable, __file__, "--side", side, "--length", str(length)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=env)
    return json.loads(done.stdout.splitlines()[-1]) / MIB


def table(lengths=LENGTHS, sides=SIDES) -> dict[str, dict[int, float]]:
    """{side: {length: MiB}}."""
    fits = lambda side, length: side != "all weights held" or length <= MOST
    return {
        side: {length: measured(side, length) for length in lengths if fits(side, length)}
        for side in sides
    }


def show(found) -> str:
    """The figures as a Markdown table, each with how often it is that of half the length."""
    lines = ["| tokens |" + "".join(f" {side}, MiB |" for side in found)]
    lines.append("| ---: |" + " ---: |" * len(found))
    for length in next(iter(found.values())):
        cells = []
        for figures in found.values():
            if length not in figures:
                cells.append("")
            elif length // 2 in figures:
                growth = figures[length] / figures[length // 2]
                cells.append(f"{figures[length]:,.0f} (x {growth:.2f})")
            else:
                cells.append(f"{figures[length]:,.0f}")
        lines.append(f"| {length:,} |" + "".join(f" {cell} |" for cell in cells))
    return "\n".join(lines)


def draw(found, path) -> None:
    """Memory by length, as a PNG."""
    from minigrad.extra import need
    from minigrad.files import atomic

    figure = need("matplotlib.figure").Figure((5.6, 3.8))
    ax = figure.subplots()
    for (side, figures), colour in zip(found.items(), COLOURS, strict=False):
        ax.plot(list(figures), list(figures.values()), "o-", color=colour, label=side)
    ax.set_xlabel("tokens")
    ax.set_ylabel("MiB, forward and backward")
    ax.set_xticks(LENGTHS)
    ax.set_ylim(bottom=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False)
    figure.tight_layout()
    with atomic(path) as file:
        figure.savefig(file, format="png", dpi=120)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)  # of a single process
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side is not None:
        print(peak(args.side, args.length))
        return
    found = table()
    draw(found, FOLDER / "gpt_memory.png")
    print(show(found))


if __name__ == "__main__":
    main()

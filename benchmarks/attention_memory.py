"""Memory that attention takes beside its inputs: by the kernel, and with the whole matrix of weights.

    python benchmarks/attention_memory.py

One head of width 64 in float32, forward and backward, causal or not: the most that was allocated at any
moment, counted by tracemalloc (NumPy reports its arrays to it), beside the size of one L x L matrix. The
count includes the output and the gradients of query, key and value.
"""

import gc
import sys
import tracemalloc

import minigrad
from minigrad.ops.attention import attention_fused

LENGTHS = 512, 2048, 4096
WIDTH = 64
MIB = 2**20


def by_kernel(query, key, value, causal):
    """As programs call it."""
    return minigrad.nn.functional.scaled_dot_product_attention(query, key, value, is_causal=causal)


def in_plain_ops(query, key, value, causal):
    """The same in matrix products and a softmax, as it is written in papers."""
    options = {"scale": WIDTH**-0.5, "causal": causal, "dropout": 0.0, "seed": 0}
    return attention_fused.composite(query, key, value, 0, **options)[0]


def peak(attend, length: int, causal: bool) -> float:
    """The most MiB allocated at a moment of forward and backward, beside the inputs."""
    minigrad.manual_seed(0)
    query, key, value = (minigrad.randn(1, 1, length, WIDTH, requires_grad=True) for _ in range(3))
    g = minigrad.randn(1, 1, length, WIDTH)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    attend(query, key, value, causal).backward(g)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (most - before) / MIB


def table(lengths=LENGTHS) -> list[dict]:
    """A row for each length and each kind of attention."""
    rows = []
    for length in lengths:
        for causal in (False, True):
            for attend in (by_kernel, in_plain_ops):
                peak(
                    attend, 64, causal
                )  # what is made once, compiled code above all, is no part of it
            rows.append(
                {
                    "length": length,
                    "causal": causal,
                    "matrix": length * length * 4 / MIB,
                    "kernel": peak(by_kernel, length, causal),
                    "plain": peak(in_plain_ops, length, causal),
                }
            )
    return rows


def show(rows, file=sys.stdout) -> None:
    """The rows as a Markdown table."""
    print("| length | causal | L x L matrix, MiB | kernel, MiB | plain ops, MiB |", file=file)
    print("| ---: | :--- | ---: | ---: | ---: |", file=file)
    for row in rows:
        print(
            f"| {row['length']:,} | {'yes' if row['causal'] else 'no'} | {row['matrix']:.1f} "
            f"| {row['kernel']:.2f} | {row['plain']:.1f} |",
            file=file,
        )


if __name__ == "__main__":
    show(table())

"""Attention on the GPU: how attention.cu and attention_backward.cu are cut and launched.

The definition stands in attention.py. Numbers of 16 bits are multiplied on tensor cores. So are float32,
each as the sum of two TF32, which keeps 22 of its 24 bits; where TF32 is allowed (see
minigrad.backends.cuda.matmul.allow_tf32) as one. float64, and GPUs that lack such tensor cores, take
ordinary arithmetic.
"""

import functools
from typing import NamedTuple

from ..backend import array_module
from . import cuda_parts, cuda_source
from .attention import attention, attention_backward
from .random_bits import threshold
from .tensor_cores import allowed as tf32

WIDEST = 128  # numbers of a head that the registers hold
GRID_HEIGHT = 65535
ORDINARY, TENSOR, THREE = 0, 1, 3  # how products are done: the macro TENSOR
FILES = {"attention": "attention.cu"}  # others: attention_backward.cu


class Plan(NamedTuple):
    """How a kernel is compiled and launched."""

    macros: tuple[str, ...]
    warps: int
    rows: int  # of a block
    shared: int  # bytes


# -- the plan --------------------------------------------------------------------------------------


def _products(dtype_name, gpu, allow_tf32):
    """How this GPU multiplies numbers of a dtype."""
    if dtype_name == "float16" and gpu.capability >= 75:
        return TENSOR
    if gpu.capability < 80 or dtype_name == "float64":
        return ORDINARY
    return TENSOR if dtype_name == "bfloat16" or allow_tf32 else THREE


def _shared_bytes(kernel, products, width, size, wide_size, warps, tall, tile, stages):
    """Bytes of dynamic shared memory, as the kernels cut it."""
    pitch = width + 16 // size
    own = 16 * tall * warps * (1 if kernel == "attention" else 2)
    marks = stages * 2 * tile if kernel == "attention_dkv" else 0
    scratch = 0 if products else 16 * tall * warps * (tile + 8)
    return (own + stages * 2 * tile) * pitch * size + (marks + scratch) * wide_size


@functools.lru_cache(1024)
def _plan(kernel, dtype_name, width, vectors, extras, blocks, gpu, allow_tf32):
    """The Plan of a kernel, or None if it doesn't fit; blocks: of 128 rows, how many there would be.

    Tiles are as large as lets two blocks share a processor, so that one computes while the other waits.
    """
    size = {"float16": 2, "bfloat16": 2, "float32": 4, "float64": 8}[dtype_name]
    products = _products(dtype_name, gpu, allow_tf32)
    unit = 16 if products or size == 8 else 32
    width = -(-width // unit) * unit
    cuts = [(1, 64, 2), (1, 64, 1)] if size == 2 and products else []
    cuts += [(1, 32, 2), (1, 32, 1), (1, 16, 1)]
    if kernel == "attention" and size == 2 and products and not extras and blocks >= gpu.processors:
        cuts.insert(
            0, (2, 64 if width <= 64 else 32, 2)
        )  # 32 rows a warp: tiles are read half as often
    room = gpu.shared_by_all // 2 - 1024
    for most in (room, gpu.shared):
        for warps in (4, 2, 1):
            for tall, tile, stages in cuts:
                rows = 16 * tall * warps
                cut = width, size, max(size, 4), warps, tall, tile, stages
                shared = _shared_bytes(kernel, products, *cut)
                if shared > min(most, gpu.shared) or (warps < 4 and most == room):
                    continue
                values = dict(
                    WIDTH=width, WARPS=warps, TALL=tall, TILE=tile, STAGES=stages, TENSOR=products,
                    VECTORS=int(vectors), EXTRAS=int(extras),
                )  # fmt: skip
                macros = tuple(f"-D{name}={value}" for name, value in values.items())
                return Plan(macros, warps, rows, shared)
    return None


def _find_plan(kernel, q, v, mask, dropout, placed, rows):
    """The Plan of a kernel for these arrays; rows: the queries or keys that blocks share."""
    wide = 16 // q.itemsize
    vectors = q.shape[3] % wide == v.shape[3] % wide == 0 and all(
        cuda_parts.address(x) % 16 == 0 and all(s % wide == 0 for s in strides)
        for x, *strides in placed
    )
    return _plan(
        kernel, q.dtype.name, max(q.shape[3], v.shape[3]), vectors, mask is not None or dropout > 0,
        q.shape[0] * q.shape[1] * -(-rows // 128), cuda_source.gpu(), tf32(),
    )  # fmt: skip


def _fits(q, k, v, mask, *others):
    """True where the kernels can do it: heads that are not too wide, one dtype, something to do."""
    if not (q.size and k.size and v.size) or not cuda_source.known(q, k, v, *others):
        return False
    if mask is not None and mask.dtype.kind != "b" and mask.dtype != q.dtype:
        return False
    width = max(q.shape[3], v.shape[3])
    facts = q.dtype.name, width, False, True, 0, cuda_source.gpu(), tf32()
    return (
        width <= WIDEST
        and q.shape[0] * q.shape[1] <= GRID_HEIGHT
        and all(_plan(name, *facts) for name in ("attention", "attention_dkv", "attention_dq"))
    )


# -- arguments -------------------------------------------------------------------------------------


def _placed(x):
    """(the array, how many numbers further its next batch, head and row are)."""
    if x.strides[3] != x.itemsize:
        x = array_module(x).ascontiguousarray(x)
    return x, *(s // x.itemsize for s in x.strides[:3])


def _empty(x, *shape):
    """An array (B, H, L, e) that lies in memory as (B, L, H, e): what follows joins the heads."""
    batch, heads, rows, width = shape
    xp = array_module(x)
    return xp.empty((batch, rows, heads, width), x.dtype).transpose(0, 2, 1, 3)


def _options(q, k, v, mask, scale, causal, dropout, seed):
    """What the kernels take after the arrays."""
    (batch, heads, queries, d), (_, shared_heads, keys, e) = q.shape, v.shape
    allowed = bias = None
    strides = [0] * 4
    if mask is not None:
        every = (batch, heads, queries, keys)
        mask = array_module(q).broadcast_to(mask, every)
        strides = [s // mask.itemsize for s in mask.strides]
        allowed, bias = (mask.view("uint8"), None) if mask.dtype.kind == "b" else (None, mask)
    kept = 1 / (1 - dropout) if dropout < 1 else 0.0
    return (
        heads // shared_heads, d, e, queries, keys, heads, float(scale), kept, bool(causal),
        int(seed or 0), threshold(dropout), allowed, bias, *strides,
    )  # fmt: skip


def _launch(kernel, dtype, plan, rows, heads, *arguments):
    cuda_source.launch(
        FILES.get(kernel, "attention_backward.cu"), kernel, dtype, (-(-rows // plan.rows), heads),
        32 * plan.warps, *arguments, shared=plan.shared, macros=plan.macros,
    )  # fmt: skip


# -- launches --------------------------------------------------------------------------------------


@attention.implement("cupy")
def attention_cuda(q, k, v, mask, scale, causal, dropout, seed):
    """Blocks of queries. The logs have the dtype that is computed with: float32 for 16-bit numbers."""
    if not _fits(q, k, v, mask):
        return attention.reference(q, k, v, mask, scale, causal, dropout, seed)
    batch, heads, queries, _ = q.shape
    out = _empty(q, batch, heads, queries, v.shape[3])
    logs = array_module(q).empty((batch, heads, queries), cuda_source.wider(q.dtype))
    options = _options(q, k, v, mask, scale, causal, dropout, seed)
    placed = [_placed(array) for array in (q, k, v, out)]
    plan = _find_plan("attention", q, v, mask, dropout, placed, queries)
    places = [x for each in placed for x in each]
    _launch("attention", q.dtype, plan, queries, batch * heads, *places, logs, *options)
    return out, logs


@attention_backward.implement("cupy")
def attention_backward_cuda(g, out, logs, q, k, v, mask, scale, causal, dropout, seed):
    """Blocks of queries for dq, of keys for dk and dv: each sum is one block's own."""
    if not _fits(q, k, v, mask, g, out):
        return attention_backward.reference(
            g, out, logs, q, k, v, mask, scale, causal, dropout, seed
        )
    xp = array_module(q)
    batch, heads, queries, _ = q.shape
    shared_heads, keys = k.shape[1:3]
    wide = cuda_source.wider(q.dtype)
    logs = xp.ascontiguousarray(logs, wide)
    delta = xp.empty((batch, heads, queries), wide)
    grads = [_empty(x, *x.shape) for x in (q, k, v)]
    arrays = [_placed(array) for array in (g, out, q, k, v, *grads)]
    g, out, q, k, v, dq, dk, dv = arrays
    given = q[0], v[0], mask, dropout, arrays
    plan_q = _find_plan("attention_dq", *given, queries)
    plan_kv = _find_plan("attention_dkv", *given, keys)
    dtype, e = q[0].dtype, v[0].shape[3]
    _launch(
        "attention_delta", dtype, plan_q._replace(rows=32, warps=8, shared=0), queries,
        batch * heads, *g, *out, delta, queries, heads, e,
    )  # fmt: skip
    options = _options(q[0], k[0], v[0], mask, scale, causal, dropout, seed)
    before = *g, logs, delta, *q, *k, *v
    _launch("attention_dq", dtype, plan_q, queries, batch * heads, *before, *dq, *options)
    _launch(
        "attention_dkv", dtype, plan_kv, keys, batch * shared_heads, *before, *dk, *dv, *options
    )
    return tuple(grads)

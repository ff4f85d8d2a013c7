"""Attention on the GPU: how attention.cu is launched. The definition stands in attention.py."""

from ..backend import array_module
from . import cuda_source
from .attention import attention, attention_backward
from .random_bits import threshold

TILE, WIDEST = 32, 128  # queries and keys a block; numbers of a head that its registers hold
SHARED = 48 << 10  # bytes of shared memory that every GPU gives a block
GRID_HEIGHT = 65535


def _fits(q, k, v, mask, *others):
    """True where the kernels can do it: heads that are not too wide, one dtype, something to do."""
    if not (q.size and k.size and v.size) or not cuda_source.known(q, k, v, *others):
        return False
    if mask is not None and mask.dtype.kind != "b" and mask.dtype != q.dtype:
        return False
    d, e = q.shape[3], v.shape[3]
    return (
        max(d, e) <= WIDEST
        and _tiles(q, v) + 2 * TILE * TILE * cuda_source.wider(q.dtype).itemsize <= SHARED
        and q.shape[0] * q.shape[1] <= GRID_HEIGHT
    )


def _tiles(q, v):
    """Bytes of dynamic shared memory: a tile of d + 1 columns, one of e + 1."""
    return TILE * (q.shape[3] + v.shape[3] + 2) * cuda_source.wider(q.dtype).itemsize


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


def _launch(kernel, q, rows, heads, *arguments, shared=0, block=(32, 8), each=TILE):
    grid = -(-rows // each), heads
    cuda_source.launch("attention.cu", kernel, q.dtype, grid, block, *arguments, shared=shared)


@attention.implement("cupy")
def attention_cuda(q, k, v, mask, scale, causal, dropout, seed):
    """Blocks of 32 queries."""
    if not _fits(q, k, v, mask):
        return attention.reference(q, k, v, mask, scale, causal, dropout, seed)
    batch, heads, queries, _ = q.shape
    out = _empty(q, batch, heads, queries, v.shape[3])
    logs = array_module(q).empty((batch, heads, queries), q.dtype)
    options = _options(q, k, v, mask, scale, causal, dropout, seed)
    places = [x for array in (q, k, v, out) for x in _placed(array)]
    _launch("attention", q, queries, batch * heads, *places, logs, *options, shared=_tiles(q, v))
    return out, logs


@attention_backward.implement("cupy")
def attention_backward_cuda(g, out, logs, q, k, v, mask, scale, causal, dropout, seed):
    """Blocks of 32 queries for dq, of 32 keys for dk and dv: each sum is one block's own."""
    if not _fits(q, k, v, mask, g, out, logs):
        return attention_backward.reference(
            g, out, logs, q, k, v, mask, scale, causal, dropout, seed
        )
    xp = array_module(q)
    batch, heads, queries, _ = q.shape
    given = [_placed(array) for array in (g, q, k, v)]
    delta = xp.empty((batch, heads, queries), cuda_source.wider(q.dtype))
    _launch(
        "attention_delta", q, queries, batch * heads, *given[0], *_placed(out), delta, queries, heads,
        v.shape[3], each=8,
    )  # fmt: skip
    options = _options(q, k, v, mask, scale, causal, dropout, seed)
    dq, dk, dv = (_empty(x, *x.shape) for x in (q, k, v))
    before = *given[0], xp.ascontiguousarray(logs), delta, *given[1], *given[2], *given[3]
    room = _tiles(q, v)
    _launch("attention_dq", q, queries, batch * heads, *before, *_placed(dq), *options, shared=room)
    _launch(
        "attention_dkv", q, k.shape[2], batch * k.shape[1], *before, *_placed(dk), *_placed(dv),
        *options, shared=room,
    )  # fmt: skip
    return dq, dk, dv

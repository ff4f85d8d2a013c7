"""New tokens of one text through a Llama's layers, by kernels that read every weight once.

What LlamaModel's own layers compute, for one text and no gradient: that is what generating is. A single
token is two numbers of arithmetic for every weight, so reading the weights from memory is what takes the
time, and Python for 40 operations a layer would take as long again. Here a layer is seven products in
four calls (kernels/few_rows.py), with weights of 32 bits or 8, two norms, a rotation and attention: of one
query a head (kernels/attention_step.py), or of a whole prompt (kernels/attention.py).

T new tokens, S in all, A heads of queries, A' of keys and values, K their width, H hidden size.
"""

import numpy

import minigrad as torch

from ..generation import DynamicCache
from ..kernels.attention import attention
from ..kernels.attention_step import attend_once, turn_heads
from ..kernels.few_rows import few_rows, gated_rows, three_rows
from ..kernels.norm import normalise_rows
from ..nn import Linear
from ..op import wrap
from ..pretrained.int8 import Int8Linear


def matrix(module):
    """(W, None) of a plain Linear, (q, scales) of an Int8Linear; None where it is something else.

    A bias, or a hook that wants to be called, is something else too.
    """
    if module._forward_hooks or module._forward_pre_hooks:
        return None
    if type(module) is Linear and module._parameters["bias"] is None:
        return module._parameters["weight"].array, None
    if type(module) is Int8Linear and module._parameters["bias"] is None:
        held = module._buffers
        return held["weight"].array, held["scales"].array
    return None


def matrices(layer):
    """(the norms' weights, the seven matrices) of a layer; None where one of them is something else."""
    inside = layer._modules
    attention, mlp = inside["self_attn"], inside["mlp"]
    norms = inside["input_layernorm"], inside["post_attention_layernorm"]
    if any(m._forward_hooks or m._forward_pre_hooks for m in (layer, attention, mlp, *norms)):
        return None
    found = [
        matrix(held[name])
        for held, names in (
            (attention._modules, ("q_proj", "k_proj", "v_proj", "o_proj")),
            (mlp._modules, ("gate_proj", "up_proj", "down_proj")),
        )
        for name in names
    ]
    if None in found:
        return None
    return [norm._parameters["weight"].array for norm in norms], found


def fits(model, x, mask, cache) -> bool:
    """Whether `step` can do it: x (1, T, H) of one text, on the CPU, no padding, no gradient, silu."""
    return (
        type(x.array) is numpy.ndarray
        and x.array.shape[0] == 1
        and x.array.shape[1] > 0
        and x.array.dtype in (numpy.float32, numpy.float64)
        and (mask is None or mask.dim() == 2)
        and type(cache) is DynamicCache
        and not (model.training or torch.is_grad_enabled())
        and model.config.hidden_act in ("silu", "swish")
    )


def step(model, x, turns, mask, is_causal, cache):
    """The states (1, T, H) after all layers, before the last norm; None where a layer isn't plain.

    turns: (cos, sin) of the new tokens' places, (1, 1, T, K/2). mask (T, S), or None and is_causal.
    Nothing has changed where it is None.
    """
    layers = [matrices(layer) for layer in model.layers]
    if None in layers:
        return None
    xp, config = numpy, model.config
    width, eps = config.head_dim, config.rms_norm_eps
    own, shared = config.num_attention_heads, config.num_key_value_heads
    mask = None if mask is None else mask.array
    x = x.array[0]  # (T, H)
    count = len(x)
    cos, sin = (xp.broadcast_to(t.array[0, 0], (count, width // 2)) for t in turns)
    for number, ((first, second), (q, k, v, o, gate, up, down)) in enumerate(layers):
        h = normalise_rows[xp](x, first, 0, eps, False)
        heads = three_rows[xp](h, *zip(q, k, v, strict=True)).reshape(count, -1, width)
        turned = heads[:, : own + shared].reshape(-1, width)  # (T (A + A'), K)
        turned = turn_heads[xp](turned, cos, sin).reshape(count, -1, width)
        queries, new = turned[:, :own], (turned[:, own:], heads[:, own + shared :])
        keys, values = cache.update(*(wrap(y.swapaxes(0, 1)[None]) for y in new), number)
        context = attend(queries, keys.array, values.array, mask, is_causal, width**-0.5)
        x = x + few_rows[xp](context, *o)
        h = normalise_rows[xp](x, second, 0, eps, False)
        x = x + few_rows[xp](gated_rows[xp](h, *gate, *up), *down)
    return wrap(x[None])


def attend(q, keys, values, mask, is_causal, scale):
    """softmax(scale Q K^T) V: q (T, A, K), keys and values (1, A', S, K) -> (T, A K)."""
    if len(q) == 1 and mask is None:
        return attend_once[numpy](q[0], keys[0], values[0], scale).reshape(1, -1)
    q = q.swapaxes(0, 1)[None]
    out, _ = attention[numpy](q, keys, values, mask, scale, is_causal, 0.0, 0)
    return out[0].swapaxes(0, 1).reshape(q.shape[2], -1)

"""One token through a Llama's layers, by kernels that read every weight once and do little else.

What LlamaModel's own layers compute, for one text, one new token, no gradient: that is most of what
generating a text is. A token is two numbers of arithmetic for every weight, so reading the weights from
memory is what takes the time, and Python for 20 operations a layer would take as long again. Here a layer
is five products (kernels/few_rows.py), with weights of 32 bits or 8, and one query a head
(kernels/attention_step.py).
"""

import numpy

import minigrad as torch

from ..generation import DynamicCache
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
    """Whether `step` can do it: x (1, 1, H) of one text, on the CPU, no padding, no gradient, silu."""
    return (
        type(x.array) is numpy.ndarray
        and x.array.shape[:2] == (1, 1)
        and x.array.dtype in (numpy.float32, numpy.float64)
        and mask is None
        and type(cache) is DynamicCache
        and not (model.training or torch.is_grad_enabled())
        and model.config.hidden_act in ("silu", "swish")
    )


def step(model, x, turns, cache):
    """The states (1, 1, H) after all layers, before the last norm; None where a layer isn't plain.

    turns: (cos, sin) of the new token's place, (1, 1, 1, K/2). Nothing has changed where it is None.
    """
    layers = [matrices(layer) for layer in model.layers]
    if None in layers:
        return None
    xp, eps = numpy, model.config.rms_norm_eps
    width, scale = model.config.head_dim, model.config.head_dim**-0.5
    own = model.config.num_attention_heads
    shared = model.config.num_key_value_heads
    cos, sin = (turn.array.reshape(-1) for turn in turns)
    x = x.array.reshape(1, -1)
    for number, ((first, second), (q, k, v, o, gate, up, down)) in enumerate(layers):
        h = normalise_rows[xp](x, first, 0, eps, False)
        heads = three_rows[xp](h, *zip(q, k, v, strict=True)).reshape(-1, width)  # (A + 2 A', K)
        turn_heads[xp](heads[: own + shared], cos, sin)
        new = heads[own:].reshape(2, 1, shared, 1, width)
        keys, values = cache.update(wrap(new[0]), wrap(new[1]), number)
        context = attend_once[xp](heads[:own], keys.array[0], values.array[0], scale)
        x = x + few_rows[xp](context.reshape(1, -1), *o)
        h = normalise_rows[xp](x, second, 0, eps, False)
        x = x + few_rows[xp](gated_rows[xp](h, *gate, *up), *down)
    return wrap(x.reshape(1, 1, -1))

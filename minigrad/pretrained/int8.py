"""Weights of 8 bits: a quarter of float32's memory, so a decoder's step, which reads them all, is faster.

    model.quantize_int8()                                      # or from_pretrained(folder, load_in_8bit=True)

Each row of a matrix (out, in) becomes whole numbers from -127 to 127 and one scale: W = scale q, with
scale = max |W| / 127, so that a weight is off by half a scale at most. What goes in and comes out, and
the sums in between, stay floating. Such layers don't learn. Dettmers, Lewis, Belkada and Zettlemoyer
2022, "LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale" (NeurIPS).
"""

from ..backend import array_module, device_of, host, to_device
from ..engine import is_grad_enabled
from ..kernels.few_rows import few_rows, quantise_rows
from ..nn import Embedding, Linear, Module
from ..op import wrap


class Int8Linear(Module):
    """y = x (scales q)^T + b: x (..., in) -> (..., out); buffers weight q (out, in) int8, scales (out).

    Made of a Linear, whose bias it keeps; `table` gives q and the scales instead where they are there
    already. Raises RuntimeError where a gradient is asked for.
    """

    def __init__(self, linear: Linear, table: "Int8Embedding | None" = None):
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight, scales = _quantised(linear) if table is None else (table.weight, table.scales)
        self.register_buffer("weight", weight)
        self.register_buffer("scales", scales)
        self.register_parameter("bias", linear.bias)

    def forward(self, input):
        x, w = input.array, self.weight.array
        if x.shape[-1:] != w.shape[1:]:
            raise RuntimeError(
                f"Int8Linear: expected {w.shape[1]} input features, got x of shape {tuple(x.shape)}"
            )
        if input.requires_grad and is_grad_enabled():
            raise RuntimeError(
                "Int8Linear: weights of 8 bits don't learn, and pass no gradient on; run the model under "
                "no_grad(), or train it before quantize_int8()"
            )
        y = few_rows[array_module(x)](x.reshape(-1, x.shape[-1]), w, self.scales.array)
        y = wrap(y.reshape(*x.shape[:-1], len(w)))
        return y if self.bias is None else y + self.bias

    def extra_repr(self) -> str:
        """The sizes."""
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Int8Embedding(Module):
    """scales[i] q[i] for every id i: ids (...) -> (..., H); buffers weight q (V, H) int8, scales (V)."""

    def __init__(self, embedding: Embedding):
        super().__init__()
        self.num_embeddings, self.embedding_dim = embedding.weight.shape
        self.padding_idx = embedding.padding_idx
        weight, scales = _quantised(embedding)
        self.register_buffer("weight", weight)
        self.register_buffer("scales", scales)

    def forward(self, input):
        ids, count = input.array, self.num_embeddings
        if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < count:
            raise IndexError(
                f"Int8Embedding: ids from 0 to {count - 1}: the table has {count} rows"
            )
        return wrap(self.weight.array[ids] * self.scales.array[ids][..., None])

    def extra_repr(self) -> str:
        """The sizes."""
        return f"{self.num_embeddings}, {self.embedding_dim}"


def _quantised(layer):
    rows = layer.weight.array  # this is done once, and in main memory on every device
    return [wrap(to_device(made, device_of(rows))) for made in quantise_rows(host(rows))]


def quantize_int8(model):
    """Turn every Linear of a model into an Int8Linear, in place; the model, in evaluation mode.

    A table of word vectors that is the last matrix too becomes an Int8Embedding, and stays one with
    it; other tables, of which a text reads a few rows, stay as they are. Raises ValueError for a model
    without a Linear. The model can't be saved or trained afterwards.
    """
    places = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent._modules.items()
        if type(child) in (Linear, Embedding)
    ]
    linears = [place for place in places if type(place[2]) is Linear]
    if not linears:
        raise ValueError(f"quantize_int8: {type(model).__name__} has no Linear layer left")
    last = {id(child.weight) for _, _, child in linears}
    tables = {}
    for parent, name, child in places:
        key = id(child.weight)
        if type(child) is Embedding and key in last:
            if key not in tables:
                tables[key] = Int8Embedding(child)
            setattr(parent, name, tables[key])
    for parent, name, child in linears:
        setattr(parent, name, Int8Linear(child, tables.get(id(child.weight))))
    return model.eval()


def is_int8(model) -> bool:
    """Whether a model has weights of 8 bits."""
    return any(isinstance(module, Int8Linear) for module in model.modules())

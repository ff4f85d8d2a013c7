"""A tiny Llama in a GGUF file, as llama.cpp writes it: rows of queries and keys in its own order."""

import numpy
import pytest

import minigrad as mg
from minigrad import models
from minigrad.pretrained.gguf_files import LAYER, OUTER

gguf = pytest.importorskip("gguf")

TEMPLATE = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
SPECIAL = ["<|none|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "Ġwor l", "Ġworl d", "Ġ 1"]


def alphabet():
    """The 256 characters by which byte-level BPE writes bytes, sorted."""
    tokenizers = pytest.importorskip("tokenizers")
    return sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())


def vocabulary():
    """Special tokens, bytes, what the merges make, and a word that is never cut."""
    merged = [merge.replace(" ", "") for merge in MERGES]
    return [*SPECIAL, *alphabet(), *merged, "<think>"]


def tiny(**changes):
    """A model of two layers, its numbers drawn from a seed."""
    mg.manual_seed(3)
    config = models.LlamaConfig(
        **dict(
            vocab_size=len(vocabulary()), hidden_size=32, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, intermediate_size=64, max_position_embeddings=64,
            tie_word_embeddings=True, initializer_range=0.3, rope_theta=5000.0, bos_token_id=1,
            eos_token_id=4, pad_token_id=0,
        )
        | changes
    )  # fmt: skip
    return models.LlamaForCausalLM(config).eval()


def permuted(rows, heads):
    """The rows of each head 0, K/2, 1, K/2 + 1 ...: what reading has to undo."""
    half = rows.shape[0] // heads // 2
    return rows.reshape(heads, 2, half, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


def gguf_names(model):
    """{the file's name: array} of a model's weights."""
    config = model.config
    stems = {new: old for old, new in OUTER.items()}
    for i in range(config.num_hidden_layers):
        stems |= {f"model.layers.{i}.{new}": f"blk.{i}.{old}" for old, new in LAYER.items()}
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    found = {}
    for name, tensor in model.state_dict().items():
        if name in model.ties():
            continue
        stem, _, leaf = name.rpartition(".")
        array = numpy.array(tensor.numpy(), order="C")
        kind = stems[stem].rpartition(".")[2]
        if kind in heads:
            array = permuted(array, heads[kind])
        found[f"{stems[stem]}.{leaf}"] = numpy.ascontiguousarray(array)
    return found


def write(path, model, kind="F32", architecture="llama", values=None, skip=(), extra=None):
    """Write the file; values: other metadata, None to leave one out; skip: tensors left out."""
    writer = gguf.GGUFWriter(path, architecture)
    config = model.config
    given = {
        f"{architecture}.context_length": config.max_position_embeddings,
        f"{architecture}.block_count": config.num_hidden_layers,
        f"{architecture}.feed_forward_length": config.intermediate_size,
        f"{architecture}.embedding_length": config.hidden_size,
        f"{architecture}.rope.dimension_count": config.head_dim,
        f"{architecture}.rope.freq_base": config.rope_parameters["rope_theta"],
        f"{architecture}.attention.head_count": config.num_attention_heads,
        f"{architecture}.attention.head_count_kv": config.num_key_value_heads,
        f"{architecture}.attention.layer_norm_rms_epsilon": config.rms_norm_eps,
        f"{architecture}.vocab_size": config.vocab_size,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": vocabulary(),
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(vocabulary()) - 6) + [4],
        "tokenizer.ggml.merges": MERGES,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 4,
        "tokenizer.ggml.padding_token_id": 0,
        "tokenizer.chat_template": TEMPLATE,
        "general.file_type": 3,
    } | (values or {})
    for name, value in given.items():
        if isinstance(value, bool):
            writer.add_bool(name, value)
        elif isinstance(value, int):
            writer.add_uint32(name, value)
        elif isinstance(value, float):
            writer.add_float32(name, value)
        elif isinstance(value, str):
            writer.add_string(name, value)
        elif value is not None:
            writer.add_array(name, value)
    number = gguf.GGMLQuantizationType[kind]
    for name, array in (gguf_names(model) | (extra or {})).items():
        if name in skip:
            continue
        if array.ndim == 2 and kind != "F32":
            packed = gguf.quantize(array, number)
            writer.add_tensor(name, packed, raw_dtype=number)
        else:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path

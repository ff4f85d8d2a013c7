"""Models out of GGUF files: metadata to a configuration, tensors to the names of Hugging Face's files.

    AutoModelForCausalLM.from_pretrained(folder, gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")

llama.cpp turns neighbouring numbers of a head, 2i and 2i + 1, where Hugging Face's models turn i and
i + K/2 (rope.py): it has the rows of the query and key matrices in another order, which is undone here.
"""

import re
from pathlib import Path

from ..op import wrap
from .gguf_reader import GGUFFile

# metadata `llama.NAME`: the configuration's name
VALUES = {
    "context_length": "max_position_embeddings",
    "block_count": "num_hidden_layers",
    "feed_forward_length": "intermediate_size",
    "embedding_length": "hidden_size",
    "rope.dimension_count": "head_dim",
    "rope.freq_base": "rope_theta",
    "attention.head_count": "num_attention_heads",
    "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps",
    "vocab_size": "vocab_size",
}
TOKENS = {
    "bos_token_id": "bos_token_id",
    "eos_token_id": "eos_token_id",
    "unknown_token_id": "unk_token_id",
    "padding_token_id": "pad_token_id",
}
REQUIRED = (
    "block_count", "feed_forward_length", "embedding_length", "attention.head_count",
    "context_length", "attention.layer_norm_rms_epsilon",
)  # fmt: skip
# the model's own name for a tensor; those of layers without "blk.N." and "model.layers.N."
OUTER = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "output": "lm_head",
}
LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def gguf_path(folder, gguf_file) -> Path:
    """Where a folder's GGUF file is; FileNotFoundError naming those that there are."""
    path = Path(folder) / gguf_file
    if not path.is_file():
        there = sorted(p.name for p in Path(folder).glob("*.gguf"))
        raise FileNotFoundError(
            f"there is no {path}; {folder} has {', '.join(there) if there else 'no GGUF file'}"
        )
    return path


def read_gguf_config(path) -> dict:
    """The values of a configuration, model_type with them, that a GGUF file's metadata tell.

    Raises ValueError for an architecture other than llama, and for one with parts that LlamaModel
    lacks: experts, frequencies of its own.
    """
    return config_values(GGUFFile(path))


def config_values(file: GGUFFile) -> dict:
    """As read_gguf_config, of a file that has been opened."""
    given, path = file.metadata, file.path
    kind = given.get("general.architecture")
    if kind != "llama":
        raise ValueError(f"{path} holds a model of architecture {kind!r}; only 'llama' can be read")
    missing = [key for key in REQUIRED if f"{kind}.{key}" not in given]
    if missing:
        raise ValueError(
            f"{path} does not say {kind}.{missing[0]}, without which there is no model"
        )
    if given.get(f"{kind}.expert_count"):
        raise ValueError(f"{path} holds a mixture of experts, which LlamaModel is not")
    if "rope_freqs.weight" in file.tensors:
        raise ValueError(
            f"{path} has rotary frequencies of its own (rope_freqs.weight), as Llama 3.1 and later have "
            'them. Its config.json says which: pass config=LlamaConfig(..., rope_parameters={"rope_type": '
            '"llama3", ...})'
        )
    found = {
        name: given[f"{kind}.{key}"] for key, name in VALUES.items() if f"{kind}.{key}" in given
    }
    found |= {
        name: given[f"tokenizer.ggml.{key}"]
        for key, name in TOKENS.items()
        if f"tokenizer.ggml.{key}" in given
    }
    if "vocab_size" not in found and "tokenizer.ggml.tokens" in given:
        found["vocab_size"] = len(given["tokenizer.ggml.tokens"])
    scaling = given.get(f"{kind}.rope.scaling.type", "none")
    if scaling != "none":
        found["rope_scaling"] = {
            "rope_type": scaling, "factor": given.get(f"{kind}.rope.scaling.factor", 1.0),
        }  # fmt: skip
    return found | {
        "model_type": kind,
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "attention_bias": "blk.0.attn_q.bias" in file.tensors,
        "mlp_bias": "blk.0.ffn_gate.bias" in file.tensors,
    }


def model_name(name: str) -> str:
    """A tensor's name in Hugging Face's files; one that has none there stays as it is."""
    stem, _, leaf = name.rpartition(".")
    if stem in OUTER:
        return f"{OUTER[stem]}.{leaf}"
    inside = re.fullmatch(r"blk\.(\d+)\.(\w+)", stem)
    if inside and inside[2] in LAYER:
        return f"model.layers.{inside[1]}.{LAYER[inside[2]]}.{leaf}"
    return name


def unpermuted(rows, heads: int):
    """Rows (A K, ...) of A heads, in each 0, K/2, 1, K/2 + 1 ... -> 0, 1, 2 ..."""
    halves = rows.reshape(heads, rows.shape[0] // heads // 2, 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def read_gguf_weights(path, config) -> dict:
    """The tensors of a GGUF file as float32, by the model's names; config: of the model, for its heads."""
    file = GGUFFile(path)
    heads = {"attn_q": config.num_attention_heads, "attn_k": config.num_key_value_heads}
    found = {}
    for name in file.tensors:
        array = file.read(name)
        kind = name.split(".")[-2] if name.count(".") > 1 else ""
        if kind in heads:
            array = unpermuted(array, heads[kind])
        if name != "rope_freqs.weight":  # the configuration's business
            found[model_name(name)] = wrap(array)
    return found

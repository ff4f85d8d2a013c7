"""GGUF files: configuration, weights, tokenizer, against what was written, transformers, and what's broken."""

import json
import shutil

import numpy
import pytest
from gguf_checks import gguf, gguf_names, tiny, write

import minigrad as mg
from minigrad import models
from minigrad.pretrained.gguf_reader import GGUFFile

IDS = mg.tensor([[7, 30, 200, 4, 99, 260], [1, 2, 3, 4, 5, 6]])
NAME = "tiny.gguf"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"tie_word_embeddings": False, "attention_bias": True, "mlp_bias": True},
        {"num_key_value_heads": 4, "head_dim": 16},
    ],
)
def test_a_file_gives_the_model_back(changes, tmp_path):
    model = tiny(**changes)
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            p.data.normal_()
    write(tmp_path / NAME, model)
    again, info = models.AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file=NAME, output_loading_info=True
    )
    assert not any(info.values()) and not again.training
    found, wanted = again.config.to_dict(), model.config.to_dict()
    for key in set(wanted) - {"initializer_range", "rms_norm_eps"}:
        assert found[key] == wanted[key], key
    assert again.config.rms_norm_eps == float(numpy.float32(1e-6))
    for key, value in model.state_dict().items():
        assert mg.equal(value, again.state_dict()[key]), key
    assert models.LlamaModel.from_pretrained(tmp_path, gguf_file=NAME)(IDS)[0].shape == (2, 6, 32)
    assert models.LlamaConfig.from_pretrained(tmp_path, gguf_file=NAME) == again.config


@pytest.mark.parametrize("kind", ["F16", "BF16", "Q8_0", "Q4_1", "Q5_0"])
def test_types_of_numbers(kind, tmp_path):
    model = tiny()
    path = write(tmp_path / NAME, model, kind)
    given, file = gguf_names(model), GGUFFile(path)
    for name, array in given.items():
        found = file.read(name)
        assert found.dtype == numpy.float32 and found.flags.writeable
        number = gguf.GGMLQuantizationType[kind if array.ndim == 2 else "F32"]
        wanted = gguf.dequantize(gguf.quantize(array, number), number) if array.ndim == 2 else array
        numpy.testing.assert_array_equal(found, wanted)
        step = {"F16": 1e-3, "BF16": 1e-2, "Q8_0": 1e-2, "Q4_1": 0.1, "Q5_0": 0.1}[kind]
        assert abs(found - array).max() <= step * abs(array).max()
    loaded = models.LlamaForCausalLM.from_pretrained(tmp_path, gguf_file=NAME, dtype="float16")
    assert loaded.dtype == mg.float16


def test_reading_equals_transformers(tmp_path):
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    torch = pytest.importorskip("torch")
    write(tmp_path / NAME, tiny(), "Q8_0")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=NAME)
    ours = models.AutoModelForCausalLM.from_pretrained(tmp_path, gguf_file=NAME)
    expected = theirs(torch.tensor(IDS.numpy())).logits.detach().numpy()
    numpy.testing.assert_allclose(ours(IDS).logits.numpy(force=True), expected, atol=1e-4)
    for name in set(ours.config._names()) - {"architectures"}:
        assert getattr(ours.config, name) == getattr(theirs.config, name), name
    texts = ["hello world 123 ½ 1st!", "<think>hello</think><|user|> hello<|end|>", "größe 你好 🙂"]
    known = transformers.AutoTokenizer.from_pretrained(tmp_path, gguf_file=NAME)
    own = models.AutoTokenizer.from_pretrained(tmp_path, gguf_file=NAME)
    assert own.special_tokens_map == {k: v for k, v in known.special_tokens_map.items() if v}
    for text in texts:
        assert own.decode(own(text).input_ids) == known.decode(known(text).input_ids) == text
    for text in texts[1:]:  # transformers does not cut digits one by one
        assert own(text).input_ids == known(text).input_ids


def test_tokenizers(tmp_path):
    write(tmp_path / NAME, tiny())
    tokenizer = models.AutoTokenizer.from_pretrained(tmp_path, gguf_file=NAME)
    assert tokenizer.tokenize("hello world 12") == ["hello", "Ġworld", "Ġ", "1", "2"]
    assert tokenizer.all_special_tokens == ["<|user|>", "<|end|>", "<|none|>"]
    ids = tokenizer("<|user|>hello<think><|end|>").input_ids
    assert ids == [1, len(tokenizer) - 8, len(tokenizer) - 1, 4]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "hello<think>"
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "hello"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|user|>hello<|end|><|assistant|>"
    tokenizer.save_pretrained(tmp_path / "saved")
    again = models.AutoTokenizer.from_pretrained(tmp_path / "saved")
    assert again(text).input_ids == tokenizer(text).input_ids
    assert again.chat_template == tokenizer.chat_template
    values = {"tokenizer.ggml.add_bos_token": True, "tokenizer.ggml.pre": "gpt-2"}
    write(tmp_path / NAME, tiny(), values=values)
    tokenizer = models.AutoTokenizer.from_pretrained(tmp_path, gguf_file=NAME)
    assert tokenizer.tokenize("hello 12", add_special_tokens=True) == [
        "<|user|>",
        "hello",
        "Ġ1",
        "2",
    ]
    values = {"tokenizer.ggml.pre": "llama-bpe", "tokenizer.ggml.add_eos_token": True}
    write(tmp_path / NAME, tiny(), values=values)
    tokenizer = models.AutoTokenizer.from_pretrained(tmp_path, gguf_file=NAME)
    assert tokenizer.convert_ids_to_tokens(tokenizer(" 1").input_ids) == ["Ġ", "1", "<|end|>"]


# -- broken files ----------------------------------------------------------------------------------


def load(path):
    return models.AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"architecture": "phi3"}, "of architecture 'phi3'; only 'llama' can be read"),
        ({"values": {"llama.block_count": None}}, "does not say llama.block_count"),
        ({"values": {"llama.expert_count": 8}}, "mixture of experts"),
        ({"values": {"llama.rope.scaling.type": "yarn"}}, "no rope_type 'yarn' here"),
        ({"extra": {"rope_freqs.weight": numpy.ones(4, "f4")}}, "rotary frequencies of its own"),
    ],
)
def test_models_that_there_are_not(change, message, tmp_path):
    path = write(tmp_path / NAME, tiny(), **change)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_own_frequencies_with_a_configuration(tmp_path):
    path = write(tmp_path / NAME, tiny(), extra={"rope_freqs.weight": numpy.ones(4, "f4")})
    config = tiny().config
    model = models.LlamaForCausalLM.from_pretrained(tmp_path, config, gguf_file=NAME)
    assert mg.equal(model.model.norm.weight, tiny().model.norm.weight) and path.is_file()


@pytest.mark.parametrize(
    "values, message",
    [
        ({"tokenizer.ggml.model": "llama"}, "of kind 'llama'; only byte-level BPE"),
        ({"tokenizer.ggml.pre": "viking"}, "by the rule 'viking'; known are gpt-2, smollm"),
        ({"tokenizer.ggml.merges": None}, "lacks tokenizer.ggml.merges"),
    ],
)
def test_tokenizers_that_there_are_not(values, message, tmp_path):
    write(tmp_path / NAME, tiny(), values=values)
    with pytest.raises(ValueError, match=message):
        models.AutoTokenizer.from_pretrained(tmp_path, gguf_file=NAME)


def test_missing_tensors(tmp_path):
    path = write(tmp_path / NAME, tiny(), skip=("blk.1.ffn_up.weight", "output_norm.weight"))
    with pytest.raises(RuntimeError, match=r"lacks model.layers.1.mlp.up_proj.weight and 1 more"):
        load(path)


def test_broken_files(tmp_path):
    path = write(tmp_path / NAME, tiny())
    whole = path.read_bytes()
    for size in (10, 30, 400, 3000, len(whole) - 100):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="is truncated"):
            load(path)
    path.write_bytes(b"GGML" + whole[4:])
    with pytest.raises(ValueError, match="is no GGUF file"):
        load(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="is no GGUF file"):
        load(path)
    path.write_bytes(whole[:4] + (1).to_bytes(4, "little") + whole[8:])
    with pytest.raises(ValueError, match="is of version 1; versions 2 and 3"):
        load(path)
    path.write_bytes(whole[:4] + (3).to_bytes(4, "big") + whole[8:])
    with pytest.raises(ValueError, match="byte order is another one"):
        load(path)
    at = whole.index(b"blk.0.attn_norm.weight") + len(b"blk.0.attn_norm.weight") + 4 + 8
    assert whole[at : at + 4] == (0).to_bytes(4, "little")  # its type, F32
    path.write_bytes(whole[:at] + (999).to_bytes(4, "little") + whole[at + 4 :])
    with pytest.raises(ValueError, match="blk.0.attn_norm.weight is of type 999, which the gguf"):
        load(path)
    path.write_bytes(whole[:at] + (15).to_bytes(4, "little") + whole[at + 4 :])  # Q8_K
    with pytest.raises(ValueError, match="no multiple of 256"):
        load(path)
    with pytest.raises(FileNotFoundError, match=rf"there is no .*none.gguf; .* has {NAME}"):
        load(tmp_path / "none.gguf")
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


# -- shards ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("safe", [True, False])
def test_shards(safe, tmp_path):
    model = tiny()
    model.save_pretrained(tmp_path, safe_serialization=safe)
    name, ending = ("model", "safetensors") if safe else ("pytorch_model", "bin")
    assert (tmp_path / f"{name}.{ending}").is_file()
    model.save_pretrained(tmp_path, safe_serialization=safe, max_shard_size="20KB")
    assert not (tmp_path / f"{name}.{ending}").exists()
    shards = sorted(p.name for p in tmp_path.glob(f"{name}-*-of-*.{ending}"))
    assert len(shards) > 3 and shards[0] == f"{name}-00001-of-{len(shards):05d}.{ending}"
    index = json.loads((tmp_path / f"{name}.{ending}.index.json").read_text())
    assert sorted(set(index["weight_map"].values())) == shards
    assert index["metadata"]["total_size"] == 4 * model.num_parameters()
    again = models.LlamaForCausalLM.from_pretrained(tmp_path)
    for key, value in model.state_dict().items():
        assert mg.equal(value, again.state_dict()[key]), key
    shutil.copytree(tmp_path, tmp_path / "copy")
    (tmp_path / "copy" / shards[1]).unlink()
    with pytest.raises(FileNotFoundError, match=f"names the shard {shards[1]}, which is not in"):
        models.LlamaForCausalLM.from_pretrained(tmp_path / "copy")
    shutil.copy(tmp_path / shards[0], tmp_path / "copy" / shards[1])
    with pytest.raises(ValueError, match=r"promises model\..* no shard has it"):
        models.LlamaForCausalLM.from_pretrained(tmp_path / "copy")
    model.save_pretrained(tmp_path, safe_serialization=safe)
    files = {p.name for p in tmp_path.iterdir()} - {"copy"}
    assert files == {f"{name}.{ending}", "config.json", "generation_config.json"}
    for size in ("5", "0GB", "5 apples", -1, 0):
        with pytest.raises(ValueError, match="max_shard_size is a number of bytes"):
            model.save_pretrained(tmp_path / "new", max_shard_size=size)


def test_transformers_reads_shards(tmp_path):
    transformers = pytest.importorskip("transformers")
    model = tiny()
    model.save_pretrained(tmp_path, max_shard_size="20KB")
    theirs = transformers.LlamaForCausalLM.from_pretrained(tmp_path)
    for key, value in theirs.state_dict().items():
        numpy.testing.assert_array_equal(value.numpy(), model.state_dict()[key].numpy())
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size="20KB")
    again = models.LlamaForCausalLM.from_pretrained(tmp_path / "theirs")
    for key, value in model.state_dict().items():
        assert mg.equal(value, again.state_dict()[key]), key

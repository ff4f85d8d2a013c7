"""Answers of the question-answering pipeline against trying every span of every window."""

import functools
import itertools

import numpy
import pytest
from pipeline_checks import folders, same
from pretrained_checks import torch, transformers

import minigrad as mg
from minigrad.pipelines import pipeline

pytest.importorskip("tokenizers")
__all__ = ["folders"]  # a fixture

QUESTION = "Who loves Ada?"
CONTEXT = "The New Yorker, ada lovelace, was running in Paris. It was good film about Turin sports!"


def probabilities(logits, counted):
    """softmax over the tokens that are counted, 0 for the others."""
    powers = numpy.where(counted, numpy.exp(logits - logits.max()), 0.0)
    return powers / powers.sum()


@functools.cache
def reference(folder):
    """transformers' model and tokenizer."""
    model = transformers.BertForQuestionAnswering.from_pretrained(folder).eval().double()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def answers_by_force(
    folder, question, context, *, width, stride, longest, top_k, words, impossible
):
    """Every span of every window, by loops over transformers' model."""
    model, tokenizer = reference(folder)
    encoded = tokenizer(
        question, context, truncation="only_second", max_length=width, stride=stride,
        return_overflowing_tokens=True,
    )  # fmt: skip
    found, nulls, inputs = {}, [], ("input_ids", "token_type_ids", "attention_mask")
    for number, record in enumerate(encoded.encodings):
        with torch.no_grad():
            output = model(**{name: torch.tensor([encoded[name][number]]) for name in inputs})
        inside = numpy.array([part == 1 for part in record.sequence_ids])
        counted = inside.copy()
        counted[0] = True
        begin = probabilities(output.start_logits[0].numpy(), counted)
        finish = probabilities(output.end_logits[0].numpy(), counted)
        nulls.append(begin[0] * finish[0])
        spans = [
            (begin[i] * finish[j], i, j)
            for i, j in itertools.combinations_with_replacement(numpy.flatnonzero(inside), 2)
            if j - i < longest
        ]
        for score, i, j in sorted(spans, reverse=True)[: 2 * top_k + 10 if words else top_k]:
            first, last = record.offsets[i][0], record.offsets[j][1]
            if words:
                first = record.word_to_chars(record.token_to_word(i), 1)[0]
                last = record.word_to_chars(record.token_to_word(j), 1)[1]
            text = context[first:last]
            known = found.setdefault(
                text.lower(), {"score": 0.0, "start": first, "end": last, "answer": text}
            )
            known["score"] += float(score)
    answers = list(found.values())
    if impossible:
        answers.append({"score": float(min(nulls)), "start": 0, "end": 0, "answer": ""})
    answers = sorted(answers, key=lambda answer: -answer["score"])[:top_k]
    return answers, len(nulls)


@pytest.mark.parametrize("width, stride", [(40, 10), (16, 4), (12, 0)])
@pytest.mark.parametrize("words", [True, False])
def test_question_answering(folders, width, stride, words):
    ours = pipeline("question-answering", folders["spans"], align_to_words=words)
    for top_k, longest, impossible in itertools.product((1, 4), (1, 5, 15), (False, True)):
        expected, count = answers_by_force(
            folders["spans"], QUESTION, CONTEXT, width=width, stride=stride, longest=longest,
            top_k=top_k, words=words, impossible=impossible,
        )  # fmt: skip
        assert (count > 1) == (width < 40)
        options = dict(
            max_seq_len=width, doc_stride=stride, max_answer_len=longest, top_k=top_k,
            handle_impossible_answer=impossible,
        )  # fmt: skip
        for batch_size in (1, 4):
            found = ours(question=QUESTION, context=CONTEXT, batch_size=batch_size, **options)
            same(found, expected if len(expected) > 1 else expected[0])


def test_probabilities_of_spans_equal_transformers(folders):
    module = pytest.importorskip("transformers.pipelines.document_question_answering")
    ours = pipeline("question-answering", folders["spans"], align_to_words=False, top_k=6)
    rows = ours.rows({"question": QUESTION, "context": CONTEXT}, ours.settle(top_k=6))
    inputs = rows[0].inputs
    output = ours.model(**{name: mg.tensor([ids]) for name, ids in inputs.items()})
    outside = ~rows[0].about[2]
    outside[0] = False
    _, _, scores, null = module.select_starts_ends(
        output.start_logits.numpy(force=True), output.end_logits.numpy(force=True),
        outside[None].astype(int), numpy.ones((1, len(outside)), int), top_k=6,
        handle_impossible_answer=True,
    )  # fmt: skip
    found = ours(QUESTION, CONTEXT)
    assert len({answer["answer"].lower() for answer in found}) == 6
    assert [answer["score"] for answer in found] == pytest.approx(scores.tolist(), abs=1e-6)
    every = ours(QUESTION, CONTEXT, handle_impossible_answer=True, top_k=1000)
    assert [a["score"] for a in every if not a["answer"]] == [pytest.approx(null, abs=1e-6)]


def test_forms_of_questions(folders):
    ours = pipeline("question-answering", folders["spans"])
    one, pair = ours(QUESTION, CONTEXT), {"question": QUESTION, "context": CONTEXT}
    assert set(one) == {"score", "start", "end", "answer"}
    assert CONTEXT[one["start"] : one["end"]] == one["answer"] and one["answer"]
    assert ours(pair) == ours([pair]) == ours(question=QUESTION, context=CONTEXT) == one
    same(ours([pair, pair]), [one, one])
    same(ours(question=[QUESTION, QUESTION], context=CONTEXT), [one, one])
    same(ours(question=[QUESTION] * 2, context=[CONTEXT, CONTEXT]), [one, one])
    same(ours("Who " * 30, CONTEXT, max_question_len=3), ours("Who Who Who", CONTEXT))
    everything = ours("Who?", "in Paris", top_k=50)  # no more than there are
    assert {answer["answer"] for answer in everything} == {"in", "Paris", "in Paris"}
    for arguments, options, message in [
        ((QUESTION,), {}, "pass question= and context="),
        ((), {"question": QUESTION}, "there is no context"),
        ((), {"context": CONTEXT}, "there is no question"),
        (({"question": QUESTION},), {}, 'a dictionary has "question" and "context"'),
        ((QUESTION, " "), {}, "the context is empty"),
        (("", CONTEXT), {}, "the question is empty"),
        ((QUESTION, "\u200b"), {}, "has no token"),
        ((), {"question": [QUESTION], "context": [CONTEXT] * 2}, "1 questions don't go with 2"),
        ((QUESTION, CONTEXT), {"doc_stride": 39}, "must be less than the 32 tokens"),
        ((QUESTION, CONTEXT), {"doc_stride": 40}, "overlap of windows of 40 tokens"),
        ((QUESTION, CONTEXT), {"max_seq_len": 8}, "leaves no token for the context"),
        ((QUESTION, CONTEXT), {"max_seq_len": 41}, "more than the 40 tokens the model takes"),
        ((QUESTION, CONTEXT), {"top_k": 0}, "top_k is a whole number of 1 or more"),
        ((QUESTION, CONTEXT), {"max_answer_len": 0}, "max_answer_len is a whole number"),
    ]:
        with pytest.raises(ValueError, match=message):
            ours(*arguments, **options)

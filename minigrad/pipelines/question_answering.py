"""Question answering: the words of a context that answer a question.

Devlin et al. 2019, section 4.2 and 4.3. A long context is read in windows, which overlap.
"""

import math

import numpy

from ..models.auto import AutoModelForQuestionAnswering
from .base import Pipeline, Row, at_least_one
from .spans import Window, best_spans, no_answer_score


class QuestionAnsweringPipeline(Pipeline):
    """`pipe(question="Who?", context="Ada did.")` -> {"score", "start", "end", "answer"}.

    Also `pipe({"question": ..., "context": ...})`, a list of such, lists of questions and contexts, or
    several questions on one context. start and end count characters of the context.

    In every window, probabilities are softmax over the context's tokens and [CLS]; a span's score is
    p(begins) p(ends). Spans with the same words count as one answer, their scores summed.
    top_k: how many answers; with more than one, a list. max_answer_len: most tokens of an answer.
    max_seq_len: tokens of a window, by default 384 or what the model takes. doc_stride: tokens that
    two windows share, by default 128 or half a window. max_question_len: a longer question is cut.
    handle_impossible_answer: "" is an answer too, its score the least p([CLS], [CLS]) of all windows.
    align_to_words: an answer takes in whole words. padding is taken, and changes nothing.
    """

    task = "question-answering"
    auto = AutoModelForQuestionAnswering

    def settle(
        self, *, top_k: int = 1, doc_stride: int | None = None, max_answer_len: int = 15,
        max_seq_len: int | None = None, max_question_len: int = 64,
        handle_impossible_answer: bool = False, align_to_words: bool = True, padding=None,
    ) -> dict:  # fmt: skip
        """The options by their names."""
        longest = self.max_length or 384
        if max_seq_len is None:
            max_seq_len = min(longest, 384)
        for name, value in (
            ("top_k", top_k), ("max_answer_len", max_answer_len), ("max_seq_len", max_seq_len),
            ("max_question_len", max_question_len),
        ):  # fmt: skip
            at_least_one(name, value)
        if self.max_length is not None and max_seq_len > self.max_length:
            raise ValueError(
                f"max_seq_len {max_seq_len} is more than the {self.max_length} tokens the model takes"
            )
        if doc_stride is not None and not 0 <= doc_stride < max_seq_len:
            raise ValueError(
                f"doc_stride {doc_stride} is the overlap of windows of {max_seq_len} tokens: it must "
                "be 0 or more, and less"
            )
        return {
            "top_k": top_k, "doc_stride": doc_stride, "max_answer_len": max_answer_len,
            "max_seq_len": max_seq_len, "max_question_len": max_question_len,
            "impossible": handle_impossible_answer, "words": align_to_words,
        }  # fmt: skip

    def __call__(self, *inputs, question=None, context=None, **options):
        """A dictionary or list of them for one question; for several, one such for each."""
        texts = _pairs(inputs, question, context)
        results = super().__call__(texts, **options)
        return results[0] if len(results) == 1 else results

    def rows(self, text, options):
        """The windows; each knows the encoding, its number in it, and where an answer may stand."""
        question, context = text["question"], text["context"]
        self.check_text(question, "question")
        self.check_text(context, "context")
        tokens = self.tokenizer(
            question, add_special_tokens=False, return_offsets_mapping=True, verbose=False
        )["offset_mapping"]
        if len(tokens) > options["max_question_len"]:
            tokens = tokens[: options["max_question_len"]]
            question = question[: tokens[-1][1]]
        room = options["max_seq_len"] - len(tokens) - self.tokenizer.num_special_tokens_to_add(True)
        if room < 1:
            raise ValueError(
                f"question-answering: max_seq_len {options['max_seq_len']} leaves no token for the "
                f"context beside a question of {len(tokens)}: make it larger, or max_question_len less"
            )
        stride = options["doc_stride"]
        if stride is None:
            stride = min(options["max_seq_len"] // 2, 128, room // 2)
        elif stride >= room:
            raise ValueError(
                f"question-answering: doc_stride {stride} must be less than the {room} tokens of the "
                "context that stand in a window beside the question"
            )
        encoded = self.tokenizer(
            question, context, truncation="only_second", max_length=options["max_seq_len"],
            stride=stride, return_overflowing_tokens=True,
        )  # fmt: skip
        found = []
        for number in range(len(encoded["input_ids"])):
            allowed = numpy.array([part == 1 for part in encoded.sequence_ids(number)])
            found.append(Row(self.model_inputs(encoded, number), (encoded, number, allowed)))
        if not any(row.about[2].any() for row in found):
            raise ValueError(f"question-answering: the context {context!r:.60} has no token")
        return found

    def read(self, output, rows, options):
        """Log-probabilities of every row's tokens, as a Window."""
        starts = output.start_logits.float().cpu().numpy()
        ends = output.end_logits.float().cpu().numpy()
        found = []
        for start, end, row in zip(starts, ends, rows, strict=True):
            ids, allowed = row.inputs["input_ids"], row.about[2]
            cls = self.tokenizer.cls_token_id
            null = ids.index(cls) if cls in ids else 0
            counted = allowed.copy()
            counted[null] |= cls in ids
            scores = (_log_softmax(values[: len(ids)], counted) for values in (start, end))
            found.append(Window(*scores, allowed, null))
        return found

    def result(self, text, rows, outputs, options):
        """The answers, the likeliest first; one alone is no list."""
        top_k, context, answers = options["top_k"], text["context"], {}
        each = 2 * top_k + 10 if options["words"] else top_k  # whole words make some spans the same
        for window, row in zip(outputs, rows, strict=True):
            for span in best_spans(window, each, options["max_answer_len"]):
                start, end = self.characters(row, span, options["words"])
                answer = context[start:end]
                known = answers.setdefault(
                    answer.lower(), {"score": 0.0, "start": start, "end": end, "answer": answer}
                )
                known["score"] += math.exp(span.score)
        found = list(answers.values())
        if options["impossible"]:
            score = math.exp(no_answer_score(outputs))
            found.append({"score": score, "start": 0, "end": 0, "answer": ""})
        found = sorted(found, key=lambda answer: -answer["score"])[:top_k]
        return found[0] if len(found) == 1 else found

    def characters(self, row, span, whole_words: bool) -> tuple[int, int]:
        """Where a span's tokens, or the words that they belong to, begin and end in the context."""
        encoded, number, _ = row.about
        edges = []
        for token in (span.start, span.end):
            word = encoded.token_to_word(number, token) if whole_words else None
            if word is None:
                edges.append(encoded.token_to_chars(number, token))
            else:
                edges.append(encoded.word_to_chars(number, word, 1))
        return edges[0].start, edges[1].end


def _log_softmax(scores, counted):
    """log softmax over the counted tokens, -inf for the others."""
    scores = numpy.where(counted, scores.astype(numpy.float64), -numpy.inf)
    largest = scores.max()
    return scores - largest - numpy.log(numpy.exp(scores - largest).sum())


def _pairs(inputs, question, context) -> list[dict]:
    """Dictionaries with question and context, of whichever form they came in."""
    if len(inputs) == 2 and question is None and context is None:
        question, context = inputs
    elif len(inputs) == 1 and question is None and context is None:
        pairs = [inputs[0]] if isinstance(inputs[0], dict) else inputs[0]
        if isinstance(pairs, str) or not isinstance(pairs, (list, tuple)):
            raise ValueError(
                "question-answering: pass question= and context=, or a dictionary (or a list of them) "
                f"with both; got {pairs!r:.60}"
            )
        for pair in pairs:
            if not isinstance(pair, dict) or pair.keys() != {"question", "context"}:
                raise ValueError(
                    f'question-answering: a dictionary has "question" and "context"; got {pair!r:.60}'
                )
        return list(pairs)
    elif inputs:
        raise TypeError("question-answering takes a question and its context, or a list of pairs")
    if question is None or context is None:
        lacks = "question" if question is None else "context"
        raise ValueError(f"question-answering: there is no {lacks}; pass question= and context=")
    questions = [question] if isinstance(question, str) else list(question)
    contexts = [context] * len(questions) if isinstance(context, str) else list(context)
    if len(questions) != len(contexts):
        raise ValueError(
            f"question-answering: {len(questions)} questions don't go with {len(contexts)} contexts"
        )
    return [
        {"question": asked, "context": read}
        for asked, read in zip(questions, contexts, strict=True)
    ]

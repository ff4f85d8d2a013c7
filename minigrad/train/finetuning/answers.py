"""Fine-tuning on questions: windows of paragraphs as examples, answers read back from their scores."""

from collections.abc import Sequence

import numpy

from ...models import AutoModelForQuestionAnswering
from ...pipelines.spans import Window, answer_or_none
from ...pretrained.alignment import question_windows
from ...text.questions import Question, answer_f1, exact_match
from .tasks import Task


def by_articles(questions: Sequence[Question], shares=(0.7, 0.1, 0.2), seed: int = 0):
    """Parts of the questions, no article in two of them, of about these shares of the articles."""
    articles = sorted({question.article for question in questions})
    order = numpy.random.default_rng(seed).permutation(articles)
    cuts = numpy.round(numpy.cumsum(shares)[:-1] * len(order)).astype(int)
    return tuple(
        [question for question in questions if question.article in set(part.tolist())]
        for part in numpy.split(order, cuts)
    )


def answers_from(windows: Sequence[dict], start, end, questions, longest: int = 30) -> list[str]:
    """The likeliest span of every question's windows, as text; "" where no answer is likelier.

    start, end: scores (windows, T); where no question lacks an answer, there always is one.
    """
    can_lack = any(not question.answers for question in questions)
    own: dict[int, list[int]] = {}
    for number, window in enumerate(windows):
        own.setdefault(window["question"], []).append(number)
    found = []
    for number, question in enumerate(questions):
        rows = own.get(number, [])
        scores = []
        for row in rows:
            allowed = numpy.array([span is not None for span in windows[row]["offsets"]])
            length = len(allowed)
            scores.append(Window(start[row][:length], end[row][:length], allowed))
        best = answer_or_none(scores, 0.0 if can_lack else numpy.inf, longest) if scores else None
        if best is None:
            found.append("")
            continue
        offsets = windows[rows[best.window]]["offsets"]
        found.append(question.context[offsets[best.start][0] : offsets[best.end][1]])
    return found


def answer_figures(answers: Sequence[str], questions: Sequence[Question]) -> dict[str, float]:
    """The means of SQuAD's exact match and F1."""
    if not questions:
        raise ValueError("answer_figures: there are no questions")
    pairs = list(zip(answers, questions, strict=True))
    return {
        "exact": sum(exact_match(a, q.answers) for a, q in pairs) / len(pairs),
        "f1": sum(answer_f1(a, q.answers) for a, q in pairs) / len(pairs),
    }


def question_task(
    name: str, train, valid, test, tokenizer, max_length: int = 384, stride: int = 128
) -> Task:
    """Answers of questions (text.questions.Question) as spans of their paragraphs."""
    parts = [question_windows(tokenizer, part, max_length, stride) for part in (train, valid, test)]

    def rows(windows):
        kept = (*tokenizer.model_input_names, "start_positions", "end_positions")
        return [{key: window[key] for key in kept if key in window} for window in windows]

    def metrics_of(windows, questions):
        def metrics(prediction):
            start, end = prediction.predictions[:2]
            return answer_figures(answers_from(windows, start, end, questions), questions)

        return metrics

    train_rows, valid_rows, test_rows = map(rows, parts)
    return Task(
        name, AutoModelForQuestionAnswering, train_rows, valid_rows, test_rows, "f1",
        metrics_of(parts[1], valid), test_metrics=metrics_of(parts[2], test),
    )  # fmt: skip

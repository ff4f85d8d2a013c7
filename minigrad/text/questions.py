"""Questions about paragraphs, answered by a span of the paragraph: SQuAD's format."""

import json
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from .datasets import FILES, read_text

_XQUAD = "squad_xquad_en/xquad.en.json"
FILES[_XQUAD] = (
    "https://raw.githubusercontent.com/deepmind/xquad/60cac41/xquad.en.json",
    "e4c57d1c9143aaa1c5d265ba5987a65f4e69528d2a98f29d6e75019b10344f29",
)


@dataclass
class Question:
    """A question, its paragraph, and the answers with the places where they begin; none: no answer."""

    id: str
    question: str
    context: str
    answers: list[str]
    starts: list[int]
    article: int = 0


def read_squad(text: str, name: str = "squad") -> list[Question]:
    """The questions of a file in SQuAD's format (versions 1.1 and 2.0).

    Raises ValueError, naming the question, where an answer does not stand at its place.
    """
    found = []
    try:
        articles = json.loads(text)["data"]
        for number, article in enumerate(articles):
            for paragraph in article["paragraphs"]:
                for row in paragraph["qas"]:
                    answers = [] if row.get("is_impossible") else row["answers"]
                    found.append(
                        Question(
                            row["id"],
                            row["question"].strip(),
                            paragraph["context"],
                            [answer["text"] for answer in answers],
                            [answer["answer_start"] for answer in answers],
                            number,
                        )
                    )
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{name} is not in SQuAD's format: {error!r}") from error
    for question in found:
        for answer, start in zip(question.answers, question.starts, strict=True):
            if question.context[start : start + len(answer)] != answer:
                raise ValueError(
                    f"{name}: the answer {answer!r} to question {question.id} does not stand at "
                    f"character {start} of its paragraph"
                )
    return found


def xquad() -> list[Question]:
    """The English part of XQuAD (Artetxe et al. 2020): 1,190 questions on 48 articles."""
    return read_squad(read_text(_XQUAD), _XQUAD)


# -- how good an answer is -----------------------------------------------------------------------


def normalised(answer: str) -> str:
    """Lower-case, without punctuation and articles, one blank between words: what SQuAD compares."""
    words = "".join(c for c in answer.lower() if c not in string.punctuation).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def exact_match(answer: str, truth: Sequence[str]) -> float:
    """1 if the answer is one of the true ones, once normalised; an empty one is right without any."""
    return float(normalised(answer) in [normalised(right) for right in truth or [""]])


def answer_f1(answer: str, truth: Sequence[str]) -> float:
    """The best of F1 = 2 P R / (P + R) over the true answers, of the words both have in common."""
    found = normalised(answer).split()

    def f1(right):
        if not found or not right:
            return float(found == right)
        common = sum((Counter(found) & Counter(right)).values())
        return 2 * common / (len(found) + len(right))

    return max(f1(normalised(right).split()) for right in truth or [""])

"""Questions about paragraphs, answered by a span of the paragraph: SQuAD's format."""

import json
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

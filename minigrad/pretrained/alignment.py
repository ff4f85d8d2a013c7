"""What is known of words and characters, told to word pieces: tags of words, spans of answers."""

from collections.abc import Sequence

from .collators import IGNORED


def align_labels(word_ids: Sequence[int | None], labels: Sequence[int], every: bool = False):
    """A label for every token of a text, from those of its words.

    word_ids: of which word each token is a piece, None for special tokens (`encoding.word_ids(i)`).
    A word's first piece has its label, the other pieces -100 (as in Devlin et al. 2019); with
    `every`, all pieces have it. Raises ValueError where there are more words than labels.
    """
    known = [word for word in word_ids if word is not None]
    if known and max(known) >= len(labels):
        raise ValueError(f"align_labels: {max(known) + 1} words or more, but {len(labels)} labels")
    found, before = [], None
    for word in word_ids:
        counts = word is not None and (every or word != before)
        found.append(labels[word] if counts else IGNORED)
        before = word
    return found


def words_from_tokens(word_ids: Sequence[int | None], values: Sequence, count: int, missing=None):
    """The value of each of `count` words: its first piece's; `missing` for words that were cut off."""
    found = [missing] * count
    for word, value in reversed(list(zip(word_ids, values, strict=True))):
        if word is not None:
            found[word] = value
    return found


def question_windows(tokenizer, questions, max_length: int = 384, stride: int = 128) -> list[dict]:
    """Inputs for questions (text.questions.Question), long contexts cut into windows that overlap.

    A window is a dictionary of input_ids, attention_mask (and token_type_ids), start_positions and
    end_positions: the answer's first and last token, or 0, 0 ([CLS]) where the window lacks it; and
    for reading answers back: `question` (its number), `offsets`, a character span for every token of
    the context, None for others.
    """
    found = []
    for number, question in enumerate(questions):
        encoded = tokenizer(
            question.question, question.context, truncation="only_second", max_length=max_length,
            stride=stride, return_overflowing_tokens=True, return_offsets_mapping=True,
        )  # fmt: skip
        for i in range(len(encoded["input_ids"])):
            sequence = encoded.sequence_ids(i)
            offsets = [
                tuple(span) if part == 1 else None
                for span, part in zip(encoded["offset_mapping"][i], sequence, strict=True)
            ]
            names = [name for name in tokenizer.model_input_names if name in encoded]
            window = {name: encoded[name][i] for name in names}
            start, end = answer_tokens(question, offsets)
            window |= {"start_positions": start, "end_positions": end}
            found.append(window | {"question": number, "offsets": offsets})
    return found


def answer_tokens(question, offsets) -> tuple[int, int]:
    """The first and last token of a question's first answer; (0, 0) where they are not among these."""
    if not question.answers:
        return 0, 0
    begin = question.starts[0]
    end = begin + len(question.answers[0])
    inside = [i for i, s in enumerate(offsets) if s is not None and s[0] < end and s[1] > begin]
    if not inside or offsets[inside[0]][0] > begin or offsets[inside[-1]][1] < end:
        return 0, 0
    return inside[0], inside[-1]

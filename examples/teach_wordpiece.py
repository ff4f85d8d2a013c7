"""WordPiece, BERT's way to cut words, in plain Python, held against the tokenizers library.

    python examples/teach_wordpiece.py                  movie reviews; a vocabulary of 2,000 pieces

A text is cleaned, cut at spaces and punctuation, and each word is eaten from its start: always the
longest piece of the vocabulary that fits, pieces inside a word being written with ##. A word with a
rest that no piece begins is unknown as a whole (Schuster and Nakajima 2012; Devlin et al. 2019).
"""

import unicodedata

from minigrad.pretrained import train_tokenizer
from minigrad.text import load

LONGEST = 100  # characters; a longer word is unknown
CHINESE = [  # blocks of signs that are words of their own, as the library has them
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B81F), (0x2B920, 0x2CEAF),
    (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
]  # fmt: skip


def clean(text: str) -> str:
    """No control characters, one kind of space, Chinese signs apart, no accents, lower case."""
    kept = []
    for sign in text:
        if sign in "\t\n\r" or unicodedata.category(sign) == "Zs":
            kept.append(" ")
        elif sign in "\0\ufffd" or unicodedata.category(sign)[0] == "C":
            continue
        elif any(first <= ord(sign) <= last for first, last in CHINESE):
            kept.append(f" {sign} ")
        else:
            kept.append(sign)
    apart = unicodedata.normalize("NFD", "".join(kept))  # é -> e and an accent
    return "".join(sign.lower() for sign in apart if unicodedata.category(sign) != "Mn")


def is_punctuation(sign: str) -> bool:
    """Unicode's punctuation, and all ASCII signs that are neither letters, digits nor spaces."""
    ascii_sign = sign.isascii() and not sign.isalnum() and sign.isprintable() and sign != " "
    return ascii_sign or unicodedata.category(sign)[0] == "P"


def words(text: str) -> list[str]:
    """The words of a clean text; every punctuation sign is one."""
    spaced = (f" {sign} " if is_punctuation(sign) else sign for sign in text)
    return "".join(spaced).split()


def pieces(word: str, vocabulary: dict[str, int], unknown: str = "[UNK]") -> list[str]:
    """The longest piece from the left, again and again."""
    if len(word) > LONGEST:
        return [unknown]
    found, start = [], 0
    while start < len(word):
        for end in range(len(word), start, -1):
            piece = word[start:end] if start == 0 else "##" + word[start:end]
            if piece in vocabulary:
                break
        else:
            return [unknown]
        found.append(piece)
        start = end
    return found


def encode(text: str, vocabulary: dict[str, int]) -> list[int]:
    """The numbers of a text's pieces, between [CLS] and [SEP]."""
    cut = [piece for word in words(clean(text)) for piece in pieces(word, vocabulary)]
    return [vocabulary[piece] for piece in ["[CLS]", *cut, "[SEP]"]]


def compare(texts: list[str], vocab_size: int) -> int:
    """How many texts are cut as the library cuts them, by a vocabulary learnt from half of them."""
    tokenizer = train_tokenizer(texts[: len(texts) // 2], "wordpiece", vocab_size)
    vocabulary = tokenizer.get_vocab()
    ours = [encode(text, vocabulary) for text in texts]
    theirs = tokenizer(texts)["input_ids"]
    print(texts[0][:60], "->", *tokenizer.convert_ids_to_tokens(ours[0])[:16])
    return sum(a == b for a, b in zip(ours, theirs, strict=True))


if __name__ == "__main__":
    reviews = [text for text, _ in load("movie_reviews").train]
    print(
        compare(reviews, 2000), "of", len(reviews), "texts are cut as the tokenizers library does"
    )

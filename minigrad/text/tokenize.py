"""Tokenizers: a text into a list of words or characters."""

import re
from collections.abc import Callable

_STRANGE = re.compile(r"[^A-Za-z0-9(),!?'`]")
_KIM = [
    (_STRANGE, " "),
    (re.compile(r"'s"), " 's"),
    (re.compile(r"'ve"), " 've"),
    (re.compile(r"n't"), " n't"),
    (re.compile(r"'re"), " 're"),
    (re.compile(r"'d"), " 'd"),
    (re.compile(r"'ll"), " 'll"),
    (re.compile(r"([,!?()])"), r" \1 "),
]
_WORDS = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[^\sa-z0-9]")
_TRANSLATION = re.compile(r"'(?:s|t|re|ve|ll|d|m)\b|\w+|[^\w\s]")
_BASIC = str.maketrans({**{mark: f" {mark} " for mark in "'.,()!?"}, '"': "", ";": " ", ":": " "})


def kim(text: str, lower: bool = True) -> list[str]:
    """The cleaning of Kim 2014: letters, digits and ( ) , ! ? ' `; clitics and punctuation apart."""
    for pattern, replacement in _KIM:
        text = pattern.sub(replacement, text)
    return (text.lower() if lower else text).split()


def kim_trec(text: str) -> list[str]:
    """Kim 2014's cleaning of TREC: as elsewhere, but capitals stay."""
    return kim(text, lower=False)


def kim_sst(text: str) -> list[str]:
    """Kim 2014's cleaning of SST, which comes in tokens: only other characters are taken out."""
    return _STRANGE.sub(" ", text).lower().split()


def basic_english(text: str) -> list[str]:
    """torchtext's: lower-case, ' . , ( ) ! ? apart; quotation marks, ; : and <br /> taken out."""
    return text.lower().replace("<br />", " ").translate(_BASIC).split()


def words(text: str) -> list[str]:
    """Lower-case words, "don't" being one, with every other mark a token of its own."""
    return _WORDS.findall(text.lower())


def translation(text: str) -> list[str]:
    """Lower-case words of any alphabet; clitics ('s, 't, 're) and every other mark apart."""
    return _TRANSLATION.findall(text.lower())


def whitespace(text: str) -> list[str]:
    """What stands between blanks."""
    return text.split()


def characters(text: str) -> list[str]:
    """Every character."""
    return list(text)


TOKENIZERS: dict[str, Callable[[str], list[str]]] = {
    "basic_english": basic_english,
    "characters": characters,
    "kim": kim,
    "kim_sst": kim_sst,
    "kim_trec": kim_trec,
    "split": whitespace,
    "translation": translation,
    "words": words,
}


def get_tokenizer(tokenizer) -> Callable[[str], list[str]]:
    """A tokenizer by its name in TOKENIZERS; a function is itself, and None splits at blanks."""
    if callable(tokenizer):
        return tokenizer
    if tokenizer is None:
        return whitespace
    if tokenizer not in TOKENIZERS:
        raise ValueError(
            f"get_tokenizer: there is no tokenizer called {tokenizer!r}; there are: "
            + ", ".join(TOKENIZERS)
        )
    return TOKENIZERS[tokenizer]

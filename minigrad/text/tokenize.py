"""Tokenizers: a text into a list of words or characters."""

import re
from collections.abc import Callable

_KIM = [
    (re.compile(r"[^A-Za-z0-9(),!?'`]"), " "),
    (re.compile(r"'s"), " 's"),
    (re.compile(r"'ve"), " 've"),
    (re.compile(r"n't"), " n't"),
    (re.compile(r"'re"), " 're"),
    (re.compile(r"'d"), " 'd"),
    (re.compile(r"'ll"), " 'll"),
    (re.compile(r"([,!?()])"), r" \1 "),
]
_BASIC = re.compile(r"[a-z0-9]+(?:'[a-z]+)?|[^\sa-z0-9]")


def kim(text: str, lower: bool = True) -> list[str]:
    """The cleaning of Kim 2014: letters, digits and ( ) , ! ? ' `; clitics and punctuation apart."""
    for pattern, replacement in _KIM:
        text = pattern.sub(replacement, text)
    return (text.lower() if lower else text).split()


def basic_english(text: str) -> list[str]:
    """Lower-case words, with every punctuation mark a token of its own."""
    return _BASIC.findall(text.lower())


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
    "split": whitespace,
}


def get_tokenizer(tokenizer) -> Callable[[str], list[str]]:
    """A tokenizer by name ("kim", "basic_english", "split", "characters"); a function is itself."""
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

"""Vocab: tokens to ids and back."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..files import atomic


class Vocab:
    """The ids of tokens: `vocab["film"]` is an id, `vocab(["a", "film"])` a list of ids.

    tokens: in the order of their ids. A token that is not among them gets the default index, where
    one is set (`set_default_index`); otherwise it is a RuntimeError that names the token.
    """

    def __init__(self, tokens: Iterable[str], default_index: int | None = None):
        self.itos = list(tokens)
        self.stoi = {token: i for i, token in enumerate(self.itos)}
        if len(self.stoi) < len(self.itos):
            twice = next(token for token, n in Counter(self.itos).items() if n > 1)
            raise ValueError(f"Vocab: the token {twice!r} stands more than once in the list")
        self._default = None
        if default_index is not None:
            self.set_default_index(default_index)

    def __len__(self) -> int:
        return len(self.itos)

    def __contains__(self, token: str) -> bool:
        return token in self.stoi

    def __getitem__(self, token: str) -> int:
        found = self.stoi.get(token, self._default)
        if found is None:
            raise RuntimeError(
                f"Token {token} not found and default index is not set: call "
                "set_default_index(vocab['<unk>'])"
            )
        return found

    def __call__(self, tokens: Sequence[str]) -> list[int]:
        return [self[token] for token in tokens]

    forward = lookup_indices = __call__

    def __repr__(self) -> str:
        return f"Vocab({len(self)} tokens)"

    def set_default_index(self, index: int | None) -> None:
        """The id of tokens that are not in the vocabulary."""
        if index is not None and not 0 <= index < len(self):
            raise ValueError(f"Vocab: the default index {index} is not an id of {len(self)} tokens")
        self._default = index

    def get_default_index(self) -> int | None:
        """The id of tokens that are not in the vocabulary, or None."""
        return self._default

    def lookup_token(self, index: int) -> str:
        """The token of an id."""
        if not 0 <= index < len(self):
            raise RuntimeError(
                f"Specified index {index} is out of bounds for vocab of size {len(self)}"
            )
        return self.itos[index]

    def lookup_tokens(self, indices: Iterable[int]) -> list[str]:
        """The tokens of ids."""
        return [self.lookup_token(int(index)) for index in indices]

    def get_itos(self) -> list[str]:
        """All tokens, in the order of their ids."""
        return list(self.itos)

    def get_stoi(self) -> dict[str, int]:
        """All tokens with their ids."""
        return dict(self.stoi)

    def append_token(self, token: str) -> None:
        """A new token, with the next id."""
        self.insert_token(token, len(self))

    def insert_token(self, token: str, index: int) -> None:
        """A new token with this id; the ids after it grow by one."""
        if token in self.stoi:
            raise RuntimeError(
                f"Token {token} already exists in the Vocab with index: {self.stoi[token]}"
            )
        if not 0 <= index <= len(self):
            raise RuntimeError(
                f"Specified index {index} is out of bounds for vocab of size {len(self)}"
            )
        self.itos.insert(index, token)
        self.stoi = {t: i for i, t in enumerate(self.itos)}

    def save(self, path) -> None:
        """Write the vocabulary as JSON, whole or not at all."""
        with atomic(path, "w") as file:
            json.dump(
                {"tokens": self.itos, "default_index": self._default}, file, ensure_ascii=False
            )

    @classmethod
    def load(cls, path) -> "Vocab":
        """Read a vocabulary that `save` wrote."""
        try:
            data = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(data["tokens"], data["default_index"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is not a vocabulary that Vocab.save wrote: {error}"
            ) from error


def build_vocab_from_iterator(
    iterator: Iterable[Iterable[str]],
    min_freq: int = 1,
    specials: Sequence[str] | None = None,
    special_first: bool = True,
    max_tokens: int | None = None,
) -> Vocab:
    """A vocabulary of all tokens that occur min_freq times, the frequent ones first, then by alphabet.

    specials (such as "<pad>", "<unk>") come first, or last; max_tokens counts them too.
    """
    counts = Counter(token for tokens in iterator for token in tokens)
    specials = list(specials or [])
    for token in specials:
        counts.pop(token, None)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    tokens = [token for token, n in ranked if n >= min_freq]
    if max_tokens is not None:
        if max_tokens < len(specials):
            raise ValueError(f"max_tokens {max_tokens} is less than the {len(specials)} specials")
        tokens = tokens[: max_tokens - len(specials)]
    return Vocab(specials + tokens if special_first else tokens + specials)

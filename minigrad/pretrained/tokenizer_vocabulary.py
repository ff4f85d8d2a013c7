"""The vocabulary of a tokenizer: tokens and their numbers, tokens added to it, ids back to texts."""

from collections.abc import Mapping

import numpy

from .padding import as_lists
from .special_tokens import NAMES, SpecialTokens, content
from .tokenizer_parts import as_added
from .tokenizer_texts import clean_up


class TokenizerVocabulary(SpecialTokens):
    """What can be asked of a tokenizer's vocabulary; the tokens are in `backend_tokenizer`.

    backend_tokenizer: a Tokenizer of the tokenizers library.
    """

    clean_up_tokenization_spaces = False

    def __init__(self, backend_tokenizer):
        super().__init__()
        self.backend_tokenizer = backend_tokenizer

    @property
    def vocab_size(self) -> int:
        """The number of tokens, without those added later; len(tokenizer) counts all."""
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=False)

    def __len__(self) -> int:
        return self.backend_tokenizer.get_vocab_size(with_added_tokens=True)

    def __bool__(self) -> bool:
        return True

    def get_vocab(self) -> dict[str, int]:
        """The number of every token."""
        return self.backend_tokenizer.get_vocab(with_added_tokens=True)

    @property
    def vocab(self) -> dict[str, int]:
        """The number of every token."""
        return self.get_vocab()

    @property
    def added_tokens_decoder(self) -> dict:
        """The special and added tokens, with their options, by number."""
        return self.backend_tokenizer.get_added_tokens_decoder()

    def get_added_vocab(self) -> dict[str, int]:
        """The numbers of the special and added tokens."""
        return {token.content: n for n, token in sorted(self.added_tokens_decoder.items())}

    def add_tokens(self, new_tokens, special_tokens: bool = False) -> int:
        """Add tokens, a string or several, that are never cut; how many were new.

        A model then needs resize_token_embeddings(len(tokenizer)).
        """
        if not isinstance(new_tokens, (list, tuple)):
            new_tokens = [new_tokens] if new_tokens else []
        for token in new_tokens:
            if not isinstance(content(token), str):
                raise TypeError(f"add_tokens: a token is a string, not a {type(token).__name__}")
        backend = self.backend_tokenizer
        add = backend.add_special_tokens if special_tokens else backend.add_tokens
        return add(list(new_tokens))

    def add_special_tokens(self, special_tokens_dict: dict, replace_extra: bool = True) -> int:
        """Name special tokens, {"pad_token": "[PAD]", "extra_special_tokens": [...]}; how many were new.

        replace_extra: forget the former extra special tokens (they stay in the vocabulary).
        """
        named = dict(special_tokens_dict)
        if "additional_special_tokens" in named:
            named.setdefault("extra_special_tokens", named.pop("additional_special_tokens"))
        for name, token in named.items():
            if name not in (*NAMES, "extra_special_tokens"):
                raise ValueError(
                    f"add_special_tokens: there is no {name!r}; there are: {', '.join(NAMES)}, "
                    "extra_special_tokens"
                )
            if name in NAMES and not isinstance(content(token), str):
                raise ValueError(f"add_special_tokens: {name} is a string, not {token!r}")
        extra = named.pop("extra_special_tokens", [])
        before = [] if replace_extra else [t for t in self._extra if t not in map(content, extra)]
        if extra:
            self.extra_special_tokens = [*before, *extra]
        for name, token in named.items():
            setattr(self, name, token)
        return self.add_tokens(
            [as_added(t) for t in [*named.values(), *extra]], special_tokens=True
        )

    def convert_tokens_to_ids(self, tokens):
        """The number of a token, or the numbers of several; the unknown token's for unknown ones."""
        if isinstance(tokens, str):
            index = self.backend_tokenizer.token_to_id(tokens)
            unknown = self.unk_token
            if index is None and unknown is not None:
                index = self.backend_tokenizer.token_to_id(unknown)
            return index
        return [self.convert_tokens_to_ids(token) for token in tokens]

    def convert_ids_to_tokens(self, ids, skip_special_tokens: bool = False):
        """The token of a number, or the tokens of several; None for numbers that there are not."""
        if isinstance(ids, (int, numpy.integer)):
            return self.backend_tokenizer.id_to_token(int(ids))
        left_out = set(self.all_special_ids) if skip_special_tokens else ()
        look_up = self.backend_tokenizer.id_to_token
        return [look_up(index) for index in map(int, ids) if index not in left_out]

    def convert_tokens_to_string(self, tokens: list[str]) -> str:
        """Pieces joined to a text."""
        decoder = self.backend_tokenizer.decoder
        return " ".join(tokens) if decoder is None else decoder.decode(list(tokens))

    def num_special_tokens_to_add(self, pair: bool = False) -> int:
        """How many special tokens a text gets, or a pair of texts."""
        return self.backend_tokenizer.num_special_tokens_to_add(pair)

    def build_inputs_with_special_tokens(self, ids) -> list[int]:
        """The ids of a text with the special tokens that a call puts around it."""
        probe = self("a", padding=False, truncation=False, return_special_tokens_mask=True)
        special = probe["special_tokens_mask"]
        begin, after = special.index(0), special[::-1].index(0)
        row = probe["input_ids"]
        return [*row[:begin], *ids, *row[len(row) - after :]]

    def get_special_tokens_mask(
        self, token_ids_0, token_ids_1=None, already_has_special_tokens: bool = False
    ) -> list[int]:
        """1 where an id is a special token's; for ids that have their special tokens already."""
        if not already_has_special_tokens or token_ids_1 is not None:
            raise ValueError(
                "get_special_tokens_mask: takes one list of ids that have their special tokens, with "
                "already_has_special_tokens=True; else call the tokenizer with "
                "return_special_tokens_mask=True"
            )
        special = set(self.all_special_ids)
        return [int(int(index) in special) for index in token_ids_0]

    # -- ids to texts ------------------------------------------------------------------------------

    def decode(
        self,
        token_ids,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ):
        """The text of ids: a number, a list, a tensor (T); a list of texts for rows (B, T).

        clean_up_tokenization_spaces: no spaces before punctuation and 's, n't (not for BPE).
        """
        ids = as_lists(token_ids)
        if isinstance(ids, Mapping):
            ids = as_lists(ids["input_ids"])
        if isinstance(ids, int):
            ids = [ids]
        if ids and isinstance(ids[0], (list, tuple)):
            return [
                self.decode(row, skip_special_tokens, clean_up_tokenization_spaces) for row in ids
            ]
        if any(index < 0 for index in ids):
            raise ValueError(
                f"decode: an id is 0 or more, got {min(ids)}; leave out labels of -100"
            )
        text = self.backend_tokenizer.decode(ids, skip_special_tokens=skip_special_tokens)
        clean = clean_up_tokenization_spaces
        clean = self.clean_up_tokenization_spaces if clean is None else clean
        return clean_up(text) if clean and self.kind != "BPE" else text

    def batch_decode(
        self,
        sequences,
        skip_special_tokens: bool = False,
        clean_up_tokenization_spaces: bool | None = None,
    ) -> list[str]:
        """The texts of rows of ids."""
        texts = self.decode(sequences, skip_special_tokens, clean_up_tokenization_spaces)
        return [texts] if isinstance(texts, str) else texts

    @property
    def kind(self) -> str:
        """How words are cut: WordPiece, BPE, Unigram."""
        return type(self.backend_tokenizer.model).__name__

"""Special tokens by name: tokenizer.pad_token, tokenizer.pad_token_id, and lists of them all."""

NAMES = (
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
)  # fmt: skip


def _token(name: str) -> property:
    def get(self) -> str | None:
        return self._special.get(name)

    def put(self, token):
        if token is not None and not _is_token(token):
            raise ValueError(f"{name} is a string or None, not {token!r}")
        self._special[name] = None if token is None else content(token)

    return property(get, put, doc=f"The {name}, None where there is none.")


def _token_id(name: str) -> property:
    def get(self) -> int | None:
        token = self._special.get(name)
        return None if token is None else self.convert_tokens_to_ids(token)

    def put(self, index):
        setattr(self, name, None if index is None else self.convert_ids_to_tokens(index))

    return property(get, put, doc=f"The number of the {name}, None where there is none.")


def content(token) -> str:
    """The string of a token: of a str, of the tokenizers library's AddedToken, or of its JSON."""
    if isinstance(token, dict):
        return token["content"]
    return getattr(token, "content", token)


def _is_token(token) -> bool:
    return isinstance(content(token), str)


class SpecialTokens:
    """The named special tokens of a tokenizer, and others without a name.

    The tokenizer has convert_tokens_to_ids and convert_ids_to_tokens.
    """

    bos_token, bos_token_id = _token("bos_token"), _token_id("bos_token")
    eos_token, eos_token_id = _token("eos_token"), _token_id("eos_token")
    unk_token, unk_token_id = _token("unk_token"), _token_id("unk_token")
    sep_token, sep_token_id = _token("sep_token"), _token_id("sep_token")
    pad_token, pad_token_id = _token("pad_token"), _token_id("pad_token")
    cls_token, cls_token_id = _token("cls_token"), _token_id("cls_token")
    mask_token, mask_token_id = _token("mask_token"), _token_id("mask_token")

    def __init__(self):
        self._special: dict[str, str | None] = dict.fromkeys(NAMES)
        self._extra: list[str] = []

    @property
    def extra_special_tokens(self) -> list[str]:
        """Special tokens that have no name."""
        return list(self._extra)

    @extra_special_tokens.setter
    def extra_special_tokens(self, tokens):
        if tokens is not None and (
            not isinstance(tokens, (list, tuple)) or not all(map(_is_token, tokens))
        ):
            raise ValueError(f"extra_special_tokens is a list of strings, not {tokens!r}")
        self._extra = [content(token) for token in tokens or ()]

    @property
    def extra_special_tokens_ids(self) -> list[int]:
        """The numbers of the special tokens that have no name."""
        return self.convert_tokens_to_ids(self._extra)

    @property
    def special_tokens_map(self) -> dict[str, str]:
        """The named special tokens, by name."""
        return {name: token for name, token in self._special.items() if token is not None}

    @property
    def all_special_tokens(self) -> list[str]:
        """Every special token once, those with names first."""
        return list(dict.fromkeys([*self.special_tokens_map.values(), *self._extra]))

    @property
    def all_special_ids(self) -> list[int]:
        """The numbers of all special tokens."""
        return self.convert_tokens_to_ids(self.all_special_tokens)

"""The texts of a tokenizer's call, in their several forms, and what bad ones are told."""

FORMS = "a string, a list of strings, or, with is_split_into_words=True, lists of words"


def _is_text(value) -> bool:
    """Whether this is a string, or lists of strings down to the third level."""
    for _ in range(3):
        if isinstance(value, str):
            return True
        if not isinstance(value, (list, tuple)):
            return False
        if not value:
            return True
        value = value[0]
    return isinstance(value, str)


def batch_of(text, text_pair, split: bool) -> tuple[list, bool]:
    """(the texts or pairs as a list, whether they came as one)."""
    for name, value in (("text", text), ("text_pair", text_pair)):
        if not _is_text(value) and not (name == "text_pair" and value is None):
            raise ValueError(f"{name} is {FORMS}; got {_shown(value)}")
    several = isinstance(text, (list, tuple))
    if split:
        if not several:
            raise TypeError("is_split_into_words=True takes a list of words, not a string")
        several = bool(text) and isinstance(text[0], (list, tuple))
    if not several:
        return ([(text, text_pair)] if text_pair else [text]), False
    if text_pair is None:
        return list(text), True
    if isinstance(text_pair, str):
        raise TypeError("text is a list, so text_pair must be a list of as many, not a string")
    if len(text) != len(text_pair):
        raise ValueError(f"{len(text)} texts don't go with {len(text_pair)} second texts")
    return list(zip(text, text_pair, strict=True)), True


def _shown(value) -> str:
    shown = repr(value)
    return f"{type(value).__name__} {shown if len(shown) < 60 else shown[:56] + ' ...'}"


def encode_batch(backend, batch: list, add_special_tokens: bool, split: bool) -> list:
    """The records of the tokenizers library; its errors name the text and the remedy."""
    options = dict(add_special_tokens=add_special_tokens, is_pretokenized=split)
    try:
        return backend.encode_batch(batch, **options)
    except TypeError:
        for number, item in enumerate(batch):
            try:
                backend.encode_batch([item], **options)
            except TypeError as error:
                form = "a list of words" if split else "a string"
                raise TypeError(
                    f"text {number} is {form} or a pair of such, without halves of surrogate pairs; "
                    f"got {_shown(item)}"
                ) from error
        raise
    except BaseException as error:  # the library's panics are no Exception
        if type(error).__name__ == "PanicException" and "stride" in str(error):
            raise ValueError(
                "the texts can't be cut: stride must be less than what max_length leaves of the text "
                "that is cut"
            ) from error
        if "runcation error" in str(error):
            raise ValueError(
                f"the texts can't be cut to max_length ({error}): truncation 'only_first' and "
                "'only_second' need that text to be long enough, and 'only_second' pairs; "
                "'longest_first' cuts both"
            ) from error
        raise


def clean_up(text: str) -> str:
    """No space before punctuation and the ends of English contractions."""
    for spaced in (" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"):
        text = text.replace(spaced, spaced.strip())
    return text

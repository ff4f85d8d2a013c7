"""Tokenizers out of GGUF files: byte-level BPE, of tokens, merges and special tokens in the metadata."""

from ..extra import need
from .gguf_reader import GGUFFile
from .tokenizer_parts import bpe

CONTROL, USER_DEFINED = 3, 4  # types of tokens that are never cut
NAMES = {
    "bos_token_id": "bos_token",
    "eos_token_id": "eos_token",
    "unknown_token_id": "unk_token",
    "padding_token_id": "pad_token",
}
_LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_QWEN2 = _LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
# tokenizer.ggml.pre: how a text is cut into words before pairs are merged. None: as GPT-2 does;
# "digits": every digit is a word; else a regular expression of words
SPLITS = {
    "gpt-2": None,
    "smollm": "digits", "starcoder": "digits", "refact": "digits",
    "llama-bpe": _LLAMA3, "llama3": _LLAMA3, "llama-v3": _LLAMA3,
    "qwen2": _QWEN2,
}  # fmt: skip


def read_gguf_tokenizer(path):
    """(tokenizer of the tokenizers library, settings by name) that a GGUF file's metadata describe.

    Raises ValueError where there is no tokenizer, or one of another kind than byte-level BPE.
    """
    given = GGUFFile(path).metadata
    library = need("tokenizers", extra="models")
    kind, split = given.get("tokenizer.ggml.model"), given.get("tokenizer.ggml.pre", "gpt-2")
    if kind != "gpt2":
        raise ValueError(
            f"{path}: its tokenizer is of kind {kind!r}; only byte-level BPE ('gpt2') can be read"
        )
    if split not in SPLITS:
        raise ValueError(
            f"{path}: texts are cut into words by the rule {split!r}; known are {', '.join(SPLITS)}"
        )
    missing = [key for key in ("tokens", "merges") if f"tokenizer.ggml.{key}" not in given]
    if missing:
        raise ValueError(f"{path} lacks tokenizer.ggml.{missing[0]}: there is no tokenizer in it")
    tokens = given["tokenizer.ggml.tokens"]
    merges = [tuple(pair.split(" ")) for pair in given["tokenizer.ggml.merges"]]
    prefix = given.get("tokenizer.ggml.add_space_prefix", False)
    ids = {token: number for number, token in enumerate(tokens)}
    backend = bpe(ids, merges, {"add_prefix_space": prefix})
    if SPLITS[split] is not None:
        backend.pre_tokenizer = _words(library, SPLITS[split], prefix)
    for number, kind in enumerate(given.get("tokenizer.ggml.token_type", ())):
        if kind in (CONTROL, USER_DEFINED):
            add = backend.add_special_tokens if kind == CONTROL else backend.add_tokens
            token = library.AddedToken(tokens[number], special=kind == CONTROL, normalized=False)
            add([token])
    settings = {
        name: tokens[given[f"tokenizer.ggml.{key}"]]
        for key, name in NAMES.items()
        if f"tokenizer.ggml.{key}" in given
    }
    _template(library, backend, given, settings)
    if "tokenizer.chat_template" in given:
        settings["chat_template"] = given["tokenizer.chat_template"]
    return backend, settings


def _words(library, split: str, prefix: bool):
    """Words by a rule, then bytes."""
    kinds = library.pre_tokenizers
    if split == "digits":
        first = kinds.Digits(individual_digits=True)
    else:
        first = kinds.Split(library.Regex(split), behavior="isolated")
    return kinds.Sequence(
        [first, kinds.ByteLevel(add_prefix_space=prefix, use_regex=split == "digits")]
    )


def _template(library, backend, given: dict, settings: dict) -> None:
    """A text's first and last token, where the file says that there are any."""
    first, last = (
        f"{settings[name]}:{{0}} "
        if given.get(f"tokenizer.ggml.add_{name}") and name in settings
        else ""
        for name in ("bos_token", "eos_token")
    )
    marks = {settings[name] for name, mark in (("bos_token", first), ("eos_token", last)) if mark}
    one, two = (f"{first}${name}:{{0}} {last}" for name in "AB")
    backend.post_processor = library.processors.TemplateProcessing(
        single=one.format(0).strip(),
        pair=f"{one.format(0)}{two.format(1)}".strip(),
        special_tokens=[(mark, backend.token_to_id(mark)) for mark in sorted(marks)],
    )

"""The files of a tokenizer: tokenizer.json, or the vocabulary files that older folders have instead."""

import json
from pathlib import Path

from ..extra import need
from ..files import atomic, read_json_object
from .special_tokens import NAMES, content
from .tokenizer_parts import (
    BERT_TOKENS,
    CLASSES,
    ROBERTA_TOKENS,
    TYPES,
    add_tokens,
    bert_template,
    bpe,
    class_defaults,
    class_of,
    roberta_template,
    wordpiece,
)

TOKENIZER, CONFIG, SPECIAL = "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"
VOCAB, VOCAB_JSON, MERGES = "vocab.txt", "vocab.json", "merges.txt"
TEMPLATE = "chat_template.jinja"


def read_if_there(path: Path) -> dict:
    """The object in a JSON file, {} where there is no file; ValueError for anything else."""
    return read_json_object(path) if path.is_file() else {}


def read_folder(folder, changes: dict):
    """(tokenizer of the tokenizers library, settings by name) of a folder; changes replace settings.

    Settings are those of tokenizer_config.json, with the special tokens of special_tokens_map.json.
    Raises FileNotFoundError where the folder has no tokenizer, ValueError for a file that is none.
    """
    folder = Path(folder)
    if not any((folder / name).is_file() for name in (TOKENIZER, VOCAB, VOCAB_JSON)):
        raise FileNotFoundError(
            f"{folder} holds no tokenizer: neither {TOKENIZER}, nor {VOCAB}, nor {VOCAB_JSON} and "
            f"{MERGES}; from_pretrained reads a local folder"
        )
    settings = _one_name(_read_settings(folder)) | _one_name(changes)
    if (folder / TOKENIZER).is_file():
        backend = read_tokenizer(folder / TOKENIZER)
        settings.setdefault("tokenizer_class", class_of(backend))
        tokens, _ = class_defaults(settings)
        for name, token in tokens.items():
            if backend.token_to_id(token) is not None:
                settings.setdefault(name, token)
        add_tokens(backend, settings)
    elif (folder / VOCAB).is_file():
        settings.setdefault("tokenizer_class", "BertTokenizer")
        settings = _with_defaults(BERT_TOKENS, settings)
        backend = wordpiece(_read_words(folder / VOCAB, content(settings["unk_token"])), settings)
        add_tokens(backend, settings)
        bert_template(backend, settings)
    else:
        if not (folder / MERGES).is_file():
            raise FileNotFoundError(
                f"{folder} holds {VOCAB_JSON}, but no {MERGES}: byte-level BPE needs both"
            )
        settings.setdefault("tokenizer_class", "RobertaTokenizer")
        settings = _with_defaults(ROBERTA_TOKENS, settings)
        ids, merges = read_if_there(folder / VOCAB_JSON), _read_merges(folder / MERGES)
        try:
            backend = bpe(ids, merges, settings)
        except Exception as error:  # the library raises no narrower class
            raise ValueError(
                f"{folder / VOCAB_JSON} and {folder / MERGES} don't go together: {error}"
            ) from error
        add_tokens(backend, settings)
        roberta_template(backend, settings)
    return backend, settings


def write_folder(folder, backend, config: dict, special: dict) -> tuple[str, ...]:
    """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json; their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    texts = {
        TOKENIZER: backend.to_str(),
        CONFIG: json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n",
        SPECIAL: json.dumps(special, indent=2, ensure_ascii=False) + "\n",
    }
    for name, text in texts.items():
        with atomic(folder / name, "w") as file:
            file.write(text)
    return tuple(str(folder / name) for name in texts)


def _read_settings(folder: Path) -> dict:
    """What the JSON files beside the vocabulary say."""
    settings = read_if_there(folder / CONFIG)
    if "added_tokens_decoder" not in settings:
        settings |= read_if_there(folder / SPECIAL)
    kind = settings.get("tokenizer_class") or TYPES.get(
        read_if_there(folder / "config.json").get("model_type")
    )
    for name in ("name_or_path", "tokenizer_file", "special_tokens_map_file"):
        settings.pop(name, None)  # paths of another machine
    if kind and kind.removesuffix("Fast") in CLASSES:
        kind = kind.removesuffix("Fast")
    if (folder / TEMPLATE).is_file():
        settings["chat_template"] = (folder / TEMPLATE).read_text(encoding="utf-8")
    return settings | ({"tokenizer_class": kind} if kind else {})


def _one_name(settings: dict) -> dict:
    """Settings with special tokens that have no name as a list, under the newer of its two names."""
    old, new = "additional_special_tokens", "extra_special_tokens"
    settings = {k: v for k, v in settings.items() if v is not None or k in NAMES}
    extra = settings.pop(old, []) if new not in settings else settings.pop(new)
    settings.pop(old, None)
    extra = list(extra.values()) if isinstance(extra, dict) else extra
    return settings | ({new: extra} if extra else {})


def _with_defaults(tokens: dict[str, str], settings: dict) -> dict:
    """The settings with these special tokens where they name none."""
    return tokens | {name: value for name, value in settings.items() if value is not None}


def read_tokenizer(path):
    """The tokenizer of a tokenizer.json; FileNotFoundError, or ValueError for one that is broken."""
    library = need("tokenizers", extra="models")
    text = Path(path).read_text(encoding="utf-8")
    try:
        return library.Tokenizer.from_str(text)
    except Exception as error:  # the library raises no narrower class
        raise ValueError(f"{path} is no tokenizer: {error}") from error


def _read_words(path: Path, unknown: str) -> dict[str, int]:
    """A word a line; its number is the line's, from 0."""
    with open(path, encoding="utf-8") as file:
        words = {line.rstrip("\n"): number for number, line in enumerate(file)}
    if unknown not in words:
        raise ValueError(f"{path} has no {unknown!r}, which words without pieces need")
    return words


def _read_merges(path: Path) -> list[tuple[str, str]]:
    """Two pieces a line, in the order in which they are joined; a first line #version is left out."""
    merges = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), start=1):
        pair = line.split()
        if not pair or (number == 1 and line.startswith("#version")):
            continue
        if len(pair) != 2:
            raise ValueError(f"{path}:{number}: expected two pieces, got {line!r}")
        merges.append((pair[0], pair[1]))
    return merges

"""Tokenizers from their parts: the three families' normalizers, models, templates, special tokens."""

from ..extra import need
from .special_tokens import NAMES, content

BERT_TOKENS = {
    "unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}  # fmt: skip
ROBERTA_TOKENS = {
    "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "sep_token": "</s>",
    "pad_token": "<pad>", "cls_token": "<s>", "mask_token": "<mask>",
}  # fmt: skip
ALBERT_TOKENS = {
    "bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "sep_token": "[SEP]",
    "pad_token": "<pad>", "cls_token": "[CLS]", "mask_token": "[MASK]",
}  # fmt: skip
T5_TOKENS = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
TWO = ["input_ids", "attention_mask"]
THREE = ["input_ids", "token_type_ids", "attention_mask"]

# tokenizer_class, without "Fast": (special tokens that need not be named, inputs of the model)
CLASSES = {
    "BertTokenizer": (BERT_TOKENS, THREE),
    "ElectraTokenizer": (BERT_TOKENS, THREE),
    "MobileBertTokenizer": (BERT_TOKENS, THREE),
    "DistilBertTokenizer": (BERT_TOKENS, TWO),
    "RobertaTokenizer": (ROBERTA_TOKENS, TWO),
    "XLMRobertaTokenizer": (ROBERTA_TOKENS, TWO),
    "AlbertTokenizer": (ALBERT_TOKENS, TWO),
    "T5Tokenizer": (T5_TOKENS, TWO),
}
# model_type of config.json, and the kind of a tokenizer.json's model: tokenizer_class
TYPES = {
    "bert": "BertTokenizer", "electra": "ElectraTokenizer", "mobilebert": "MobileBertTokenizer",
    "distilbert": "DistilBertTokenizer", "roberta": "RobertaTokenizer",
    "xlm-roberta": "XLMRobertaTokenizer", "albert": "AlbertTokenizer", "t5": "T5Tokenizer",
}  # fmt: skip


def class_defaults(settings: dict) -> tuple[dict[str, str], list[str]]:
    """(special tokens, inputs of the model) of the settings' tokenizer_class."""
    return CLASSES.get(settings.get("tokenizer_class"), ({}, TWO))


def class_of(backend) -> str:
    """The family whose tokenizers have a model of this kind."""
    kind = type(backend.model).__name__
    return {"WordPiece": "BertTokenizer", "BPE": "RobertaTokenizer"}.get(kind, "AlbertTokenizer")


def wordpiece(words: dict[str, int], settings: dict):
    """BERT's tokenizer: words cut at spaces and punctuation, pieces by the longest match.

    settings: unk_token, do_lower_case, strip_accents (as do_lower_case), tokenize_chinese_chars.
    """
    library = need("tokenizers", extra="models")
    unknown = content(settings["unk_token"])
    backend = library.Tokenizer(library.models.WordPiece(words, unk_token=unknown))
    backend.normalizer = library.normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.get("tokenize_chinese_chars", True),
        strip_accents=settings.get("strip_accents"),
        lowercase=settings.get("do_lower_case", True),
    )
    backend.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()
    backend.decoder = library.decoders.WordPiece(prefix="##")
    return backend


def bpe(ids: dict[str, int], merges: list[tuple[str, str]], settings: dict):
    """RoBERTa's tokenizer: bytes, joined pair by pair in the order of `merges`.

    settings: add_prefix_space (False).
    """
    library = need("tokenizers", extra="models")
    backend = library.Tokenizer(
        library.models.BPE(
            vocab=ids, merges=merges, continuing_subword_prefix="", end_of_word_suffix=""
        )
    )
    backend.pre_tokenizer = library.pre_tokenizers.ByteLevel(
        add_prefix_space=settings.get("add_prefix_space", False)
    )
    backend.decoder = library.decoders.ByteLevel()
    return backend


def unigram(pieces: list[tuple[str, float]], settings: dict):
    """ALBERT's tokenizer: words behind a low line, the likeliest pieces; pieces are (string, log p).

    settings: unk_token, do_lower_case (True), keep_accents (False), add_prefix_space (True).
    """
    backend = plain_unigram(pieces, settings)
    rules = need("tokenizers", extra="models").normalizers
    steps = [rules.Replace("``", '"'), rules.Replace("''", '"')]
    if not settings.get("keep_accents", False):
        steps += [rules.NFKD(), rules.StripAccents()]
    if settings.get("do_lower_case", True):
        steps.append(rules.Lowercase())
    backend.normalizer = rules.Sequence(steps)
    return backend


def plain_unigram(pieces: list[tuple[str, float]], settings: dict):
    """T5's tokenizer: as ALBERT's, of texts as they are."""
    library = need("tokenizers", extra="models")
    unknown = (
        [string for string, _ in pieces].index(content(settings["unk_token"])) if pieces else None
    )
    backend = library.Tokenizer(library.models.Unigram(pieces or None, unk_id=unknown))
    scheme = "always" if settings.get("add_prefix_space", True) else "never"
    backend.pre_tokenizer = library.pre_tokenizers.Sequence(
        [
            library.pre_tokenizers.WhitespaceSplit(),
            library.pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme),
        ]
    )
    backend.decoder = library.decoders.Metaspace(replacement="▁", prepend_scheme=scheme)
    return backend


def as_added(token):
    """A special token for the tokenizers library; a dictionary says how it takes spaces."""
    library = need("tokenizers", extra="models")
    if isinstance(token, dict):
        options = ("single_word", "lstrip", "rstrip", "normalized")
        given = {name: token[name] for name in options if name in token}
        return library.AddedToken(token["content"], special=token.get("special", True), **given)
    if isinstance(token, str):
        return library.AddedToken(token, special=True, normalized=False)
    return token


def add_tokens(backend, settings: dict) -> None:
    """Add the settings' tokens that the vocabulary lacks, and have the special ones never be cut."""
    numbered = sorted(
        settings.pop("added_tokens_decoder", {}).items(), key=lambda item: int(item[0])
    )
    tokens = {content(token): as_added(token) for _, token in numbered}
    for token in [settings.get(name) for name in NAMES] + settings.get("extra_special_tokens", []):
        if token is not None:
            tokens.setdefault(content(token), as_added(token))
    there = {token.content for token in backend.get_added_tokens_decoder().values()}
    backend.add_tokens([token for name, token in tokens.items() if name not in there])


def plain_template(backend) -> None:
    """A, or A B with type 1 for B: no special tokens."""
    library = need("tokenizers", extra="models")
    backend.post_processor = library.processors.TemplateProcessing(
        single="$A:0", pair="$A:0 $B:1", special_tokens=[]
    )


def bert_template(backend, settings: dict) -> None:
    """[CLS] A [SEP], or [CLS] A [SEP] B [SEP] with type 1 for B and what follows."""
    library = need("tokenizers", extra="models")
    first, last = content(settings["cls_token"]), content(settings["sep_token"])
    backend.post_processor = library.processors.TemplateProcessing(
        single=f"{first}:0 $A:0 {last}:0",
        pair=f"{first}:0 $A:0 {last}:0 $B:1 {last}:1",
        special_tokens=[(mark, backend.token_to_id(mark)) for mark in dict.fromkeys((first, last))],
    )


def t5_template(backend, settings: dict) -> None:
    """A </s>, or A </s> B </s>, all of type 0."""
    library = need("tokenizers", extra="models")
    end = content(settings["eos_token"])
    backend.post_processor = library.processors.TemplateProcessing(
        single=f"$A:0 {end}:0",
        pair=f"$A:0 {end}:0 $B:0 {end}:0",
        special_tokens=[(end, backend.token_to_id(end))],
    )


def roberta_template(backend, settings: dict) -> None:
    """<s> A </s>, or <s> A </s></s> B </s>, all of type 0."""
    library = need("tokenizers", extra="models")
    last, first = content(settings["sep_token"]), content(settings["cls_token"])
    backend.post_processor = library.processors.RobertaProcessing(
        (last, backend.token_to_id(last)),
        (first, backend.token_to_id(first)),
        trim_offsets=settings.get("trim_offsets", True),
        add_prefix_space=settings.get("add_prefix_space", False),
    )

"""Tokenizers of one's own: a vocabulary learnt from texts, in the form of BERT, RoBERTa, ALBERT or T5."""

import itertools
from collections.abc import Iterable

from ..extra import need
from .tokenizer import PreTrainedTokenizerFast
from .tokenizer_parts import (
    add_tokens,
    bert_template,
    bpe,
    class_defaults,
    plain_unigram,
    roberta_template,
    t5_template,
    unigram,
    wordpiece,
)

# kind: (tokenizer_class, special tokens in the order of their numbers, from 0)
KINDS = {
    "wordpiece": ("BertTokenizer", ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]),
    "bpe": ("RobertaTokenizer", ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]),
    "unigram": ("AlbertTokenizer", ["<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]"]),
    "t5": ("T5Tokenizer", ["<pad>", "</s>", "<unk>"]),
}
TEMPLATES = {"bpe": roberta_template, "t5": t5_template}


def train_tokenizer(
    texts: Iterable[str],
    kind: str = "wordpiece",
    vocab_size: int = 30_000,
    *,
    min_frequency: int = 2,
    extra_special_tokens: Iterable[str] = (),
    **settings,
) -> PreTrainedTokenizerFast:
    """Learn a vocabulary of at most vocab_size tokens, special ones included, from texts.

    kind: "wordpiece", BERT's (Schuster and Nakajima 2012), here with pieces joined as in BPE;
    "bpe", RoBERTa's bytes joined by frequency (Sennrich et al. 2016, Radford et al. 2019);
    "unigram", ALBERT's pieces of the likeliest cut (Kudo 2018); "t5", such pieces of texts as they
    are, </s> behind each, and sentinels <extra_id_0>, <extra_id_1> ... (Raffel et al. 2020).
    min_frequency: pairs seen less often are not joined (not for unigram). settings: those of the
    kind (do_lower_case, strip_accents, tokenize_chinese_chars; add_prefix_space, trim_offsets;
    do_lower_case, keep_accents; extra_ids, 100 sentinels), and of the tokenizer (model_max_length,
    padding_side ...).

    The library joins equally frequent pairs, and sums likelihoods, in an order of its own: two runs
    of "wordpiece", "unigram" or "t5" may differ a little; "bpe" comes out the same.

    Raises ValueError for an unknown kind, no texts, a vocab_size too small; TypeError for texts that
    are no strings.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no kind {kind!r} of tokenizer; there are: {', '.join(KINDS)}")
    name, special = KINDS[kind]
    if kind == "t5":
        settings = {"extra_ids": 100} | settings
        sentinels = [f"<extra_id_{number}>" for number in range(settings["extra_ids"])]
        extra_special_tokens = [*sentinels, *extra_special_tokens]
    special = [*special, *extra_special_tokens]
    least = len(special) + (256 if kind == "bpe" else 1)
    if vocab_size < least:
        raise ValueError(
            f"vocab_size {vocab_size} is less than {least}: {len(special)} special tokens and "
            + ("256 bytes" if kind == "bpe" else "one letter")
        )
    settings = {"tokenizer_class": name} | settings
    settings = class_defaults(settings)[0] | settings
    if kind == "wordpiece":
        backend, trainer = wordpiece({}, settings), "WordPieceTrainer"
        options = dict(min_frequency=min_frequency, continuing_subword_prefix="##")
    elif kind == "bpe":
        backend, trainer = bpe({}, [], settings), "BpeTrainer"
        alphabet = need("tokenizers", extra="models").pre_tokenizers.ByteLevel.alphabet()
        options = dict(min_frequency=min_frequency, initial_alphabet=sorted(alphabet))
    else:
        build = unigram if kind == "unigram" else plain_unigram
        backend, trainer = build([], settings), "UnigramTrainer"
        options = dict(unk_token=settings["unk_token"])
    trainer = getattr(need("tokenizers", extra="models").trainers, trainer)(
        vocab_size=vocab_size, special_tokens=special, show_progress=False, **options
    )
    backend.train_from_iterator(_checked(texts), trainer)
    if extra := special[len(KINDS[kind][1]) :]:
        settings["extra_special_tokens"] = extra
    add_tokens(backend, settings)
    TEMPLATES.get(kind, bert_template)(backend, settings)
    return PreTrainedTokenizerFast(backend, **settings)


def _checked(texts):
    """The texts, each looked at as it is read; a first one must be there."""
    if isinstance(texts, (str, bytes)):
        raise TypeError("train_tokenizer: texts is an iterable of strings, not a string")
    texts = iter(texts)
    first = list(itertools.islice(texts, 1))
    if not first:
        raise ValueError("train_tokenizer: there are no texts to learn from")

    def each():
        for number, text in enumerate(itertools.chain(first, texts)):
            if not isinstance(text, str):
                raise TypeError(
                    f"train_tokenizer: text {number} is a {type(text).__name__}, not a string"
                )
            yield text

    return each()

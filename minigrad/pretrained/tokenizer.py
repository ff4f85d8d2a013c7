"""PreTrainedTokenizerFast: texts to the inputs of a published model, and ids back to texts.

The cutting itself is the tokenizers library's; names, options and outputs are those of transformers.
"""

import warnings

from ..extra import need
from .chat_template import ChatTemplates
from .encoding import BatchEncoding, check_tensors
from .gguf_files import gguf_path
from .gguf_tokenizer import read_gguf_tokenizer
from .padding import check_side, lengths, pad_rows
from .special_tokens import NAMES
from .tokenizer_files import read_folder, read_tokenizer, write_folder
from .tokenizer_parts import add_tokens, class_defaults, plain_template
from .tokenizer_texts import batch_of, encode_batch
from .tokenizer_vocabulary import TokenizerVocabulary

UNBOUNDED = int(1e30)  # model_max_length where none is known


class PreTrainedTokenizerFast(ChatTemplates, TokenizerVocabulary):
    """tokenizer(texts) -> BatchEncoding with input_ids, attention_mask and, for BERT, token_type_ids.

    tokenizer_object: a Tokenizer of the tokenizers library, which is used as it is: special tokens
    that it lacks are added, calls set its padding and truncation. tokenizer_file: a tokenizer.json to
    read one from. settings: special tokens by name,
    extra_special_tokens, model_max_length, padding_side and truncation_side ("right" or "left"),
    chat_template,
    model_input_names, clean_up_tokenization_spaces; others are kept and written back.
    """

    is_fast = True
    pad_token_type_id = 0

    def __init__(
        self, tokenizer_object=None, *, tokenizer_file=None, name_or_path: str = "", **settings
    ):
        if tokenizer_file is not None:
            tokenizer_object = read_tokenizer(tokenizer_file)
        if not isinstance(tokenizer_object, need("tokenizers", extra="models").Tokenizer):
            raise TypeError(
                "PreTrainedTokenizerFast takes a tokenizers.Tokenizer, not a "
                f"{type(tokenizer_object).__name__}; from_pretrained(folder) reads one"
            )
        super().__init__(tokenizer_object)
        self.name_or_path = str(name_or_path)
        settings.setdefault("tokenizer_class", type(self).__name__)
        add_tokens(tokenizer_object, settings)
        if tokenizer_object.post_processor is None:
            plain_template(tokenizer_object)
        for name in NAMES:
            setattr(self, name, settings.pop(name, None))
        self.extra_special_tokens = settings.pop("extra_special_tokens", None)
        longest = settings.pop("model_max_length", None)
        self.model_max_length = UNBOUNDED if longest is None else longest
        self.padding_side = check_side("padding_side", settings.pop("padding_side", "right"))
        self.truncation_side = check_side(
            "truncation_side", settings.pop("truncation_side", "right")
        )
        names = settings.pop("model_input_names", class_defaults(settings)[1])
        self.model_input_names = list(names)
        self.clean_up_tokenization_spaces = settings.pop("clean_up_tokenization_spaces", False)
        self.settings = settings

    # -- folders -----------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(
        cls, folder, *, gguf_file: str | None = None, **changes
    ) -> "PreTrainedTokenizerFast":
        """The tokenizer in a folder; changes replace what its files say.

        Reads tokenizer.json with tokenizer_config.json and special_tokens_map.json; where there is no
        tokenizer.json, BERT's vocab.txt, or RoBERTa's vocab.json and merges.txt. gguf_file: the
        folder's GGUF file to read instead.
        Raises FileNotFoundError where the folder has no tokenizer, ValueError for broken files.
        """
        if gguf_file is None:
            backend, settings = read_folder(folder, changes)
        else:
            backend, settings = read_gguf_tokenizer(gguf_path(folder, gguf_file))
            settings |= changes
        return cls(backend, name_or_path=folder, **settings)

    def save_pretrained(self, folder) -> tuple[str, ...]:
        """Write tokenizer.json, tokenizer_config.json and special_tokens_map.json; their paths."""
        self.backend_tokenizer.no_truncation()
        self.backend_tokenizer.no_padding()
        special = self.special_tokens_map
        if self._extra:
            special["extra_special_tokens"] = self._extra
        own = (
            "model_max_length", "padding_side", "truncation_side", "model_input_names",
            "clean_up_tokenization_spaces",
        )  # fmt: skip
        config = self.settings | special | {name: getattr(self, name) for name in own}
        return write_folder(folder, self.backend_tokenizer, config, special)

    # -- texts to ids ------------------------------------------------------------------------------

    def __call__(
        self,
        text,
        text_pair=None,
        *,
        add_special_tokens: bool = True,
        padding: bool | str = False,
        truncation: bool | str | None = None,
        max_length: int | None = None,
        stride: int = 0,
        is_split_into_words: bool = False,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_tensors: str | None = None,
        return_token_type_ids: bool | None = None,
        return_attention_mask: bool | None = None,
        return_overflowing_tokens: bool = False,
        return_special_tokens_mask: bool = False,
        return_offsets_mapping: bool = False,
        return_length: bool = False,
        verbose: bool = True,
    ) -> BatchEncoding:
        """A text or a list of texts, or as many pairs of texts, as the inputs of a model.

        padding: True or "longest" (the batch's longest), "max_length", False.
        truncation: True or "longest_first" (of a pair the longer one loses tokens), "only_first",
        "only_second", False. max_length counts special tokens; by default model_max_length.
        return_overflowing_tokens: what is cut off comes as more rows, each with the last `stride`
        tokens of the one before; overflow_to_sample_mapping says which text a row is of.
        is_split_into_words: a text is a list of words. return_tensors: "pt" or "mg" for minigrad's
        tensors, "np" for arrays, None for lists; a text alone has no batch dimension in lists.

        Raises ValueError for unknown names, padding without a pad token, a max_length too short for
        the special tokens; TypeError for what is no text.
        """
        check_tensors(return_tensors)
        batch, batched = batch_of(text, text_pair, is_split_into_words)
        size = lengths(self, padding, truncation, max_length, pad_to_multiple_of, verbose)
        pair = text_pair is not None or any(
            isinstance(item, tuple) and not is_split_into_words for item in batch
        )
        self._set_truncation(size, stride, add_special_tokens and pair, add_special_tokens)
        self._set_padding(size, pad_to_multiple_of, padding_side)
        records = encode_batch(
            self.backend_tokenizer, batch, add_special_tokens, is_split_into_words
        )
        groups = [
            [record, *record.overflowing] if return_overflowing_tokens else [record]
            for record in records
        ]
        rows = [row for group in groups for row in group]
        wanted = {
            "input_ids": ("ids", True),
            "token_type_ids": ("type_ids", self._default("token_type_ids", return_token_type_ids)),
            "attention_mask": (
                "attention_mask",
                self._default("attention_mask", return_attention_mask),
            ),
            "special_tokens_mask": ("special_tokens_mask", return_special_tokens_mask),
            "offset_mapping": ("offsets", return_offsets_mapping),
        }
        found = {
            name: [getattr(row, attribute) for row in rows]
            for name, (attribute, asked) in wanted.items()
            if asked
        }
        if return_length:
            found["length"] = [len(row) for row in rows]
        if return_overflowing_tokens:
            found["overflow_to_sample_mapping"] = [
                number for number, group in enumerate(groups) for _ in group
            ]
        if verbose and size.max_length is None:
            self._warn_of_length(rows)
        if not batched and return_tensors is None and not return_overflowing_tokens:
            found = {
                name: value[0] if isinstance(value[0], list) else value
                for name, value in found.items()
            }
        return BatchEncoding(found, rows, return_tensors)

    def _default(self, name: str, asked: bool | None) -> bool:
        return name in self.model_input_names if asked is None else asked

    def _warn_of_length(self, rows) -> None:
        longest = max(map(len, rows), default=0)
        if longest > self.model_max_length:
            warnings.warn(
                f"a text of {longest} tokens is longer than the {self.model_max_length} that the "
                "model takes: pass truncation=True",
                stacklevel=3,
            )

    def _set_truncation(self, size, stride, pair, add_special_tokens) -> None:
        if size.truncation == "do_not_truncate":
            self.backend_tokenizer.no_truncation()
            return
        special = self.num_special_tokens_to_add(pair) if add_special_tokens else 0
        left = size.max_length - special
        if left < 0 or stride < 0 or (stride and stride >= left):
            raise ValueError(
                f"max_length {size.max_length} leaves {left} tokens beside {special} special ones: it "
                f"must leave 0 or more, and more than stride {stride}, which must not be negative"
            )
        self.backend_tokenizer.enable_truncation(
            size.max_length,
            stride=stride,
            strategy=size.truncation,
            direction=self.truncation_side,
        )

    def _set_padding(self, size, multiple, side) -> None:
        if size.padding == "do_not_pad":
            self.backend_tokenizer.no_padding()
            return
        self.backend_tokenizer.enable_padding(
            direction=check_side("padding_side", side or self.padding_side),
            pad_id=self.pad_token_id,
            pad_type_id=self.pad_token_type_id,
            pad_token=self.pad_token,
            length=size.max_length if size.padding == "max_length" else None,
            pad_to_multiple_of=multiple,
        )

    def encode(self, text, text_pair=None, **options):
        """The input_ids alone; options as for a call."""
        return self(text, text_pair, **options)["input_ids"]

    def tokenize(self, text, pair=None, add_special_tokens: bool = False, **options) -> list[str]:
        """The pieces of a text."""
        return self(text, pair, add_special_tokens=add_special_tokens, **options).tokens()

    def pad(
        self,
        encoded_inputs,
        padding: bool | str = True,
        max_length: int | None = None,
        pad_to_multiple_of: int | None = None,
        padding_side: str | None = None,
        return_attention_mask: bool | None = None,
        return_tensors: str | None = None,
        verbose: bool = True,
    ) -> BatchEncoding:
        """Bring encoded texts to one length; a dictionary of rows, or a list of dictionaries.

        input_ids are filled by pad_token_id, attention_mask by 0, token_type_ids by 0,
        special_tokens_mask by 1, on padding_side; other names are left as they are. Raises
        ValueError without input_ids, without a pad token, for rows that differ in number.
        """
        check_tensors(return_tensors)
        size = lengths(self, padding, None, max_length, pad_to_multiple_of, verbose)
        found, kind = pad_rows(
            encoded_inputs,
            main=self.model_input_names[0],
            size=size,
            multiple=pad_to_multiple_of,
            left=check_side("padding_side", padding_side or self.padding_side) == "left",
            fill={
                self.model_input_names[0]: self.pad_token_id,
                "token_type_ids": self.pad_token_type_id,
                "special_tokens_mask": 1,
            },
            with_mask=self._default("attention_mask", return_attention_mask),
        )
        return BatchEncoding(found, tensor_type=return_tensors or kind)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.kind}, {len(self)} tokens, model_max_length="
            f"{self.model_max_length}, special_tokens={self.special_tokens_map})"
        )


class AutoTokenizer:
    """The tokenizer of a folder, of whichever family."""

    def __init__(self):
        raise TypeError("AutoTokenizer makes no object of its own: use from_pretrained(folder)")

    @staticmethod
    def from_pretrained(folder, **changes) -> PreTrainedTokenizerFast:
        """As PreTrainedTokenizerFast.from_pretrained."""
        return PreTrainedTokenizerFast.from_pretrained(folder, **changes)

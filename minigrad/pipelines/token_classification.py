"""Token classification ("ner"): the named entities of a text."""

import minigrad.nn.functional as F

from ..models.auto import AutoModelForTokenClassification
from .base import Pipeline, Row
from .entities import STRATEGIES, Piece, entities, without_overlaps


class TokenClassificationPipeline(Pipeline):
    """`pipe("Ada was in Turin")` -> [{"entity", "score", "index", "word", "start", "end"}, ...].

    aggregation_strategy: "none", or "simple", "first", "average", "max" (see entities.entities), which
    give {"entity_group", "score", "word", "start", "end"}. ignore_labels: these are left out.
    is_split_into_words: a text is a list of words; start and end count the characters of
    delimiter.join(words). One such list gives a list of one result.
    stride: a text longer than the model takes is read in windows that share `stride` tokens; without
    it, it is cut.
    """

    task = "token-classification"
    auto = AutoModelForTokenClassification

    def settle(
        self, *, aggregation_strategy: str = "none", ignore_labels=("O",), stride: int | None = None,
        is_split_into_words: bool = False, delimiter: str = " ",
    ) -> dict:  # fmt: skip
        """The options by their names."""
        strategy = str(aggregation_strategy).lower()
        if strategy not in STRATEGIES:
            raise ValueError(
                f"aggregation_strategy: there is no {aggregation_strategy!r}; there are: "
                f"{', '.join(STRATEGIES)}"
            )
        if stride is not None and strategy == "none":
            raise ValueError(
                "token-classification: with stride, windows overlap, and tokens would come twice: "
                "choose an aggregation_strategy other than 'none'"
            )
        if isinstance(ignore_labels, str):
            raise TypeError(f"ignore_labels is a list of labels, not the string {ignore_labels!r}")
        return {
            "strategy": strategy, "ignore": frozenset(ignore_labels), "stride": stride,
            "split": is_split_into_words, "delimiter": delimiter,
        }  # fmt: skip

    def __call__(self, inputs, **options):
        """The entities of a text, or a list of those of texts."""
        split = (self.options | options).get("is_split_into_words", False)
        words = isinstance(inputs, (list, tuple)) and any(isinstance(one, str) for one in inputs)
        return super().__call__([inputs] if split and words else inputs, **options)

    def rows(self, text, options):
        """A text's windows; each knows its pieces without their scores."""
        if options["split"]:
            if not isinstance(text, (list, tuple)) or not text:
                raise ValueError(
                    "token-classification: with is_split_into_words=True a text is a list of one word "
                    f"or more, not {text!r:.60}"
                )
            text = [self.check_text(word, "word") for word in text]
        else:
            self.check_text(text)
        windows = {}
        if options["stride"] is not None:
            windows = {"stride": options["stride"], "return_overflowing_tokens": True}
        encoded = self.encode(
            text, truncation=True, is_split_into_words=options["split"],
            return_special_tokens_mask=True, return_offsets_mapping=True, **windows,
        )  # fmt: skip
        if not windows:
            return [Row(self.model_inputs(encoded), self.pieces(text, encoded, None, options))]
        return [
            Row(self.model_inputs(encoded, row), self.pieces(text, encoded, row, options))
            for row in range(len(encoded["input_ids"]))
        ]

    def pieces(self, text, encoded, row, options) -> list[Piece]:
        """The tokens that are not special, with where they stand; scores are None yet."""
        ids, special, offsets = (
            encoded[name] if row is None else encoded[name][row]
            for name in ("input_ids", "special_tokens_mask", "offset_mapping")
        )
        begins = [0]  # of every word
        if options["split"]:
            words, text = text, options["delimiter"].join(text)
            for word in words:
                begins.append(begins[-1] + len(word) + len(options["delimiter"]))
        numbers = encoded.word_ids(row or 0)
        marked = getattr(self.tokenizer.backend_tokenizer.model, "continuing_subword_prefix", None)
        found = []
        for index, (start, end) in enumerate(offsets):
            if special[index]:
                continue
            if options["split"]:
                start, end = start + begins[numbers[index]], end + begins[numbers[index]]
            word = self.tokenizer.convert_ids_to_tokens(ids[index])
            if ids[index] == self.tokenizer.unk_token_id:
                word, subword = text[start:end], False
            elif marked:
                subword = word.startswith(marked)
            else:  # no space before it
                subword = start > 0 and " " not in text[start - 1 : start + 1]
            found.append(Piece(word, None, start, end, index, subword))
        return found

    def read(self, output, rows, options):
        """Every token's probabilities (T, C)."""
        return list(F.softmax(output.logits.float(), dim=-1).cpu().numpy())

    def result(self, text, rows, outputs, options):
        """The entities of all windows."""
        found = []
        for row, scores in zip(rows, outputs, strict=True):
            pieces = [piece._replace(scores=scores[piece.index]) for piece in row.about]
            found += entities(
                pieces, options["strategy"], self.model.config.id2label,
                self.tokenizer.convert_tokens_to_string,
            )  # fmt: skip
        name = "entity" if options["strategy"] == "none" else "entity_group"
        found = [entity for entity in found if entity[name] not in options["ignore"]]
        return without_overlaps(found) if len(rows) > 1 else found

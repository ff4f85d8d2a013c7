"""Fill-mask: the words that a masked language model would put in a text's masks."""

import warnings

import minigrad.nn.functional as F

from ..models.auto import AutoModelForMaskedLM
from .base import Pipeline, Row, at_least_one


class FillMaskPipeline(Pipeline):
    """`pipe("Paris is the [MASK] of France.")` -> [{"score", "token", "token_str", "sequence"}, ...].

    top_k: how many, the likeliest first. targets: only these words, by their first piece (with a
    warning) where the vocabulary lacks them; a score is still a share of the whole vocabulary.
    tokenizer_kwargs: for the tokenizer, {"truncation": True} say.
    A text with several masks gives one such list for each mask, the others staying masks; a list of
    one text gives what the text alone gives.
    """

    task = "fill-mask"
    auto = AutoModelForMaskedLM

    def settle(self, *, top_k: int = 5, targets=None, tokenizer_kwargs: dict | None = None) -> dict:
        """{"top_k", "targets": their ids or None, "tokenizer"}."""
        if self.tokenizer.mask_token_id is None:
            raise ValueError("fill-mask: the tokenizer has no mask token; set tokenizer.mask_token")
        ids = None if targets is None else self.target_ids(targets)
        return {
            "top_k": at_least_one("top_k", top_k),
            "targets": ids,
            "tokenizer": dict(tokenizer_kwargs or {}),
        }

    def target_ids(self, targets) -> list[int]:
        """The ids of words, each once; ValueError where there is none."""
        words = [targets] if isinstance(targets, str) else list(targets)
        found = []
        for word in words:
            index = self.tokenizer.backend_tokenizer.token_to_id(word)
            if index is None:
                pieces = self.tokenizer(word, add_special_tokens=False, verbose=False)["input_ids"]
                piece = self.tokenizer.convert_ids_to_tokens(pieces[0]) if pieces else None
                warnings.warn(
                    f"fill-mask: the target {word!r} is not in the vocabulary; "
                    + ("it is left out" if piece is None else f"{piece!r} is taken"),
                    stacklevel=5,
                )
                if piece is None:
                    continue
                index = pieces[0]
            found.append(index)
        if not found:
            raise ValueError(f"fill-mask: targets {targets!r} name no word of the vocabulary")
        return list(dict.fromkeys(found))

    def __call__(self, inputs, **options):
        """A list of dictionaries for every text."""
        results = super().__call__(inputs, **options)
        return results[0] if isinstance(inputs, (list, tuple)) and len(results) == 1 else results

    def rows(self, text, options):
        """A text, whole, and the places of its masks."""
        encoded = self.encode(self.check_text(text), **options["tokenizer"])
        inputs = self.model_inputs(encoded)
        mask = self.tokenizer.mask_token_id
        places = [place for place, index in enumerate(inputs["input_ids"]) if index == mask]
        if not places:
            raise ValueError(
                f"fill-mask: no {self.tokenizer.mask_token} among the tokens of {text!r:.60}"
            )
        return [Row(inputs, places)]

    def read(self, output, rows, options):
        """(scores, ids) of the likeliest words for every mask, lists (masks, top_k)."""
        found, targets = [], options["targets"]
        for logits, row in zip(output.logits, rows, strict=True):
            probabilities = F.softmax(logits[row.about].float(), dim=-1)  # (masks, V)
            if targets is not None:
                probabilities = probabilities[:, targets]
            best = probabilities.topk(min(options["top_k"], probabilities.shape[-1]))
            ids = best.indices.tolist()
            if targets is not None:
                ids = [[targets[i] for i in line] for line in ids]
            found.append((best.values.tolist(), ids))
        return found

    def result(self, text, rows, outputs, options):
        """The words for the mask, with the text that each makes."""
        ids, places = rows[0].inputs["input_ids"], rows[0].about
        alone, padding = len(places) == 1, self.tokenizer.pad_token_id
        lines = []
        for place, scores, words in zip(places, *outputs[0], strict=True):
            line = []
            for score, word in zip(scores, words, strict=True):
                filled = [*ids[:place], word, *ids[place + 1 :]]
                filled = [index for index in filled if index != padding]
                line.append(
                    {
                        "score": score,
                        "token": word,
                        "token_str": self.tokenizer.decode([word]),
                        "sequence": self.tokenizer.decode(filled, skip_special_tokens=alone),
                    }
                )
            lines.append(line)
        return lines[0] if alone else lines

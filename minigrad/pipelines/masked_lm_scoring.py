"""How likely a masked language model finds a sentence: its pseudo-log-likelihood.

Salazar, Liang, Nguyen and Kirchhoff 2020, "Masked Language Model Scoring" (ACL).
"""

import math

import minigrad as torch
import minigrad.nn.functional as F

from ..models.auto import AutoModelForMaskedLM
from .base import Pipeline, Row


class MaskedLMScorer(Pipeline):
    """`scorer("a sentence")` -> {"score", "tokens", "token_scores"}; a list of them for a list.

    PLL(W) = sum_t log p(w_t | W without w_t): every token is masked in turn, special tokens never, so a
    sentence of T tokens is T inputs; batch_size counts those. token_scores are the T summands. Scores
    of sentences compare where the sentences say the same in other words: longer ones score lower.
    """

    task = "masked-lm-scoring"
    auto = AutoModelForMaskedLM

    def settle(self, *, truncation: bool = False) -> dict:
        """{"truncation"}: whether a sentence is cut to what the model takes."""
        if self.tokenizer.mask_token_id is None:
            raise ValueError(f"{self.task}: the tokenizer has no mask token; set mask_token")
        return {"truncation": truncation}

    def rows(self, text, options):
        """The sentence once for each of its tokens, that token masked."""
        encoded = self.encode(
            self.check_text(text, "sentence"), return_special_tokens_mask=True, **options
        )
        inputs, special = self.model_inputs(encoded), encoded["special_tokens_mask"]
        ids, found = inputs["input_ids"], []
        for place, index in enumerate(ids):
            if not special[place]:
                masked = [*ids[:place], self.tokenizer.mask_token_id, *ids[place + 1 :]]
                found.append(Row(inputs | {"input_ids": masked}, (place, index)))
        if not found:
            raise ValueError(f"{self.task}: the sentence {text!r:.60} has no token")
        return found

    def read(self, output, rows, options):
        """log p of the token that is masked, for every row."""
        places, words = (
            torch.tensor(numbers, device=output.logits.device)
            for numbers in zip(*(row.about for row in rows), strict=True)
        )
        lines = torch.arange(len(rows), device=output.logits.device)
        scores = F.log_softmax(output.logits[lines, places].float(), dim=-1)  # (B, V)
        return scores[lines, words].tolist()

    def result(self, text, rows, outputs, options):
        """The sum, the tokens, and what each adds."""
        tokens = self.tokenizer.convert_ids_to_tokens([row.about[1] for row in rows])
        return {"score": math.fsum(outputs), "tokens": tokens, "token_scores": outputs}

    def pseudo_perplexity(self, sentences, **options) -> float:
        """exp(-sum of all PLL / number of all tokens) of a list of sentences, a corpus."""
        found = self([sentences] if isinstance(sentences, str) else list(sentences), **options)
        count = sum(len(sentence["tokens"]) for sentence in found)
        if not count:
            raise ValueError("pseudo_perplexity: there are no sentences")
        return math.exp(-math.fsum(sentence["score"] for sentence in found) / count)

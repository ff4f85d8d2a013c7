"""Filters of sampling: which tokens may be drawn, and how likely the likely ones are.

    filter(input_ids (R, S), scores (R, V)) -> scores (R, V), filter_value (-inf) for what is left out

p = softmax(scores). Each keeps at least the min_tokens_to_keep likeliest. R rows, V vocabulary. Names as in
transformers.
"""

import math

import minigrad as torch
import minigrad.nn.functional as F

from .processors import LogitsProcessor


class _Filter(LogitsProcessor):
    """What `left_out` (bool (R, V)) says gets filter_value."""

    def __init__(self, filter_value: float = -math.inf, min_tokens_to_keep: int = 1):
        if not isinstance(min_tokens_to_keep, int) or min_tokens_to_keep < 1:
            raise ValueError(
                f"{type(self).__name__}: min_tokens_to_keep must be a whole number above 0, not "
                f"{min_tokens_to_keep!r}"
            )
        self.filter_value, self.min_tokens_to_keep = filter_value, min_tokens_to_keep

    def left_out(self, scores):
        """bool (R, V): the tokens that may not be drawn."""
        raise NotImplementedError

    def __call__(self, input_ids, scores):
        return scores.masked_fill(self.left_out(scores), self.filter_value)

    def below_best(self, scores):
        """bool (R, V): the tokens below the min_tokens_to_keep likeliest."""
        keep = min(self.min_tokens_to_keep, scores.shape[-1])
        return scores < scores.topk(keep)[0][:, -1:]

    def check(self, name: str, value: float, holds: bool, meaning: str) -> float:
        """The value; ValueError where it doesn't hold."""
        if not holds:
            raise ValueError(f"{type(self).__name__}: {name} must be {meaning}, not {value!r}")
        return value


class TemperatureLogitsWarper(LogitsProcessor):
    """s / temperature: below 1 the likely tokens become likelier, above 1 all become alike.

    Ackley, Hinton and Sejnowski 1985, "A Learning Algorithm for Boltzmann Machines" (Cognitive Science).
    """

    def __init__(self, temperature: float):
        if not temperature > 0:
            raise ValueError(
                f"TemperatureLogitsWarper: temperature must be above 0, not {temperature!r}; "
                "do_sample=False takes the likeliest token"
            )
        self.temperature = temperature

    def __call__(self, input_ids, scores):
        return scores / self.temperature


class TopKLogitsWarper(_Filter):
    """The k likeliest tokens, and those as likely as the kth.

    Fan, Lewis and Dauphin 2018, "Hierarchical Neural Story Generation" (ACL), section 5.
    """

    def __init__(self, top_k: int, filter_value: float = -math.inf, min_tokens_to_keep: int = 1):
        super().__init__(filter_value, min_tokens_to_keep)
        whole = isinstance(top_k, int) and top_k > 0
        self.check("top_k", top_k, whole, "a whole number above 0")
        self.top_k = max(top_k, min_tokens_to_keep)

    def left_out(self, scores):
        """All below the kth."""
        best = scores.topk(min(self.top_k, scores.shape[-1]))[0]
        return scores < best[:, -1:]


class TopPLogitsWarper(_Filter):
    """The fewest likeliest tokens that have at least the probability top_p together (the nucleus).

    Holtzman, Buys, Du, Forbes and Choi 2020, "The Curious Case of Neural Text Degeneration" (ICLR),
    section 3.1.
    """

    def __init__(self, top_p: float, filter_value: float = -math.inf, min_tokens_to_keep: int = 1):
        super().__init__(filter_value, min_tokens_to_keep)
        self.top_p = self.check("top_p", top_p, 0 <= top_p <= 1, "a number from 0 to 1")

    def left_out(self, scores):
        """Those that have at most 1 - top_p together with all that are less likely."""
        allowed = int((scores > -math.inf).sum(1).max())
        if allowed < scores.shape[1] // 4:  # after top_k, say: the others need no order
            ordered, places = (
                x.flip(1) for x in scores.topk(max(allowed, self.min_tokens_to_keep))
            )
        else:
            ordered, places = scores.sort(descending=False)
        out = F.softmax(ordered, dim=-1).cumsum(-1) <= 1 - self.top_p
        out[:, -self.min_tokens_to_keep :] = False
        return torch.ones_like(scores).bool().scatter(1, places, out)


class MinPLogitsWarper(_Filter):
    """Tokens with p >= min_p times the likeliest token's p.

    Nguyen, Baker, Neo, Roush, Kirsch and Shwartz-Ziv 2025, "Turning Up the Heat: Min-p Sampling for
    Creative and Coherent LLM Outputs" (ICLR).
    """

    def __init__(self, min_p: float, filter_value: float = -math.inf, min_tokens_to_keep: int = 1):
        super().__init__(filter_value, min_tokens_to_keep)
        self.min_p = self.check("min_p", min_p, 0 <= min_p <= 1, "a number from 0 to 1")

    def left_out(self, scores):
        """Those below that share."""
        p = F.softmax(scores, dim=-1)
        out = p < self.min_p * p.amax(-1, keepdim=True)
        best = p.topk(min(self.min_tokens_to_keep, p.shape[-1]))[1]
        return out.scatter(1, best, torch.zeros_like(best).bool())


class TypicalLogitsWarper(_Filter):
    """Tokens whose -log p is nearest to its mean H, as many as have the probability `mass` together.

    H = -sum p log p. Meister, Pimentel, Wiher and Cotterell 2023, "Locally Typical Sampling" (TACL).
    """

    def __init__(
        self, mass: float = 0.9, filter_value: float = -math.inf, min_tokens_to_keep: int = 1
    ):
        super().__init__(filter_value, min_tokens_to_keep)
        self.mass = self.check("typical_p", mass, 0 < mass < 1, "a number between 0 and 1")

    def left_out(self, scores):
        """Those that are further from the mean."""
        logs = F.log_softmax(scores, dim=-1)
        p = logs.exp()
        mean = -torch.where(p > 0, logs * p, 0.0).sum(-1, keepdim=True)
        distance, places = (-logs - mean).abs().sort(descending=False)
        sums = F.softmax(scores.gather(1, places), dim=-1).cumsum(-1)
        last = (sums < self.mass).sum(1, keepdim=True).clamp(max=scores.shape[1] - 1)
        out = distance > distance.gather(1, last)
        out[:, : self.min_tokens_to_keep] = False
        return out.scatter(1, places, out)


class EpsilonLogitsWarper(_Filter):
    """Tokens with p >= epsilon.

    Hewitt, Manning and Liang 2022, "Truncation Sampling as Language Model Desmoothing" (Findings of
    EMNLP), section 4.
    """

    def __init__(
        self, epsilon: float, filter_value: float = -math.inf, min_tokens_to_keep: int = 1
    ):
        super().__init__(filter_value, min_tokens_to_keep)
        self.epsilon = self.check("epsilon", epsilon, 0 < epsilon < 1, "a number between 0 and 1")

    def left_out(self, scores):
        """Those less likely."""
        return (F.softmax(scores, dim=-1) < self.epsilon) & self.below_best(scores)


class EtaLogitsWarper(EpsilonLogitsWarper):
    """Tokens with p >= min(epsilon, sqrt(epsilon) exp(-H)), H = -sum p log p: less where much may come.

    Hewitt, Manning and Liang 2022, equation 5.
    """

    def left_out(self, scores):
        """Those less likely."""
        logs = F.log_softmax(scores, dim=-1)
        p = logs.exp()
        entropy = -torch.where(p > 0, logs * p, 0.0).sum(-1, keepdim=True)
        least = ((-entropy).exp() * math.sqrt(self.epsilon)).clamp(max=self.epsilon)
        return (p < least) & self.below_best(scores)

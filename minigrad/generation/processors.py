"""What changes the scores of the next token before one is chosen: rules about tokens and repetitions.

    processor(input_ids (R, S), scores (R, V)) -> scores (R, V)

A forbidden token gets -inf. R rows (texts, or beams of texts), S tokens so far, V vocabulary. The
filters of sampling are in filters.py. Names as in transformers.
"""

import math

import minigrad as torch
import minigrad.nn.functional as F


class LogitsProcessor:
    """The base of all processors; any callable with these arguments will do as well."""

    def __call__(self, input_ids, scores):
        raise NotImplementedError(f"{type(self).__name__} does not say how it changes scores")


class LogitsProcessorList(list):
    """Processors one after the other."""

    def __call__(self, input_ids, scores, **options):
        for processor in self:
            scores = processor(input_ids, scores, **options)
        return scores


def token_list(tokens) -> list[int]:
    """One token or several, as a list."""
    return [tokens] if isinstance(tokens, int) else [int(token) for token in tokens]


class _Banned(LogitsProcessor):
    """Tokens that are forbidden while `applies` says so."""

    def __init__(self, tokens):
        self.tokens = token_list(tokens)
        if any(token < 0 for token in self.tokens):
            raise ValueError(f"{type(self).__name__}: tokens are numbers from 0 on: {self.tokens}")

    def applies(self, length: int) -> bool:
        """Whether the rule counts after so many tokens."""
        return True

    def __call__(self, input_ids, scores):
        if not self.applies(input_ids.shape[1]):
            return scores
        tokens = [token for token in self.tokens if token < scores.shape[1]]
        return scores.index_fill(1, torch.tensor(tokens, device=scores.device).long(), -math.inf)


class SuppressTokensLogitsProcessor(_Banned):
    """Tokens that never come."""

    def __init__(self, suppress_tokens):
        super().__init__(suppress_tokens)


class SuppressTokensAtBeginLogitsProcessor(_Banned):
    """Tokens that don't come after exactly begin_index tokens."""

    def __init__(self, begin_suppress_tokens, begin_index: int):
        super().__init__(begin_suppress_tokens)
        self.begin_index = begin_index

    def applies(self, length: int) -> bool:
        """At the beginning."""
        return length == self.begin_index


class MinLengthLogitsProcessor(_Banned):
    """No end before min_length tokens, the prompt's included."""

    def __init__(self, min_length: int, eos_token_id):
        super().__init__(eos_token_id)
        self.min_length = min_length

    def applies(self, length: int) -> bool:
        """While the text is too short."""
        return length < self.min_length


class MinNewTokensLengthLogitsProcessor(MinLengthLogitsProcessor):
    """No end before min_new_tokens tokens after the prompt."""

    def __init__(self, prompt_length_to_skip: int, min_new_tokens: int, eos_token_id):
        super().__init__(prompt_length_to_skip + min_new_tokens, eos_token_id)


class _Forced(LogitsProcessor):
    """After exactly `length` tokens one of these comes: 0 for them, -inf for all others."""

    def __init__(self, tokens, length: int):
        self.tokens, self.length = token_list(tokens), length

    def __call__(self, input_ids, scores):
        if input_ids.shape[1] != self.length:
            return scores
        forced = torch.full_like(scores, -math.inf)
        forced[:, self.tokens] = 0.0
        return forced


class ForcedBOSTokenLogitsProcessor(_Forced):
    """The token after the first: a translation's language, say."""

    def __init__(self, bos_token_id: int):
        super().__init__(bos_token_id, 1)


class ForcedEOSTokenLogitsProcessor(_Forced):
    """The last token where max_length is reached."""

    def __init__(self, max_length: int, eos_token_id):
        super().__init__(eos_token_id, max_length - 1)


class ExponentialDecayLengthPenalty(LogitsProcessor):
    """The end becomes likelier: s + |s| (factor^n - 1) for the nth token after `start` new ones."""

    def __init__(self, exponential_decay_length_penalty, eos_token_id, input_ids_seq_length: int):
        start, self.factor = exponential_decay_length_penalty
        self.start = start + input_ids_seq_length
        self.tokens = token_list(eos_token_id)

    def __call__(self, input_ids, scores):
        after = input_ids.shape[1] - self.start
        if after <= 0:
            return scores
        ends = scores[:, self.tokens]
        more = (ends.abs() * (self.factor**after - 1)).masked_fill(~torch.isfinite(ends), 0.0)
        changed = scores.clone()
        changed[:, self.tokens] = ends + more
        return changed


class RepetitionPenaltyLogitsProcessor(LogitsProcessor):
    """Tokens that the text has become less likely: s / penalty where s > 0, s penalty where s < 0.

    Keskar, McCann, Varshney, Xiong and Socher 2019, "CTRL: A Conditional Transformer Language Model
    for Controllable Generation" (arXiv 1909.05858), section 4.1. prompt_ignore_length: how many tokens
    at the beginning don't count, a number or one for each row (padding on the left).
    """

    def __init__(self, penalty: float, prompt_ignore_length=None):
        self.penalty, self.ignored = penalty, prompt_ignore_length

    def __call__(self, input_ids, scores):
        vocabulary = scores.shape[1]
        if isinstance(self.ignored, int):
            input_ids = input_ids[:, self.ignored :]
        elif self.ignored is not None:
            places = torch.arange(input_ids.shape[1], device=input_ids.device)
            input_ids = input_ids.masked_fill(places < self.ignored[:, None], vocabulary)
        # tokens beyond the scores all go to a column of their own, which is dropped
        wide = F.pad(scores, (0, 1))
        return penalised(wide, input_ids.clamp(max=vocabulary), self.penalty)[:, :vocabulary]


def penalised(scores, tokens, penalty: float):
    """Scores of the tokens (R, n) divided by the penalty where positive, multiplied where negative."""
    found = scores.gather(1, tokens)
    return scores.scatter(1, tokens, torch.where(found < 0, found * penalty, found / penalty))


def rows_of(source, rows: int):
    """The source (B, n) of each row (R, n): R is a multiple of B where texts have several beams."""
    return source if len(source) == rows else source.repeat_interleave(rows // len(source), 0)


class EncoderRepetitionPenaltyLogitsProcessor(LogitsProcessor):
    """Tokens of the source become likelier: s penalty where s > 0, s / penalty where s < 0."""

    def __init__(self, penalty: float, encoder_input_ids):
        self.penalty, self.source = 1 / penalty, encoder_input_ids

    def __call__(self, input_ids, scores):
        return penalised(scores, rows_of(self.source, len(scores)), self.penalty)


def followers(tokens: list[int], size: int) -> dict[tuple, list[int]]:
    """{the first size - 1 tokens of an n-gram: the tokens that came after them}."""
    found: dict[tuple, list[int]] = {}
    for place in range(len(tokens) - size + 1):
        *start, last = tokens[place : place + size]
        found.setdefault(tuple(start), []).append(last)
    return found


def _without(scores, input_ids, size: int, banned):
    """-inf for what `banned` (a dictionary a row) says of the last size - 1 tokens."""
    if input_ids.shape[1] + 1 < size:
        return scores
    changed = scores.clone()
    for row, (tokens, known) in enumerate(zip(input_ids.tolist(), banned, strict=True)):
        tokens = known.get(tuple(tokens[len(tokens) - size + 1 :]), ())
        if tokens:
            changed[row, tokens] = -math.inf
    return changed


class NoRepeatNGramLogitsProcessor(LogitsProcessor):
    """No n tokens in a row come a second time.

    Paulus, Xiong and Socher 2018, "A Deep Reinforced Model for Abstractive Summarization" (ICLR),
    section 2.5, where n = 3.
    """

    def __init__(self, ngram_size: int):
        self.size = ngram_size

    def __call__(self, input_ids, scores):
        banned = (followers(tokens, self.size) for tokens in input_ids.tolist())
        return _without(scores, input_ids, self.size, banned)


class EncoderNoRepeatNGramLogitsProcessor(LogitsProcessor):
    """No n tokens in a row that the source has."""

    def __init__(self, encoder_ngram_size: int, encoder_input_ids):
        self.size = encoder_ngram_size
        self.source = [followers(tokens, self.size) for tokens in encoder_input_ids.tolist()]

    def __call__(self, input_ids, scores):
        each = len(scores) // len(self.source)
        banned = [known for known in self.source for _ in range(each)]
        return _without(scores, input_ids, self.size, banned)


class SequenceBiasLogitsProcessor(LogitsProcessor):
    """s + bias for the last token of a sequence whose other tokens end the text so far.

    sequence_bias: {(tokens): bias} or [[[tokens], bias], ...].
    """

    def __init__(self, sequence_bias):
        pairs = sequence_bias.items() if isinstance(sequence_bias, dict) else sequence_bias
        self.biases = [(token_list(tokens), float(bias)) for tokens, bias in pairs]
        if not self.biases or not all(tokens and min(tokens) >= 0 for tokens, _ in self.biases):
            raise ValueError(
                f"sequences of tokens must not be empty, nor tokens below 0: {sequence_bias!r}"
            )

    def __call__(self, input_ids, scores):
        bias = torch.zeros_like(scores)
        for (*start, last), value in self.biases:
            if last >= scores.shape[1]:
                raise ValueError(f"token {last} is none of the {scores.shape[1]} of the vocabulary")
            if len(start) > input_ids.shape[1]:
                continue
            if not start:
                bias[:, last] = bias[:, last] + value
                continue
            wanted = torch.tensor(start, device=input_ids.device)
            here = (input_ids[:, -len(start) :] == wanted).all(1)
            bias[:, last] = bias[:, last] + torch.where(here, value, 0.0)
        return scores + bias


class NoBadWordsLogitsProcessor(SequenceBiasLogitsProcessor):
    """Sequences of tokens that never come; the end of a text can't be one of them."""

    def __init__(self, bad_words_ids: list[list[int]], eos_token_id=None):
        super().__init__([(words, -math.inf) for words in bad_words_ids])
        ends = [] if eos_token_id is None else token_list(eos_token_id)
        self.biases = [pair for pair in self.biases if pair[0] not in [[end] for end in ends]]


class PrefixConstrainedLogitsProcessor(LogitsProcessor):
    """Only the tokens that prefix_allowed_tokens_fn(text's number, its ids (S)) lists may come.

    De Cao, Izacard, Riedel and Petroni 2021, "Autoregressive Entity Retrieval" (ICLR).
    """

    def __init__(self, prefix_allowed_tokens_fn, num_beams: int):
        self.allowed, self.beams = prefix_allowed_tokens_fn, num_beams

    def __call__(self, input_ids, scores):
        mask = torch.full_like(scores, -math.inf)
        for row, ids in enumerate(input_ids):
            tokens = list(self.allowed(row // self.beams, ids))
            if not tokens:
                raise ValueError(
                    f"prefix_allowed_tokens_fn allows no token at all for text {row // self.beams}"
                )
            mask[row, tokens] = 0.0
        changed = scores + mask
        # where all that is allowed was forbidden before, for every beam of a text: allow it
        stuck = (changed.amax(1) == -math.inf).view(-1, self.beams).all(1)
        return torch.where(stuck.repeat_interleave(self.beams)[:, None], mask, changed)


class InfNanRemoveLogitsProcessor(LogitsProcessor):
    """0 for nan, the largest and smallest number for inf and -inf."""

    def __call__(self, input_ids, scores):
        return torch.nan_to_num(scores, nan=0.0)


class LogitNormalization(LogitsProcessor):
    """Log probabilities: s - log sum exp s."""

    def __call__(self, input_ids, scores):
        return F.log_softmax(scores, dim=-1)

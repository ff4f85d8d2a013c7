"""When a text ends: a criterion looks at the ids and says which rows are done.

    criterion(input_ids (R, S), scores) -> bool (R)

R rows, S tokens so far, the prompt included.
"""

import time

import minigrad as torch


class StoppingCriteria:
    """The base of all criteria; any callable with these arguments will do as well."""

    def __call__(self, input_ids, scores, **options):
        raise NotImplementedError(f"{type(self).__name__} does not say when a text ends")


def _all_rows(input_ids, done: bool):
    return torch.full((input_ids.shape[0],), done, dtype=torch.bool, device=input_ids.device)


class MaxLengthCriteria(StoppingCriteria):
    """All texts end at max_length tokens, the prompt's included."""

    def __init__(self, max_length: int, max_position_embeddings: int | None = None):
        self.max_length = max_length
        self.max_position_embeddings = max_position_embeddings

    def __call__(self, input_ids, scores, **options):
        return _all_rows(input_ids, input_ids.shape[1] >= self.max_length)


class MaxTimeCriteria(StoppingCriteria):
    """All texts end after max_time seconds; the token being made then is the last."""

    def __init__(self, max_time: float, initial_timestamp: float | None = None):
        self.max_time = max_time
        self.initial_timestamp = time.time() if initial_timestamp is None else initial_timestamp

    def __call__(self, input_ids, scores, **options):
        return _all_rows(input_ids, time.time() - self.initial_timestamp > self.max_time)


class EosTokenCriteria(StoppingCriteria):
    """A text ends with one of these tokens."""

    def __init__(self, eos_token_id: int | list[int]):
        eos = [eos_token_id] if isinstance(eos_token_id, int) else list(eos_token_id)
        self.eos_token_id = eos

    def __call__(self, input_ids, scores, **options):
        last = input_ids[:, -1]
        done = last == self.eos_token_id[0]
        for eos in self.eos_token_id[1:]:
            done = done | (last == eos)
        return done


class StopStringCriteria(StoppingCriteria):
    """A text ends where its last token finishes one of these strings, wherever tokens begin and end.

    The string may begin in the prompt, and more text may follow it within the last token. Only a tail
    of the text is decoded, longer than the strings: a step costs the same however long the text is.
    """

    def __init__(self, tokenizer, stop_strings: str | list[str]):
        strings = [stop_strings] if isinstance(stop_strings, str) else list(stop_strings)
        if not strings or not all(isinstance(s, str) and s for s in strings):
            raise ValueError(f"stop_strings must be texts that are not empty, not {stop_strings!r}")
        self.tokenizer, self.stop_strings = tokenizer, strings
        self._longest = max(len(s.encode()) for s in strings)

    def __call__(self, input_ids, scores, **options):
        return torch.tensor([self.ends(row) for row in input_ids.tolist()], device=input_ids.device)

    def ends(self, ids: list[int]) -> bool:
        """Whether the last of these ids finishes a stop string: one that ends in what it changes."""
        before, text = self._tail(ids)
        same = 0  # characters that the last token leaves as they are: it may finish half a one
        while same < min(len(before), len(text)) and before[same] == text[same]:
            same += 1
        return any(text.find(s, max(0, same - len(s) + 1)) >= 0 for s in self.stop_strings)

    def _tail(self, ids):
        """The end of the text without and with the last token, longer than any stop string.

        The first token of a tail may be decoded otherwise than within the text (without its space):
        it doesn't count.
        """
        size = self._longest + 2
        while True:
            tail = ids[-size:]
            before = self.tokenizer.decode(tail[:-1])
            first = self.tokenizer.decode(tail[:1])
            if size >= len(ids) or len(before) >= len(first) + self._longest:
                return before, self.tokenizer.decode(tail)
            size *= 2


class StoppingCriteriaList(list):
    """Criteria of which one is enough: bool (R)."""

    def __call__(self, input_ids, scores, **options):
        done = torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)
        for criterion in self:
            done = done | criterion(input_ids, scores, **options)
        return done

    @property
    def max_length(self) -> int | None:
        """The length at which all texts end."""
        lengths = [c.max_length for c in self if isinstance(c, MaxLengthCriteria)]
        return min(lengths, default=None)

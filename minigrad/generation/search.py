"""Greedy search and sampling: the likeliest token, or one drawn, until every text has ended.

R rows, S tokens so far, V vocabulary.
"""

import minigrad as torch
import minigrad.nn.functional as F


class Record:
    """What is kept of every step where return_dict_in_generate asks for it."""

    def __init__(self, config, is_pair: bool):
        wanted = config.return_dict_in_generate
        side = "decoder_" if is_pair else ""
        states = {
            f"{side}attentions": config.output_attentions,
            "cross_attentions": is_pair and config.output_attentions,
            f"{side}hidden_states": config.output_hidden_states,
        }
        self.states = {name: () for name, asked in states.items() if wanted and asked}
        self.scores = () if wanted and config.output_scores else None
        self.logits = () if wanted and config.output_logits else None

    def add(self, output, logits, scores) -> None:
        """Keep a step's."""
        if self.scores is not None:
            self.scores += (scores,)
        if self.logits is not None:
            self.logits += (logits,)
        for name in self.states:
            self.states[name] += (output[name],)

    def fields(self) -> dict:
        """All that is kept, by the names of the output."""
        return {"scores": self.scores, "logits": self.logits, **self.states}


def search(reader, ids, processors, criteria, config, record, *, pad, streamer=None, drop=False):
    """{"sequences": the ids (R, S) with which the search ends}.

    ids (B, T): the prompts; every one goes on as reader.repeats rows. pad: the token after the end
    of a text. Where no token ends one, rows go on until all meet a criterion. drop: rows that ended
    are no longer read.
    """
    if streamer is not None:
        streamer.put(ids)
    step_ids = ids
    ids = ids.repeat_interleave(reader.repeats, 0) if reader.repeats > 1 else ids
    rows = ids.shape[0]
    open_rows = torch.ones(rows, dtype=torch.bool, device=ids.device)
    ends = any(hasattr(criterion, "eos_token_id") for criterion in criteria)
    several = rows > 1 and ends and pad is not None
    while True:
        logits, output = reader.read(step_ids)
        scores = processors(ids, logits)
        record.add(output, logits, scores)
        if config.do_sample:
            tokens = torch.multinomial(F.softmax(scores, dim=-1), 1).squeeze(1)
        else:
            tokens = scores.argmax(-1)
        if several:
            tokens = torch.where(open_rows, tokens, pad)
        ids = step_ids = torch.cat([ids, tokens[:, None]], dim=1)
        if streamer is not None:
            streamer.put(tokens)
        before, open_rows = open_rows, open_rows & ~criteria(ids, record.scores)
        if not bool(open_rows.any()):
            break
        if drop and several and bool((before & ~open_rows).any()):
            left = open_rows.nonzero()[:, 0]
            reader.keep(left, left, rows)
    if streamer is not None:
        streamer.end()
    return {"sequences": ids}

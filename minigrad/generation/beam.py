"""Beam search: the likeliest texts of K that are kept at every step.

Score of a text of n new tokens: log p / n^length_penalty. Wu et al. 2016, "Google's Neural Machine
Translation System" (arXiv 1609.08144), section 7, has such a penalty; the rules of ending are those of
transformers, so that the same texts come out.

B texts, K beams, N candidates a text, S tokens so far, V vocabulary.
"""

import minigrad as torch
import minigrad.nn.functional as F

NEVER = -1.0e9  # a score that no text has


def pick(tensor, places):
    """Of (B, n, ...) those at places (B, m): (B, m, ...)."""
    return tensor[torch.arange(len(tensor), device=tensor.device)[:, None], places]


class Beams:
    """K texts of each of B: their ids (B, K, S), scores (B, K), and from which rows they came."""

    def __init__(self, ids, scores, rows):
        self.ids, self.scores, self.rows = ids, scores, rows

    def pick(self, places) -> "Beams":
        """Those at places (B, m)."""
        return Beams(*(pick(x, places) for x in (self.ids, self.scores, self.rows)))


def beam_search(reader, ids, processors, criteria, config, record, *, pad, drop=False):
    """The best texts of ids (B, T): {"sequences" (R, S), "sequences_scores" (R), "beam_indices"}.

    R = B times num_return_sequences, the best first. early_stopping: True ends a text when K have
    ended; False when the best that runs, scored by its length so far, is worse than the K that have
    ended; "never" when it could not be better even at max_length. drop: texts that have ended are
    no longer read.
    """
    batch, prompt = ids.shape
    search = Search(config, batch, prompt, ids, criteria, pad)
    step_ids = ids
    rows = batch * config.num_beams
    while True:
        logits, output = reader.read(step_ids)
        flat = search.running.ids.flatten(0, 1)
        log_probs = processors(flat, F.log_softmax(logits, dim=-1))
        record.add(output, logits, log_probs)
        parents = search.step(log_probs, record.scores)
        if search.ended():
            break
        left = search.open_texts() if drop and not config.do_sample else None
        keep = torch.arange(rows, device=ids.device)
        if left is not None and not bool(left.all()):
            keep = left.repeat_interleave(config.num_beams).nonzero()[:, 0]
        reader.keep(keep, parents[keep], rows)
        step_ids = search.running.ids.flatten(0, 1)
    return search.best()


class Search:
    """The state of a beam search: the beams that run, and the best K that have ended."""

    def __init__(self, config, batch: int, prompt: int, ids, criteria, pad):
        self.config, self.criteria, self.prompt = config, criteria, prompt
        self.beams, ends = config.num_beams, config.eos_token_ids
        # so many candidates that K remain where all of the first K end their text
        self.candidates = max(2, 1 + len(ends)) * self.beams
        # transformers fills with the token of the end where padding is token 0
        self.fill = -1 if not ends else (pad or ends[0])
        ids = ids[:, None].expand(-1, self.beams, -1)
        scores = torch.zeros(batch, self.beams, device=ids.device)
        none = torch.empty(batch, self.beams, 0, dtype=torch.int64, device=ids.device)
        first = scores.clone()
        first[:, 1:] = NEVER  # all beams are the prompt: the first step looks at one alone
        self.running = Beams(ids, first, none)
        self.best_ended = Beams(ids, scores + NEVER, none)
        self.has_ended = torch.zeros(batch, self.beams, dtype=torch.bool, device=ids.device)
        self.improvable = torch.ones(batch, 1, dtype=torch.bool, device=ids.device)
        self.hits = None

    def step(self, log_probs, scores):
        """One more token, of log probabilities (B K, V); the row each beam comes from, (B K)."""
        batch, vocabulary = len(self.has_ended), log_probs.shape[1]
        total = log_probs.view(batch, self.beams, vocabulary) + self.running.scores[:, :, None]
        found, places = self._choose(total.flatten(1))
        came_from, tokens = places // vocabulary, places % vocabulary  # (B, N)
        offset = torch.arange(batch, device=places.device)[:, None] * self.beams
        candidates = Beams(
            torch.cat([pick(self.running.ids, came_from), tokens[:, :, None]], dim=2),
            found,
            torch.cat(
                [pick(self.running.rows, came_from), (came_from + offset)[:, :, None]], dim=2
            ),
        )
        self.hits = self.criteria(candidates.ids.flatten(0, 1), scores).view(batch, -1)
        going = found + self.hits.float() * NEVER
        chosen = going.topk(self.beams)[1]
        self._end(candidates)
        self.running = candidates.pick(chosen)
        self.running.scores = pick(going, chosen)
        self._look_ahead()
        return self.running.rows[:, :, -1].flatten()

    def _choose(self, total):
        """The scores and places (B, N) of the candidates among all (B, K V)."""
        if not self.config.do_sample:
            return total.topk(self.candidates)
        places = torch.multinomial(F.softmax(total, dim=-1), self.candidates)
        return total.gather(1, places), places

    def _end(self, candidates):
        """Keep the best K of those that had ended and those of the first K candidates that end now."""
        length = candidates.ids.shape[2] - self.prompt
        first = torch.arange(self.candidates, device=self.hits.device) < self.beams
        now = self.hits & first
        scores = candidates.scores / length**self.config.length_penalty
        closed = ~self.improvable
        if self.config.early_stopping is True:
            closed = closed | self.has_ended.all(1, keepdim=True)
        scores = scores + closed.float() * NEVER + (~now).float() * NEVER
        before = self.best_ended
        fill = before.ids.new_full((*before.ids.shape[:2], 1), self.fill)
        merged = Beams(
            torch.cat([torch.cat([before.ids, fill], dim=2), candidates.ids], dim=1),
            torch.cat([before.scores, scores], dim=1),
            torch.cat([torch.cat([before.rows, fill * 0 - 1], dim=2), candidates.rows], dim=1),
        )
        chosen = merged.scores.topk(self.beams)[1]
        self.best_ended = merged.pick(chosen)
        self.has_ended = pick(torch.cat([self.has_ended, now], dim=1), chosen)

    def _look_ahead(self):
        """Whether the best that runs may become better than the worst of the K that have ended."""
        config, length = self.config, self.running.ids.shape[2] - self.prompt
        if config.early_stopping == "never" and config.length_penalty > 0.0:
            length = config.max_length - self.prompt
        possible = self.running.scores[:, :1] / length**config.length_penalty
        worst = self.best_ended.scores.amin(1, keepdim=True)
        worst = torch.where(self.has_ended, worst, NEVER)
        self.improvable = self.improvable & (possible > worst).any(1, keepdim=True)

    def open_texts(self):
        """bool (B): the texts whose best K may still change."""
        still = self.improvable[:, 0]
        if self.config.early_stopping is True:
            still = still & ~self.has_ended.all(1)
        return still

    def ended(self) -> bool:
        """Whether nothing can change, or nothing can go on."""
        return not bool(self.open_texts().any()) or bool(self.hits.all())

    def best(self) -> dict:
        """The texts to give back, cut to the longest."""
        wanted = self.config.num_return_sequences
        ids, rows = (
            x[:, :wanted].flatten(0, 1) for x in (self.best_ended.ids, self.best_ended.rows)
        )
        length = int((rows >= 0).sum(1).max())
        found = {"sequences": ids[:, : self.prompt + length]}
        if not self.config.return_dict_in_generate:
            return found
        found["beam_indices"] = rows[:, :length].int()
        if self.config.output_scores:
            found["sequences_scores"] = self.best_ended.scores[:, :wanted].flatten()
        return found

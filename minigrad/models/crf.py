"""Linear-chain conditional random field: the probability of a whole sequence of tags.

Lafferty, McCallum & Pereira 2001, "Conditional Random Fields"; on top of a network as in Lample et
al. 2016, "Neural Architectures for Named Entity Recognition", section 2.2. The interface is that of
the package pytorch-crf.

    s(y) = start[y_1] + sum_t emissions[t, y_t] + sum_t transitions[y_t-1, y_t] + end[y_T]
    p(y) = exp(s(y)) / Z,   Z = the sum of exp(s) over all K^T sequences of tags

T steps, B batch, K tags.
"""

import minigrad as torch
from minigrad import nn


class CRF(nn.Module):
    """Scores a sequence of tags by its emissions and by which tag follows which.

    emissions (T, B, K), tags and mask (T, B); with batch_first (B, T, ...). The mask is True on the
    steps of a sequence and False on the padding after them; what stands there has no effect.
    """

    def __init__(self, num_tags: int, batch_first: bool = False):
        if num_tags <= 0:
            raise ValueError(f"CRF: there must be at least one tag, not {num_tags}")
        super().__init__()
        self.num_tags = num_tags
        self.batch_first = batch_first
        self.start_transitions = nn.Parameter(torch.empty(num_tags))
        self.end_transitions = nn.Parameter(torch.empty(num_tags))
        self.transitions = nn.Parameter(torch.empty(num_tags, num_tags))  # [from, to]
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all transitions from U(-0.1, 0.1)."""
        nn.init.uniform_(self.start_transitions, -0.1, 0.1)
        nn.init.uniform_(self.end_transitions, -0.1, 0.1)
        nn.init.uniform_(self.transitions, -0.1, 0.1)

    def extra_repr(self) -> str:
        return f"num_tags={self.num_tags}, batch_first={self.batch_first}"

    def forward(self, emissions, tags, mask=None, reduction: str = "sum"):
        """log p(tags) = s(tags) - log Z of every sequence, reduced.

        reduction: "none" (B), "sum", "mean" over sequences, "token_mean" over the steps of all.
        """
        if reduction not in ("none", "sum", "mean", "token_mean"):
            raise ValueError(
                f"CRF: reduction must be none, sum, mean or token_mean, not {reduction!r}"
            )
        emissions, mask = self._checked(emissions, mask)
        tags = self._checked_tags(tags, mask)
        log_likelihood = self._score(emissions, tags, mask) - self._log_partition(emissions, mask)
        if reduction == "none":
            return log_likelihood
        if reduction == "sum":
            return log_likelihood.sum()
        if reduction == "mean":
            return log_likelihood.mean()
        return log_likelihood.sum() / mask.sum().to(emissions.dtype)

    def log_partition(self, emissions, mask=None):
        """log Z of every sequence, (B)."""
        return self._log_partition(*self._checked(emissions, mask))

    def decode(self, emissions, mask=None) -> list[list[int]]:
        """The likeliest tags of every sequence (Viterbi 1967), each list as long as its sequence."""
        with torch.no_grad():
            emissions, mask = self._checked(emissions, mask)
            score = self.start_transitions + emissions[0]  # best path that ends in each tag
            stay = torch.arange(self.num_tags, device=emissions.device).expand(score.shape)
            back = []  # of each later step: the tag before, for each tag
            for step in range(1, len(emissions)):
                through = score.unsqueeze(2) + self.transitions  # (B, from, to)
                best, before = through.max(1)
                runs = mask[step].unsqueeze(1)
                score = torch.where(runs, best + emissions[step], score)
                back.append(torch.where(runs, before, stay))
            tag = (score + self.end_transitions).argmax(1, keepdim=True)
            path = [tag]
            for before in reversed(back):
                tag = before.gather(1, tag)
                path.append(tag)
            rows = torch.cat(path[::-1], 1).tolist()
            return [row[:n] for row, n in zip(rows, mask.sum(0).tolist(), strict=True)]

    def marginals(self, emissions, mask=None):
        """p(y_t = k) of every step, by the forward-backward algorithm; zero on padding.

        In the shape of the emissions. They are log Z's gradient with respect to the emissions.
        """
        emissions, mask = self._checked(emissions, mask)
        alpha = self._forward_scores(emissions)
        beta = [self.end_transitions.expand(emissions[0].shape)]  # log of all ways to go on
        for step in range(len(emissions) - 1, 0, -1):
            ahead = (emissions[step] + beta[-1]).unsqueeze(1) + self.transitions  # (B, from, to)
            beta.append(torch.where(mask[step].unsqueeze(1), torch.logsumexp(ahead, 2), beta[0]))
        joint = torch.stack(alpha) + torch.stack(beta[::-1])
        found = torch.softmax(joint, 2) * mask.unsqueeze(2)  # each step's sum is Z
        return found.transpose(0, 1) if self.batch_first else found

    # -- on (T, B, ...) --------------------------------------------------------------------------

    def _score(self, emissions, tags, mask):
        """s(tags) of every sequence."""
        weight = mask.to(emissions.dtype)
        chosen = emissions.gather(2, tags.unsqueeze(2)).squeeze(2)  # (T, B)
        between = self.transitions[tags[:-1], tags[1:]]  # (T-1, B)
        last = tags.gather(0, mask.sum(0, keepdim=True) - 1).squeeze(0)
        return (
            self.start_transitions[tags[0]]
            + (chosen * weight).sum(0)
            + (between * weight[1:]).sum(0)
            + self.end_transitions[last]
        )

    def _forward_scores(self, emissions):
        """alpha_t (B, K): the log of the sum of all ways to reach a tag at step t."""
        steps = emissions.unbind(0)
        alpha = [self.start_transitions + steps[0]]
        for emission in steps[1:]:
            ways = alpha[-1].unsqueeze(2) + self.transitions  # (B, from, to)
            alpha.append(torch.logsumexp(ways, 1) + emission)
        return alpha

    def _log_partition(self, emissions, mask):
        alpha = torch.stack(self._forward_scores(emissions))  # (T, B, K)
        last = (mask.sum(0) - 1).view(1, -1, 1).expand(1, -1, self.num_tags)
        return torch.logsumexp(alpha.gather(0, last).squeeze(0) + self.end_transitions, 1)

    # -- checks ----------------------------------------------------------------------------------

    def _checked(self, emissions, mask):
        """Both as (T, B, ...), the emissions of the padding zero."""
        if emissions.dim() != 3 or emissions.shape[2] != self.num_tags:
            order = "batch, steps" if self.batch_first else "steps, batch"
            raise ValueError(
                f"CRF: expected emissions of shape ({order}, {self.num_tags}), "
                f"got {tuple(emissions.shape)}"
            )
        if emissions.numel() == 0:
            raise ValueError(f"CRF: the batch is empty: emissions {tuple(emissions.shape)}")
        if mask is None:
            mask = torch.ones(emissions.shape[:2], dtype=torch.bool, device=emissions.device)
        elif mask.shape != emissions.shape[:2]:
            raise ValueError(
                f"CRF: mask {tuple(mask.shape)} does not fit emissions {tuple(emissions.shape)}"
            )
        mask = mask.bool()
        if self.batch_first:
            emissions, mask = emissions.transpose(0, 1), mask.transpose(0, 1)
        if not mask[0].all():
            raise ValueError("CRF: mask must be True on the first step of every sequence")
        if (mask[1:] & ~mask[:-1]).any():
            raise ValueError("CRF: mask must not turn True again after the end of a sequence")
        return torch.where(mask.unsqueeze(2), emissions, 0.0), mask

    def _checked_tags(self, tags, mask):
        if self.batch_first and tags.dim() == 2:
            tags = tags.transpose(0, 1)
        if tags.shape != mask.shape:
            raise ValueError(
                f"CRF: tags {tuple(tags.shape)} do not fit (steps, batch) = {tuple(mask.shape)}"
            )
        tags = torch.where(mask, tags, 0)
        low, high = int(tags.min()), int(tags.max())
        if low < 0 or high >= self.num_tags:
            raise ValueError(
                f"CRF: tags must be from 0 to {self.num_tags - 1}, found {low if low < 0 else high}"
            )
        return tags

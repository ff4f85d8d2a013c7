"""What sentence encoders are trained on: vectors a, b (B, H) of pairs, and what is known of the pairs.

Reimers and Gurevych 2019 (softmax, cosine); Hadsell, Chopra and LeCun 2006 (contrastive); Henderson
et al. 2017 (multiple negatives).
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn


class CosineSimilarityLoss(nn.Module):
    """mean (cos(a, b) - y)^2, y the similarity wanted, (B)."""

    def forward(self, a, b, labels):
        return F.mse_loss(F.cosine_similarity(a, b), labels.to(a.dtype))


class ContrastiveLoss(nn.Module):
    """mean 1/2 [y d^2 + (1 - y) max(0, margin - d)^2] with d = 1 - cos(a, b), y 1 for alike pairs."""

    def __init__(self, margin: float = 0.5):
        super().__init__()
        self.margin = margin

    def forward(self, a, b, labels):
        y = labels.to(a.dtype)
        d = 1 - F.cosine_similarity(a, b)
        return 0.5 * (y * d**2 + (1 - y) * F.relu(self.margin - d) ** 2).mean()


class SoftmaxLoss(nn.Module):
    """Cross-entropy of Linear([a, b, |a - b|]), the classifier of natural language inference."""

    def __init__(self, hidden_size: int, num_labels: int = 3):
        super().__init__()
        self.classifier = nn.Linear(3 * hidden_size, num_labels)

    def logits(self, a, b):
        """Scores (B, num_labels)."""
        return self.classifier(torch.cat([a, b, (a - b).abs()], dim=-1))

    def forward(self, a, b, labels):
        return F.cross_entropy(self.logits(a, b), labels)


class MultipleNegativesRankingLoss(nn.Module):
    """Cross-entropy of scale cos(a_i, b_j) against j = i: every other pair's b is a wrong answer."""

    def __init__(self, scale: float = 20.0):
        super().__init__()
        self.scale = scale

    def forward(self, a, b):
        if len(a) < 2:
            raise ValueError(
                "MultipleNegativesRankingLoss: a batch of one pair has no wrong answers: pass more"
            )
        scores = self.scale * F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T  # (B, B)
        return F.cross_entropy(scores, torch.arange(len(a), device=a.device))

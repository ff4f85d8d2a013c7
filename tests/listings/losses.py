import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
logits = torch.randn(4, 3, requires_grad=True)
target = torch.tensor([0, 2, 1, 2])
print(nn.CrossEntropyLoss()(logits, target))
print(F.nll_loss(F.log_softmax(logits, dim=1), target))
print("by hand", -F.log_softmax(logits, 1)[range(4), target].mean())
for options in (
    {"reduction": "none"},
    {"reduction": "sum"},
    {"weight": torch.tensor([1.0, 2.0, 0.5])},
    {"label_smoothing": 0.1},
    {"ignore_index": 2},
):
    print(options, nn.CrossEntropyLoss(**options)(logits, target))
print("soft", nn.CrossEntropyLoss()(logits, F.softmax(torch.randn(4, 3), 1)))
y = torch.tensor([1.0, 0.0, 1.0, 1.0])
z = torch.tensor([0.5, -1.0, 2.0, -0.3])
print(nn.BCEWithLogitsLoss()(z, y), nn.BCELoss()(torch.sigmoid(z), y))
print(nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3.0]))(z, y))
a, b = torch.randn(3, 2), torch.randn(3, 2)
for loss in (nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss(delta=0.5)):
    print(loss, loss(a, b))
print(nn.KLDivLoss(reduction="batchmean")(F.log_softmax(a, 1), F.softmax(b, 1)))
print(nn.CosineEmbeddingLoss(margin=0.2)(a, b, torch.tensor([1, -1, 1])))
print(
    nn.TripletMarginLoss()(a, b, torch.randn(3, 2)),
    nn.MarginRankingLoss()(a[:, 0], b[:, 0], torch.ones(3)),
)
log_probs = torch.randn(6, 2, 4).log_softmax(2)
print(
    nn.CTCLoss()(
        log_probs, torch.tensor([[1, 2], [3, 3]]), torch.tensor([6, 6]), torch.tensor([2, 2])
    )
)
nn.CrossEntropyLoss()(logits, target).backward()
print(logits.grad)
print((F.softmax(logits.detach(), 1) - F.one_hot(target, 3)) / 4)

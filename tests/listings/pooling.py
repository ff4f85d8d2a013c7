import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)
hidden = torch.randn(2, 5, 4)
lengths = torch.tensor([5, 3])
mask = torch.arange(5)[None, :] < lengths[:, None]
print(mask)
print("max", hidden.masked_fill(~mask.unsqueeze(-1), float("-inf")).max(dim=1).values)
print("mean", (hidden * mask.unsqueeze(-1)).sum(1) / lengths.unsqueeze(1))
print("last", hidden[torch.arange(2), lengths - 1])
scores = nn.Linear(4, 1)(hidden).squeeze(-1).masked_fill(~mask, -1e9)
weights = F.softmax(scores, dim=1)
print("attention", weights, torch.bmm(weights.unsqueeze(1), hidden).squeeze(1))
x = hidden.transpose(1, 2)
print(
    nn.MaxPool1d(2)(x), nn.AvgPool1d(2, stride=1)(x).shape, nn.AdaptiveMaxPool1d(1)(x).squeeze(-1)
)
print(F.max_pool1d(x, kernel_size=5).squeeze(2).shape, nn.AdaptiveAvgPool1d(2)(x))

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim


class SkipGram(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.center = nn.Embedding(vocab, dim)
        self.context = nn.Embedding(vocab, dim)
        nn.init.uniform_(self.center.weight, -0.5 / dim, 0.5 / dim)
        nn.init.zeros_(self.context.weight)

    def forward(self, center, positive, negative):
        c = self.center(center)
        good = F.logsigmoid((c * self.context(positive)).sum(1))
        bad = F.logsigmoid(-torch.bmm(self.context(negative), c.unsqueeze(2)).squeeze(2)).sum(1)
        return -(good + bad).mean()


class CBOW(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.embeddings = nn.Embedding(vocab, dim)
        self.linear = nn.Linear(dim, vocab)

    def forward(self, context):
        return self.linear(self.embeddings(context).mean(dim=1))


torch.manual_seed(3)
counts = torch.tensor([9.0, 5, 3, 2, 1, 1])
noise = counts**0.75 / (counts**0.75).sum()
print(noise)
model = SkipGram(6, 8)
optimizer = optim.SGD(model.parameters(), lr=0.5)
center, positive = torch.tensor([0, 1, 2, 3]), torch.tensor([1, 0, 3, 2])
for step in range(5):
    negative = torch.multinomial(noise, 12, replacement=True).view(4, 3)
    loss = model(center, positive, negative)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(step, negative.tolist(), f"{loss.item():.5f}")
print(F.cosine_similarity(model.center.weight[0:1], model.center.weight, dim=1))
cbow = CBOW(6, 4)
context, target = torch.tensor([[0, 2], [1, 3], [2, 4]]), torch.tensor([1, 2, 3])
optimizer = optim.AdamW(cbow.parameters(), lr=0.1)
for step in range(5):
    loss = nn.CrossEntropyLoss()(cbow(context), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.4f}", end=" ")
print(cbow(context).argmax(1).tolist())

import torch
import torch.nn as nn
import torch.nn.functional as F


class TextCNN(nn.Module):
    def __init__(self, vocab, dim, filters, sizes, classes):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim, padding_idx=0)
        self.convs = nn.ModuleList([nn.Conv1d(dim, filters, k) for k in sizes])
        self.fc = nn.Linear(filters * len(sizes), classes)

    def forward(self, x):
        x = self.embedding(x).permute(0, 2, 1)
        pooled = [F.max_pool1d(F.relu(conv(x)), conv(x).size(2)).squeeze(2) for conv in self.convs]
        return self.fc(torch.cat(pooled, 1))


class TextCNN2d(nn.Module):
    def __init__(self, vocab, dim, filters, sizes, classes):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim)
        self.convs = nn.ModuleList([nn.Conv2d(1, filters, (k, dim)) for k in sizes])
        self.fc = nn.Linear(filters * len(sizes), classes)

    def forward(self, x):
        x = self.embedding(x).unsqueeze(1)
        x = [F.relu(conv(x)).squeeze(3) for conv in self.convs]
        x = [F.max_pool1d(i, i.size(2)).squeeze(2) for i in x]
        return self.fc(torch.cat(x, 1))


for kind in (TextCNN, TextCNN2d):
    torch.manual_seed(7)
    model = kind(30, 12, 6, [2, 3, 4], 2)
    x = torch.randint(0, 30, (5, 9))
    y = torch.randint(0, 2, (5,))
    print(model)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=0.5, rho=0.95)
    for step in range(6):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {step}: {loss.item():.5f}")
    print({name: tuple(p.shape) for name, p in model.named_parameters()})
    print(sum(p.numel() for p in model.parameters() if p.requires_grad))

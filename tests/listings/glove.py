import torch
import torch.nn as nn


class GloVe(nn.Module):
    def __init__(self, vocab, dim):
        super().__init__()
        self.w, self.c = nn.Embedding(vocab, dim), nn.Embedding(vocab, dim)
        self.bw, self.bc = nn.Embedding(vocab, 1), nn.Embedding(vocab, 1)
        for layer in (self.w, self.c):
            nn.init.uniform_(layer.weight, -0.1, 0.1)
        for layer in (self.bw, self.bc):
            nn.init.zeros_(layer.weight)

    def forward(self, i, j, x):
        weight = torch.clamp((x / 100) ** 0.75, max=1.0)
        score = (self.w(i) * self.c(j)).sum(1) + self.bw(i).squeeze(1) + self.bc(j).squeeze(1)
        return (weight * (score - torch.log(x)) ** 2).mean()


torch.manual_seed(11)
counts = torch.tensor([[0.0, 8, 2], [8, 0, 150], [2, 150, 0]])
i, j = torch.nonzero(counts, as_tuple=True)
x = counts[i, j]
print(i, j, x)
model = GloVe(3, 4)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
for epoch in range(8):
    loss = model(i, j, x)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.5f}")
vectors = (model.w.weight + model.c.weight).detach()
print(vectors @ vectors.t())

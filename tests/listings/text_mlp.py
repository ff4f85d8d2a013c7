from collections import Counter

import torch
import torch.nn as nn
import torch.optim as optim

texts = [
    "good great film",
    "bad awful film",
    "great fun",
    "awful boring",
    "good fun",
    "bad boring plot",
]
labels = torch.tensor([1, 0, 1, 0, 1, 0])
vocab = {w: i for i, (w, _) in enumerate(sorted(Counter(" ".join(texts).split()).items()))}


def bag(text):
    vector = torch.zeros(len(vocab))
    for word in text.split():
        vector[vocab[word]] += 1
    return vector


class TextMLP(nn.Module):
    def __init__(self, size, hidden, classes):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(size, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(0.0),
            nn.Linear(hidden, classes),
        )

    def forward(self, x):
        return self.net(x)


torch.manual_seed(42)
x = torch.stack([bag(t) for t in texts])
print(x.shape, x.dtype, x.sum(1))
model = TextMLP(len(vocab), 8, 2)
print(model)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.05)
for epoch in range(10):
    model.train()
    optimizer.zero_grad()
    loss = criterion(model(x), labels)
    loss.backward()
    optimizer.step()
    if epoch % 3 == 0:
        print(f"epoch {epoch} loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    probabilities = torch.softmax(model(x), dim=1)
print(probabilities, probabilities.argmax(1))
print(model.net[1].running_mean, model.net[1].num_batches_tracked)

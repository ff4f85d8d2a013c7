import copy
import io
import os
import tempfile

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(120, 6)
y = (x[:, 0] + 0.5 * x[:, 1] > 0).long()
train = DataLoader(TensorDataset(x[:80], y[:80]), batch_size=16, shuffle=True)
valid = DataLoader(TensorDataset(x[80:], y[80:]), batch_size=40)
model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
best, patience, wait, best_state = float("inf"), 2, 0, None
for epoch in range(15):
    model.train()
    total = 0.0
    for xb, yb in train:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(xb)
    model.eval()
    with torch.no_grad():
        losses = [criterion(model(xb), yb).item() for xb, yb in valid]
        accuracy = (model(x[80:]).argmax(1) == y[80:]).float().mean()
    print(f"epoch {epoch}: {total / 80:.4f} {losses[0]:.4f} {accuracy:.3f}")
    if losses[0] < best:
        best, wait, best_state = losses[0], 0, copy.deepcopy(model.state_dict())
    else:
        wait += 1
        if wait >= patience:
            print("early stopping")
            break
model.load_state_dict(best_state)
path = os.path.join(tempfile.mkdtemp(), "model.pt")
torch.save({"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)
checkpoint = torch.load(path)
again = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
print(again.load_state_dict(checkpoint["model"]), checkpoint["epoch"] == epoch)
print(torch.equal(again(x), model(x)))
buffer = io.BytesIO()
torch.save(model.state_dict(), buffer)
buffer.seek(0)
print(list(torch.load(buffer)))

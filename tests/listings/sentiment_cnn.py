import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset


class SentimentCNN(nn.Module):
    """Two stacked convolutions, batch norm, global max pooling, one logit."""

    def __init__(self, vocab_size, embed_dim=10, channels=(12, 8), dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dim, padding_idx=0)
        self.features = nn.Sequential(
            nn.Conv1d(embed_dim, channels[0], kernel_size=3, padding=1),
            nn.BatchNorm1d(channels[0]),
            nn.ReLU(inplace=True),
            nn.MaxPool1d(kernel_size=2),
            nn.Conv1d(channels[0], channels[1], kernel_size=3, padding="same"),
            nn.LeakyReLU(0.1),
            nn.AdaptiveMaxPool1d(1),
        )
        self.dropout = nn.Dropout(p=dropout)
        self.head = nn.Linear(channels[-1], 1)
        self._init_weights()

    def _init_weights(self):
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, gain=nn.init.calculate_gain("sigmoid"))
                nn.init.constant_(module.bias, 0)

    def forward(self, ids):
        x = self.embedding(ids).transpose(1, 2).contiguous()
        x = self.features(x).squeeze(-1)
        return self.head(self.dropout(x)).squeeze(1)


torch.manual_seed(11)
ids = torch.randint(1, 40, (24, 12))
ids[:6, 9:] = 0
labels = (ids == 7).any(dim=1) | (ids[:, 0] > 25)
loader = DataLoader(TensorDataset(ids, labels.float()), batch_size=8, shuffle=True)
device = torch.device("cuda" if torch.cuda.is_available() and False else "cpu")
model = SentimentCNN(vocab_size=40).to(device)
print(model)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.SGD(
    model.parameters(), lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4
)
for epoch in range(1, 6):
    running, correct = 0.0, 0
    for batch, target in loader:
        batch, target = batch.to(device), target.to(device)
        logits = model(batch)
        loss = criterion(logits, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        running += loss.item() * batch.size(0)
        correct += ((torch.sigmoid(logits) > 0.5) == target.bool()).sum().item()
    print(
        f"Epoch {epoch}: loss={running / len(loader.dataset):.4f} acc={correct / len(loader.dataset):.2%}"
    )
model.eval()
with torch.inference_mode():
    print(torch.sigmoid(model(ids[:4])))

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)


class BiLSTMTagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 6)
        self.lstm = nn.LSTM(6, 4, bidirectional=True, batch_first=True)
        self.out = nn.Linear(8, 3)

    def forward(self, x):
        return self.out(self.lstm(self.embedding(x))[0])


model = BiLSTMTagger()
x, tags = torch.randint(0, 12, (2, 5)), torch.randint(0, 3, (2, 5))
tags[1, 3:] = -100
optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
for step in range(5):
    loss = F.cross_entropy(model(x).view(-1, 3), tags.view(-1), ignore_index=-100)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(f"{loss.item():.5f}")


class Attention(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.w = nn.Linear(2 * hidden, hidden)
        self.v = nn.Linear(hidden, 1, bias=False)

    def forward(self, state, outputs):
        state = state.unsqueeze(1).repeat(1, outputs.size(1), 1)
        energy = torch.tanh(self.w(torch.cat((state, outputs), dim=2)))
        return F.softmax(self.v(energy).squeeze(2), dim=1)


encoder, decoder = nn.GRU(6, 8, batch_first=True), nn.GRUCell(6 + 8, 8)
embedding, attention, out = nn.Embedding(12, 6), Attention(8), nn.Linear(8, 12)
outputs, h = encoder(embedding(x))
h = h.squeeze(0)
token = torch.ones(2, dtype=torch.long)
for step in range(4):
    weights = attention(h, outputs)
    context = torch.bmm(weights.unsqueeze(1), outputs).squeeze(1)
    h = decoder(torch.cat([embedding(token), context], dim=1), h)
    logits = out(h)
    token = logits.argmax(1)
    print(token.tolist(), weights)

import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence


class LSTMClassifier(nn.Module):
    def __init__(self, vocab, dim, hidden, classes):
        super().__init__()
        self.embedding = nn.Embedding(vocab, dim, padding_idx=0)
        self.lstm = nn.LSTM(dim, hidden, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(2 * hidden, classes)

    def forward(self, ids, lengths):
        packed = pack_padded_sequence(
            self.embedding(ids), lengths, batch_first=True, enforce_sorted=False
        )
        _, (h, _) = self.lstm(packed)
        return self.fc(torch.cat([h[-2], h[-1]], dim=1))


torch.manual_seed(0)
sequences = [torch.tensor([4, 2, 7]), torch.tensor([1, 5, 3, 8, 6]), torch.tensor([9])]
lengths = torch.tensor([len(s) for s in sequences])
ids = pad_sequence(sequences, batch_first=True)
print(ids, lengths)
model = LSTMClassifier(10, 6, 5, 2)
print(model)
logits = model(ids, lengths)
print(logits)
loss = nn.functional.cross_entropy(logits, torch.tensor([0, 1, 1]))
loss.backward()
print(loss, model.embedding.weight.grad.abs().sum(1))
for kind in (nn.RNN, nn.GRU, nn.LSTM):
    torch.manual_seed(2)
    net = kind(3, 4, batch_first=True)
    out, state = net(torch.randn(2, 5, 3))
    print(kind.__name__, out.shape, (state[0] if kind is nn.LSTM else state).shape, out[:, -1])
    print([(name, tuple(p.shape)) for name, p in net.named_parameters()])
packed = pack_padded_sequence(torch.randn(3, 5, 3), torch.tensor([5, 3, 1]), batch_first=True)
print(packed.batch_sizes, packed.data.shape)
out, sizes = pad_packed_sequence(nn.GRU(3, 4, batch_first=True)(packed)[0], batch_first=True)
print(out.shape, sizes, out[2, 1:].abs().sum())
cell = nn.LSTMCell(3, 4)
h = c = torch.zeros(2, 4)
for x in torch.randn(3, 2, 3):
    h, c = cell(x, (h, c))
print(h)

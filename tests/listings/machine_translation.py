import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_packed_sequence, pack_padded_sequence, pad_sequence

PAD, SOS, EOS = 0, 1, 2
random.seed(4)
torch.manual_seed(4)


class Encoder(nn.Module):
    def __init__(self, vocab, emb, hid):
        super().__init__()
        self.embedding = nn.Embedding(vocab, emb, padding_idx=PAD)
        self.gru = nn.GRU(emb, hid, bidirectional=True, batch_first=True)
        self.bridge = nn.Linear(2 * hid, hid)

    def forward(self, src, lengths):
        packed = pack_padded_sequence(
            self.embedding(src), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        outputs, hidden = self.gru(packed)
        outputs, _ = pad_packed_sequence(outputs, batch_first=True)
        return outputs, torch.tanh(self.bridge(torch.cat((hidden[-2], hidden[-1]), dim=1)))


class LuongAttention(nn.Module):
    def __init__(self, hid):
        super().__init__()
        self.general = nn.Linear(2 * hid, hid, bias=False)

    def forward(self, query, keys, mask):
        scores = torch.einsum("bh,bsh->bs", query, self.general(keys))
        weights = scores.masked_fill(mask == 0, -1e10).softmax(dim=-1)
        return torch.einsum("bs,bsd->bd", weights, keys), weights


class Decoder(nn.Module):
    def __init__(self, vocab, emb, hid):
        super().__init__()
        self.embedding = nn.Embedding(vocab, emb, padding_idx=PAD)
        self.attention = LuongAttention(hid)
        self.cell = nn.LSTMCell(emb + 2 * hid, hid)
        self.out = nn.Linear(3 * hid, vocab)

    def step(self, token, state, keys, mask):
        context, weights = self.attention(state[0], keys, mask)
        state = self.cell(torch.cat([self.embedding(token), context], -1), state)
        return self.out(torch.cat([state[0], context], -1)), state, weights


sources = [torch.randint(3, 9, (n,)) for n in (5, 3, 6, 2)]
targets = [torch.cat([torch.tensor([SOS]), s.flip(0), torch.tensor([EOS])]) for s in sources]
lengths = torch.tensor([len(s) for s in sources])
src, trg = (
    pad_sequence(sources, batch_first=True),
    pad_sequence(targets, batch_first=True, padding_value=PAD),
)
print(src, trg, src.ne(PAD).sum(1).equal(lengths))
encoder, decoder = Encoder(9, 6, 8), Decoder(9, 6, 8)
parameters = list(encoder.parameters()) + list(decoder.parameters())
optimizer = torch.optim.Adam(parameters, lr=0.02, betas=(0.9, 0.98), eps=1e-9)
criterion = nn.CrossEntropyLoss(ignore_index=PAD)
for epoch in range(6):
    keys, hidden = encoder(src, lengths)
    state, token, logits = (hidden, torch.zeros_like(hidden)), trg[:, 0], []
    for t in range(1, trg.size(1)):
        output, state, weights = decoder.step(token, state, keys, src != PAD)
        logits.append(output)
        token = trg[:, t] if random.random() < 0.5 else output.argmax(1)
    loss = criterion(torch.stack(logits, 1).view(-1, 9), trg[:, 1:].reshape(-1))
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm=1)
    optimizer.step()
    print(f"epoch {epoch + 1}: loss {loss:.4f}, gradient norm {norm:.4f}")
print(weights, weights.sum(1), weights[3, 2:].abs().max())

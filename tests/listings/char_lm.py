import torch
import torch.nn as nn
import torch.nn.functional as F

text = "the cat sat on the mat and the rat sat on the cat "
chars = sorted(set(text))
stoi = {c: i for i, c in enumerate(chars)}
itos = {i: c for c, i in stoi.items()}
encoded = torch.tensor([stoi[c] for c in text], dtype=torch.long)
print("".join(chars).strip(), len(chars), encoded[:10])


class CharLM(nn.Module):
    def __init__(self, vocab_size, hidden_size=16, n_layers=2):
        super().__init__()
        self.hidden_size, self.n_layers = hidden_size, n_layers
        self.embed = nn.Embedding(vocab_size, hidden_size)
        self.rnn = nn.GRU(hidden_size, hidden_size, n_layers, batch_first=True, dropout=0.0)
        self.head = nn.Linear(hidden_size, vocab_size)
        self.head.weight = self.embed.weight  # tied

    def forward(self, x, hidden=None):
        out, hidden = self.rnn(self.embed(x), hidden)
        return self.head(out), hidden

    def init_hidden(self, batch_size):
        weight = next(self.parameters())
        return weight.new_zeros(self.n_layers, batch_size, self.hidden_size)


torch.manual_seed(3)
model = CharLM(len(chars))
windows = encoded.unfold(0, 11, 5)
inputs, targets = windows[:, :-1], windows[:, 1:]
print(windows.shape, inputs[1], targets[1])
optimizer = torch.optim.RMSprop(model.parameters(), lr=5e-3, alpha=0.95)
hidden = model.init_hidden(len(inputs))
for step in range(8):
    hidden = hidden.detach()
    logits, hidden = model(inputs, hidden)
    loss = F.cross_entropy(logits.transpose(1, 2), targets)
    optimizer.zero_grad()
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
    print(
        f"{step:2d} loss {loss.item():7.4f}  perplexity {loss.exp().item():8.3f}  norm {norm:.4f}"
    )
print(sum(p.numel() for p in model.parameters()), len(model.state_dict()))


@torch.no_grad()
def generate(start, length):
    model.eval()
    hidden, ids = None, [stoi[c] for c in start]
    x = torch.tensor([ids])
    for _ in range(length):
        logits, hidden = model(x, hidden)
        x = logits[:, -1].topk(1).indices
        ids.append(x.item())
    return "".join(itos[i] for i in ids)


print(repr(generate("the ", 20)))
torch.manual_seed(0)
probs = F.softmax(torch.tensor([1.0, 2.0, 3.0]) / 0.8, dim=0)
print(probs, torch.multinomial(probs, 8, replacement=True), probs.multinomial(2))

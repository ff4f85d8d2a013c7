import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(1)
CONTEXT_SIZE = 2
EMBEDDING_DIM = 8
raw_text = """words that keep the same company share a meaning and words that share a meaning
keep the same company so a model that guesses a word from its company learns what the word means""".split()
vocab = sorted(set(raw_text))
word_to_ix = {word: i for i, word in enumerate(vocab)}
data = []
for i in range(CONTEXT_SIZE, len(raw_text) - CONTEXT_SIZE):
    context = [raw_text[i + offset] for offset in (-2, -1, 1, 2)]
    data.append((context, raw_text[i]))
print(data[:3], len(vocab))


class CBOW(nn.Module):
    def __init__(self, vocab_size, embedding_dim):
        super(CBOW, self).__init__()
        self.embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.linear = nn.Linear(embedding_dim, vocab_size)

    def forward(self, inputs):
        return F.log_softmax(self.linear(self.embeddings(inputs).sum(dim=1)), dim=1)


contexts = torch.tensor([[word_to_ix[w] for w in context] for context, _ in data], dtype=torch.long)
targets = torch.tensor([word_to_ix[word] for _, word in data])
model = CBOW(len(vocab), EMBEDDING_DIM)
loss_function = nn.NLLLoss()
optimizer = optim.Adagrad(model.parameters(), lr=0.3)
for epoch in range(12):
    model.zero_grad()
    loss = loss_function(model(contexts), targets)
    loss.backward()
    optimizer.step()
    if epoch % 4 == 3:
        print(epoch, loss)
with torch.no_grad():
    guess = model(contexts).argmax(dim=-1)
    print([vocab[i] for i in guess.tolist()][:8], (guess == targets).float().mean())
    vectors = F.normalize(model.embeddings.weight, p=2, dim=1)
    similarity = vectors @ vectors.T
    similarity.fill_diagonal_(-1)
    best = similarity.max(dim=1)
    for i in (0, 3, 5):
        print(f"{vocab[i]:>10} ~ {vocab[best.indices[i]]:<10} {best.values[i].item():.4f}")
    print(
        torch.mm(vectors[:2], vectors[:3].t()), vectors.norm(dim=1).allclose(torch.ones(len(vocab)))
    )

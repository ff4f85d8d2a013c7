import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset, TensorDataset, random_split


class TextDataset(Dataset):
    def __init__(self, texts, labels, vocab):
        self.rows = [torch.tensor([vocab[w] for w in t.split()]) for t in texts]
        self.labels = labels

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i], self.labels[i]


def collate(batch):
    rows, labels = zip(*batch)
    lengths = torch.tensor([len(r) for r in rows])
    return (
        pad_sequence(list(rows), batch_first=True, padding_value=0),
        torch.tensor(labels),
        lengths,
    )


texts = ["a b c", "b", "c c a b", "a a", "b c", "c"]
dataset = TextDataset(texts, [0, 1, 0, 1, 1, 0], {"a": 1, "b": 2, "c": 3})
print(len(dataset), dataset[2])
torch.manual_seed(0)
loader = DataLoader(dataset, batch_size=2, shuffle=True, collate_fn=collate)
for epoch in range(2):
    for ids, labels, lengths in loader:
        print(epoch, ids.tolist(), labels.tolist(), lengths.tolist())
train, valid = random_split(TensorDataset(torch.arange(10), torch.arange(10) ** 2), [7, 3])
print(len(train), [int(x) for x, _ in valid])
for x, y in DataLoader(train, batch_size=4, drop_last=True):
    print(x, y)

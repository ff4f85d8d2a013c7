import torch
import torch.nn as nn

torch.manual_seed(0)
embedding = nn.Embedding(6, 3, padding_idx=0)
print(embedding, embedding.weight)
ids = torch.tensor([[1, 2, 0], [5, 5, 0]])
print(embedding(ids))
embedding(ids).sum().backward()
print(embedding.weight.grad)
pretrained = torch.arange(12.0).view(4, 3)
frozen = nn.Embedding.from_pretrained(pretrained)
print(frozen.weight.requires_grad, frozen(torch.tensor([3, 1])))
tuned = nn.Embedding.from_pretrained(pretrained, freeze=False)
print(tuned.weight.requires_grad)
with torch.no_grad():
    embedding.weight[2] = torch.tensor([1.0, 1.0, 1.0])
print(embedding.weight[2])
bounded = nn.Embedding(4, 3, max_norm=1.0)
print(bounded(torch.tensor([0, 1])).norm(dim=1))
bag = nn.EmbeddingBag(6, 3, mode="mean")
print(bag(torch.tensor([1, 2, 4, 5, 4]), torch.tensor([0, 2])))
print(nn.functional.one_hot(torch.tensor([0, 2, 1]), num_classes=4))
print(nn.functional.cosine_similarity(embedding.weight[1], embedding.weight[5], dim=0))
try:
    embedding(torch.tensor([6]))
except IndexError:
    print("IndexError")

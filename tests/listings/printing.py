import torch
import torch.nn as nn

print(torch.tensor(7), torch.tensor(7.0), torch.tensor(True), torch.tensor([]), torch.tensor([[]]))
print(torch.tensor([1.5, 2.25, -3.125]), torch.tensor([100000.0, 0.5]), torch.tensor([1e-7, 1.0]))
print(
    torch.tensor([0.0, 1e10]),
    torch.tensor([12345678.0]),
    torch.tensor([1e-3]),
    torch.tensor([float("-inf"), 2.5]),
)
for dtype in (
    torch.float16,
    torch.float32,
    torch.float64,
    torch.int16,
    torch.uint8,
    torch.int64,
    torch.bool,
):
    x = torch.zeros(2, dtype=dtype)
    print(x, x.dtype, x.element_size(), x.type(), dtype.is_floating_point)
print(
    torch.finfo(torch.float32).eps,
    torch.finfo(torch.float16).max,
    torch.iinfo(torch.int32).max,
    torch.get_default_dtype(),
)
print(torch.arange(24).reshape(2, 3, 4), torch.ones(1, 1, 2, 2))
print(torch.arange(1001), torch.arange(1100.0).view(11, 100))
print(repr(torch.Size([2, 3])), str(torch.float32), torch.device("cpu"), repr(torch.device("cpu")))
w = torch.tensor([1.0, 2.0], requires_grad=True)
print(w, w * 2, w.detach(), w.sum().item(), (w + 1).mean())
print(nn.Parameter(torch.tensor([[0.5, -0.5]])), nn.Parameter(torch.ones(1), requires_grad=False))
print(
    f"{torch.tensor(3.14159):.3f} {torch.tensor(42):5d} {torch.tensor(0.5):>8} {w[0]:.1e} {torch.tensor(0.123):.1%}"
)
print([torch.tensor(1), torch.tensor([2.0])], {"a": torch.tensor([1, 2])}, (torch.tensor(1.5),))
torch.set_printoptions(precision=2, sci_mode=False, linewidth=60)
print(torch.tensor([1e-5, 123.456]), torch.linspace(0, 1, 12))
torch.set_printoptions(threshold=5, edgeitems=1)
print(torch.arange(10))
torch.set_printoptions(profile="default")
print(
    torch.tensor([-1.0, 1.0]),
    torch.tensor([-1, 10, 100]),
    torch.tensor([0.1 + 0.2], dtype=torch.double),
)
print(torch.complex64 if False else "", torch.tensor([[1.0, float("nan")], [2.0, 3.0]]))
layers = [
    nn.Linear(3, 4),
    nn.Linear(3, 4, bias=False),
    nn.Conv1d(3, 6, 5, stride=2, padding=1, bias=False),
    nn.Conv2d(1, 2, (3, 8)),
    nn.MaxPool1d(2),
    nn.AvgPool1d(3, stride=1),
    nn.AdaptiveAvgPool1d(1),
    nn.BatchNorm1d(5),
    nn.LayerNorm([4, 5]),
    nn.GroupNorm(2, 4),
    nn.Dropout(0.3),
    nn.Dropout1d(),
    nn.Embedding(5, 2, padding_idx=0, max_norm=1.0),
    nn.EmbeddingBag(5, 2, mode="sum"),
    nn.LSTM(3, 4, 2, batch_first=True, bidirectional=True, dropout=0.1),
    nn.GRU(3, 4),
    nn.RNN(3, 4, nonlinearity="relu"),
    nn.LSTMCell(3, 4),
    nn.GRUCell(3, 4, bias=False),
    nn.MultiheadAttention(4, 2),
    nn.ReLU(),
    nn.ReLU(inplace=True),
    nn.LeakyReLU(0.2),
    nn.PReLU(),
    nn.ELU(),
    nn.Softmax(dim=1),
    nn.LogSoftmax(-1),
    nn.Softplus(),
    nn.GELU(),
    nn.SiLU(),
    nn.Hardtanh(),
    nn.Tanh(),
    nn.Sigmoid(),
    nn.GLU(),
    nn.Flatten(),
    nn.Unflatten(1, (2, 3)),
    nn.Identity(),
    nn.Bilinear(2, 3, 4),
    nn.CosineSimilarity(dim=1),
    nn.ConstantPad1d(2, 0.0),
    nn.ZeroPad1d(1),
    nn.CrossEntropyLoss(ignore_index=0),
    nn.NLLLoss(),
    nn.BCEWithLogitsLoss(),
    nn.KLDivLoss(),
    nn.TripletMarginLoss(),
]
for layer in layers:
    print(layer, sum(p.numel() for p in layer.parameters()))
print(
    nn.ModuleList([nn.Linear(2, 2) for _ in range(3)] + [nn.Tanh()]),
    nn.ParameterList([torch.ones(2)]),
    nn.Sequential(),
)

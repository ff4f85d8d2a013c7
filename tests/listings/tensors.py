import numpy as np
import torch

x = torch.tensor([[1, 2, 3], [4, 5, 6]])
print(x, x.dtype, x.shape, x.ndim, x.size(0), x.numel())
print(torch.zeros(2, 3), torch.ones(2, dtype=torch.int32), torch.full((2, 2), 3.5), torch.eye(3))
print(torch.arange(0, 10, 3), torch.linspace(0, 1, 5), torch.empty(0), torch.tensor(3.14159))
print(
    x.float() / 2, x // 2, x % 2, x**2, -x, x > 2, (x > 2).sum(), x.float().mean(), x.float().std()
)
print(x[0], x[:, 1], x[-1, -1], x[x > 2], x[:, [0, 2]], x[..., None].shape)
print(x.view(3, 2), x.T, x.reshape(-1), x.unsqueeze(0).shape, x.repeat(1, 2), torch.cat([x, x], 1))
print(x + torch.tensor([10, 20, 30]), x * torch.tensor([[1], [2]]))
y = x.clone()
y[0, 0] = 100
y.add_(1)
print(x[0, 0], y)
a = np.ones(3)
b = torch.from_numpy(a)
a[0] = 5
print(b, b.numpy(), torch.tensor(a), x.numpy().sum())
print(
    torch.tensor([1e-5, 1.0, 1000.0]),
    torch.tensor([1e9, 1.0]),
    torch.tensor([float("nan"), float("inf"), 1.0]),
)
print(
    torch.tensor([[0.001, 10.5], [-3.25, 2.0]]),
    torch.tensor([True, False]),
    torch.tensor([1.0, 2.0]),
)
print(torch.arange(2000), torch.zeros(30, 40))
print(torch.tensor([0.1, 0.2], dtype=torch.float64), torch.tensor([1, 2], dtype=torch.int8))
print(f"{torch.tensor(2.34567):.2f} {x.max()} {torch.Size([2, 3])} {x.sum().item()}")
print(x.max(dim=1), x.float().var(), x.cumsum(0), torch.stack([x, x]).shape, x.tolist())
print(torch.einsum("ij,kj->ik", x.float(), x.float()), x.float() @ x.float().t())
print(torch.where(x > 3, x, torch.zeros_like(x)), torch.clamp(x, 2, 5), torch.unique(x % 3))
print(x.is_contiguous(), x.t().is_contiguous(), x.stride(), x.t().contiguous().stride(), x.type())
torch.manual_seed(1)
first = (torch.rand(3), torch.randn(20), torch.randint(0, 9, (4,)), torch.randperm(6))
torch.manual_seed(1)
print(first, torch.equal(first[0], torch.rand(3)))
for value in torch.arange(3):
    print(value, int(value), value.item())
print(torch.set_printoptions(precision=2), torch.tensor([1.23456, 2.0]))

import io

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
import torch.nn as nn
import torch.nn.functional as F

points = torch.linspace(-2.6, 2.6, 7)
functions = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": F.relu,
    "leaky": lambda x: F.leaky_relu(x, 0.1),
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "softplus": F.softplus,
}
print("x".ljust(10), *(f"{v:8.3f}" for v in points.tolist()))
for name, function in functions.items():
    x = points.clone().requires_grad_()
    y = function(x)
    y.sum().backward()
    print(name.ljust(10), *(f"{v:8.4f}" for v in y.tolist()))
    print("slope".ljust(10), *(f"{v:8.4f}" for v in x.grad.tolist()))
figure, axes = plt.subplots(1, 2)
line = torch.linspace(-4, 4, 200)
for name, function in functions.items():
    axes[0].plot(line.numpy(), function(line).numpy(), label=name)
axes[0].legend()
picture = io.BytesIO()
figure.savefig(picture, format="png")
print("picture:", len(picture.getvalue()) > 1000)
logits = torch.tensor([2.0, 1.0, 0.1])
print(F.softmax(logits, dim=0), F.log_softmax(logits, dim=0))
print(nn.Softmax(dim=1)(torch.stack([logits, logits * 3])))
for temperature in (0.5, 1.0, 5.0):
    print(f"T={temperature}:", (logits / temperature).softmax(-1))

from collections import OrderedDict

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn import init

torch.manual_seed(0)
model = nn.Sequential(
    OrderedDict(
        [
            ("embed", nn.Embedding(20, 8)),
            ("flat", nn.Flatten()),
            ("fc1", nn.Linear(24, 16)),
            ("act", nn.GELU()),
            ("norm", nn.LayerNorm(16)),
            ("fc2", nn.Linear(16, 4)),
        ]
    )
)
print(model)
print(sum(p.numel() for p in model.parameters()))
for name, p in model.named_parameters():
    print(name, tuple(p.shape), p.requires_grad, f"{p.mean().item():.6f}")
for p in model.embed.parameters():
    p.requires_grad = False
print([n for n, p in model.named_parameters() if p.requires_grad])
print(list(model.state_dict()), [type(m).__name__ for m in model.modules()])
for kind in (
    "xavier_uniform_",
    "xavier_normal_",
    "kaiming_uniform_",
    "kaiming_normal_",
    "orthogonal_",
):
    w = torch.empty(6, 5)
    getattr(init, kind)(w)
    print(kind, f"{w.abs().mean().item():.4f} {w[0, 0].item():.4f}")


def weights(m):
    if isinstance(m, nn.Linear):
        init.constant_(m.weight, 0.1)
        init.zeros_(m.bias)


model.apply(weights)
print(model(torch.randint(0, 20, (2, 3))))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.out = nn.Linear(3, 5, bias=False)
        self.out.weight = self.embedding.weight
        self.register_buffer("scale", torch.tensor(2.0))
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, x):
        return self.out(self.embedding(x) * self.scale * self.gain)


tied = Tied()
F.cross_entropy(tied(torch.tensor([1, 2])), torch.tensor([2, 1])).backward()
print(tied.embedding.weight.grad, tied.gain.grad, tied.out.weight is tied.embedding.weight)
print(len(list(tied.parameters())), sorted(tied.state_dict()))
norm = nn.utils.clip_grad_norm_(tied.parameters(), max_norm=0.1)
print(norm, nn.utils.parameters_to_vector(tied.parameters()).shape)
handle = model.fc1.register_forward_hook(lambda m, i, o: print("hook", tuple(o.shape)))
model(torch.randint(0, 20, (2, 3)))
handle.remove()
try:
    tied.load_state_dict({"gain": torch.ones(2)})
except RuntimeError as error:
    print("Missing key(s)" in str(error), "size mismatch" in str(error))
model.train(False)
print(model.training, nn.Dropout(0.5).eval()(torch.ones(3)), nn.ModuleDict({"a": nn.ReLU()}))

import copy

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(8)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(12, 6)
        self.encoder = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh())
        self.classifier = nn.Linear(6, 2)

    def forward(self, ids):
        return self.classifier(self.encoder(self.embedding(ids).mean(dim=1)))

    def extra_repr(self):
        return "pooling=mean"


net = Net()
print(net)
activations = {}


def keep(name):
    def hook(module, inputs, output):
        activations[name] = output.detach()

    return hook


handles = [
    m.register_forward_hook(keep(n)) for n, m in net.named_modules() if isinstance(m, nn.Tanh)
]
pre = net.classifier.register_forward_pre_hook(lambda m, args: print("in", tuple(args[0].shape)))
back = net.classifier.register_full_backward_hook(
    lambda m, gi, go: print("grad", gi[0].shape, go[0].shape, gi[0].norm())
)
ids, labels = torch.randint(0, 12, (4, 3)), torch.tensor([1, 0, 1, 1])
loss = F.cross_entropy(net(ids), labels)
loss.backward()
print({k: (tuple(v.shape), round(v.mean().item(), 5)) for k, v in activations.items()})
for handle in (*handles, pre, back):
    handle.remove()
for name, p in net.named_parameters():
    print(f"{name:22} {str(tuple(p.shape)):9} grad norm {p.grad.norm().item():.6f}")
net.zero_grad()
print(all(p.grad is None for p in net.parameters()))
before = copy.deepcopy(net.state_dict())
net.embedding.requires_grad_(False)
for p in net.encoder[0].parameters():
    p.requires_grad = False
trainable = [p for p in net.parameters() if p.requires_grad]
total = sum(p.numel() for p in net.parameters())
print(f"{sum(p.numel() for p in trainable):,} of {total:,} parameters are trained")
optimizer = torch.optim.SGD(filter(lambda p: p.requires_grad, net.parameters()), lr=0.5)
for accumulated in range(4):
    loss = (
        F.cross_entropy(
            net(ids[accumulated : accumulated + 1]), labels[accumulated : accumulated + 1]
        )
        / 4
    )
    loss.backward()
print([None if p.grad is None else f"{p.grad.norm():.5f}" for p in net.parameters()])
torch.nn.utils.clip_grad_value_(trainable, 0.05)
print(max(p.grad.abs().max().item() for p in trainable))
optimizer.step()
for key, value in net.state_dict().items():
    print(
        key,
        "unchanged"
        if torch.equal(value, before[key])
        else f"moved by {(value - before[key]).norm():.5f}",
    )
partial = {k: v for k, v in before.items() if k.startswith("encoder")}
print(net.load_state_dict(partial, strict=False))
try:
    net.load_state_dict({**before, "extra": torch.ones(1)})
except RuntimeError as error:
    print(str(error).split(":")[0], "extra" in str(error))
print(
    [n for n, _ in net.named_children()],
    net.get_submodule("encoder.2"),
    net.get_parameter("classifier.bias").shape,
)
net.encoder.append(nn.Dropout(0.1))
net.encoder[1] = nn.ReLU()
del net.encoder[3]
print(net.encoder, len(net.encoder), list(dict(net.encoder.named_parameters())))
net.half().double()
print(net.classifier.weight.dtype, next(net.parameters()).device, net.eval().training)

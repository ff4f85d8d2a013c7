import torch
import torch.optim as optim
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, LambdaLR, OneCycleLR, StepLR

makers = {
    "SGD": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.5),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.1),
    "Adam": lambda p: optim.Adam(p, lr=0.3),
    "AdamW": lambda p: optim.AdamW(p, lr=0.3, weight_decay=0.1),
    "Adadelta": lambda p: optim.Adadelta(p),
    "NAdam": lambda p: optim.NAdam(p, lr=0.3),
}
for name, make in makers.items():
    w = torch.tensor([3.0, -2.0], requires_grad=True)
    optimizer = make([w])
    for _ in range(20):
        optimizer.zero_grad()
        loss = (w[0] ** 2 + 10 * w[1] ** 2).sum()
        loss.backward()
        optimizer.step()
    print(f"{name:9} {loss.item():.6f} {w.tolist()}")
print(optim.Adam([w], lr=1e-3))
schedules = {
    "step": lambda o: StepLR(o, step_size=3, gamma=0.5),
    "exp": lambda o: ExponentialLR(o, 0.9),
    "cosine": lambda o: CosineAnnealingLR(o, T_max=8),
    "one cycle": lambda o: OneCycleLR(o, 0.5, total_steps=9),
    "warm-up": lambda o: LambdaLR(o, lambda e: min((e + 1) / 4, (9 - e) / 6)),
}
for name, make in schedules.items():
    optimizer = optim.SGD([w], lr=0.1, momentum=0.9)
    scheduler = make(optimizer)
    rates = []
    for epoch in range(8):
        rates.append(round(optimizer.param_groups[0]["lr"], 6))
        optimizer.step()
        scheduler.step()
    print(name, rates, scheduler.get_last_lr())
groups = optim.SGD(
    [{"params": [w], "lr": 0.5}, {"params": [torch.ones(1, requires_grad=True)]}], lr=0.1
)
print([g["lr"] for g in groups.param_groups], sorted(groups.state_dict()))
plateau = optim.lr_scheduler.ReduceLROnPlateau(groups, mode="max", factor=0.1, patience=1)
for accuracy in (0.5, 0.6, 0.6, 0.6, 0.6):
    plateau.step(accuracy)
    print([g["lr"] for g in groups.param_groups])

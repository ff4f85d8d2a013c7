import torch
import torch.nn as nn
from torch.optim import SGD, lr_scheduler

model = nn.Linear(2, 1)


def curve(make, epochs=10, lr=0.1, **options):
    optimizer = SGD(model.parameters(), lr=lr, **options)
    scheduler = make(optimizer)
    rates = []
    for epoch in range(epochs):
        optimizer.step()
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step()
    return " ".join(f"{rate:.6f}" for rate in rates)


print("multi-step  ", curve(lambda o: lr_scheduler.MultiStepLR(o, milestones=[3, 6], gamma=0.1)))
print("multiplied  ", curve(lambda o: lr_scheduler.MultiplicativeLR(o, lr_lambda=lambda e: 0.95)))
print("constant    ", curve(lambda o: lr_scheduler.ConstantLR(o, factor=0.5, total_iters=4)))
print("linear      ", curve(lambda o: lr_scheduler.LinearLR(o, start_factor=0.1, total_iters=5)))
print("polynomial  ", curve(lambda o: lr_scheduler.PolynomialLR(o, total_iters=8, power=2.0)))
print("cosine      ", curve(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=5, eta_min=0.01)))
print("restarts    ", curve(lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=3, T_mult=2)))
print(
    "cyclic      ",
    curve(
        lambda o: lr_scheduler.CyclicLR(o, base_lr=0.01, max_lr=0.1, step_size_up=3), momentum=0.9
    ),
)
print(
    "one cycle   ",
    curve(
        lambda o: lr_scheduler.OneCycleLR(o, max_lr=1.0, steps_per_epoch=2, epochs=5, pct_start=0.4)
    ),
)
print(
    "sequence    ",
    curve(
        lambda o: lr_scheduler.SequentialLR(
            o,
            [
                lr_scheduler.LinearLR(o, start_factor=0.01, total_iters=3),
                lr_scheduler.ExponentialLR(o, gamma=0.8),
            ],
            milestones=[3],
        )
    ),
)
print(
    "chained     ",
    curve(
        lambda o: lr_scheduler.ChainedScheduler(
            [
                lr_scheduler.ConstantLR(o, factor=0.1, total_iters=2),
                lr_scheduler.ExponentialLR(o, gamma=0.9),
            ]
        )
    ),
)


def noam(step, d_model=64, warmup=4):
    step = max(step, 1)
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


print("noam        ", curve(lambda o: lr_scheduler.LambdaLR(o, noam), lr=1.0))
optimizer = SGD(model.parameters(), lr=0.1)
scheduler = lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
for _ in range(3):
    optimizer.step()
    scheduler.step()
state = scheduler.state_dict()
print(
    sorted(k for k in state if not k.startswith("_")), state["last_epoch"], scheduler.get_last_lr()
)
other = lr_scheduler.StepLR(SGD(model.parameters(), lr=0.1), step_size=1)
other.load_state_dict(state)
print(other.last_epoch, other.step_size, other.gamma)
plateau = lr_scheduler.ReduceLROnPlateau(
    optimizer, mode="min", factor=0.5, patience=1, threshold=1e-2, cooldown=1, min_lr=1e-3
)
for loss in (1.0, 0.995, 0.994, 0.993, 0.992, 0.991, 0.5, 0.5, 0.5, 0.5):
    plateau.step(torch.tensor(loss))
    print(loss, optimizer.param_groups[0]["lr"], plateau.num_bad_epochs, plateau.get_last_lr())

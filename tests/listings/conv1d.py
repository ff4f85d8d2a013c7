import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.tensor([[[1.0, 2, 3, 4, 5]]])
conv = nn.Conv1d(1, 1, kernel_size=3, bias=False)
with torch.no_grad():
    conv.weight.copy_(torch.tensor([[[1.0, 0.0, -1.0]]]))
print(conv(x), conv(x).shape)
print("by hand:", [(x[0, 0, i : i + 3] * conv.weight[0, 0]).sum().item() for i in range(3)])
for options in (
    {"padding": 1},
    {"stride": 2},
    {"dilation": 2},
    {"padding": "same"},
    {"padding": 2, "stride": 3},
):
    layer = nn.Conv1d(4, 6, 3, **options)
    print(options, layer, layer(torch.randn(2, 4, 11)).shape)
words = torch.randn(8, 20, 50)  # batch, words, embedding
conv = nn.Conv1d(50, 100, 3, padding=1)
out = conv(words.permute(0, 2, 1))
print(out.shape, f"{out.mean().item():.5f} {out.std().item():.5f}")
depthwise = nn.Conv1d(4, 4, 3, groups=4)
print(depthwise.weight.shape, depthwise(torch.ones(1, 4, 5)))
try:
    conv(torch.randn(8, 20, 50))
except RuntimeError:
    print("channels come second: RuntimeError")

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
model = nn.Transformer(
    d_model=8,
    nhead=2,
    num_encoder_layers=1,
    num_decoder_layers=2,
    dim_feedforward=12,
    dropout=0.0,
    batch_first=True,
    norm_first=True,
)
print(model)
src, tgt = torch.randn(2, 5, 8), torch.randn(2, 4, 8)
tgt_mask = nn.Transformer.generate_square_subsequent_mask(4)
padding = torch.tensor([[0, 0, 0, 0, 0], [0, 0, 0, 1, 1]]).bool()
out = model(
    src, tgt, tgt_mask=tgt_mask, src_key_padding_mask=padding, memory_key_padding_mask=padding
)
print(out.shape, out[1])
changed = src.clone()
changed[1, 3:] = 99.0
same = model(
    changed, tgt, tgt_mask=tgt_mask, src_key_padding_mask=padding, memory_key_padding_mask=padding
)
print("padding is not looked at:", torch.allclose(out, same, atol=1e-5))
later = tgt.clone()
later[:, 3] += 1
print(
    "nor is the future:",
    torch.allclose(
        model(src, later, tgt_mask=tgt_mask)[:, :3],
        model(src, tgt, tgt_mask=tgt_mask)[:, :3],
        atol=1e-6,
    ),
)
for name, p in model.named_parameters():
    if name.startswith("decoder.layers.1"):
        print(name, tuple(p.size()), f"{p.std():.5f}" if p.dim() > 1 else "")


class Block(nn.Module):
    """A GPT block: attention to the past, then a feed-forward net, each around a residual."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim, eps=1e-6)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(approximate="tanh"), nn.Linear(4 * dim, dim)
        )
        self.register_buffer(
            "mask", torch.tril(torch.ones(16, 16)).view(1, 1, 16, 16), persistent=False
        )

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = self.qkv(self.ln1(x)).split(C, dim=2)
        q, k, v = (y.view(B, T, self.heads, C // self.heads).transpose(1, 2) for y in (q, k, v))
        att = (q @ k.transpose(-2, -1)) * k.size(-1) ** -0.5
        att = F.softmax(att.masked_fill(self.mask[:, :, :T, :T] == 0, float("-inf")), dim=-1)
        x = x + self.proj((att @ v).transpose(1, 2).contiguous().view(B, T, C))
        return x + self.mlp(self.ln2(x))


torch.manual_seed(3)
tok, pos, head = nn.Embedding(10, 8), nn.Embedding(16, 8), nn.Linear(8, 10, bias=False)
gpt = nn.Sequential(*[Block(8, 2) for _ in range(2)], nn.LayerNorm(8))
everything = nn.ModuleList([tok, pos, head, gpt])
decay = [p for p in everything.parameters() if p.dim() >= 2]
plain = [p for p in everything.parameters() if p.dim() < 2]
optimizer = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}], lr=1e-2
)
print(optimizer, len(decay), len(plain))
ids = torch.randint(10, (3, 9))
for step in range(5):
    x = gpt(tok(ids[:, :-1]) + pos(torch.arange(8)))
    loss = F.cross_entropy(head(x).flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    print(step, round(loss.item(), 5))
print(list(gpt.state_dict()), gpt[0].mask.shape)

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
q = torch.randn(1, 2, 4, 3)
scores = q @ q.transpose(-2, -1) / math.sqrt(3)
causal = torch.tril(torch.ones(4, 4)).bool()
by_hand = F.softmax(scores.masked_fill(~causal, float("-inf")), dim=-1) @ q
print(torch.allclose(by_hand, F.scaled_dot_product_attention(q, q, q, is_causal=True), atol=1e-6))
attention = nn.MultiheadAttention(8, 2, batch_first=True)
x = torch.randn(2, 5, 8)
padding = torch.tensor([[False] * 5, [False, False, False, True, True]])
out, weights = attention(x, x, x, key_padding_mask=padding)
print(out, weights, weights.shape)
mask = nn.Transformer.generate_square_subsequent_mask(5)
print(mask)
print(attention(x, x, x, attn_mask=mask, need_weights=False)[0][0, 0])


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, max_len=50):
        super().__init__()
        position = torch.arange(max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * (-math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, d_model)
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0))

    def forward(self, x):
        return x + self.pe[:, : x.size(1)]


torch.manual_seed(1)
layer = nn.TransformerEncoderLayer(8, 2, dim_feedforward=16, dropout=0.0, batch_first=True)
encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
model = nn.Sequential(nn.Embedding(10, 8), PositionalEncoding(8), encoder)
head = nn.Linear(8, 2)
print(layer)
optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=1e-2)
ids, labels = torch.randint(0, 10, (4, 6)), torch.tensor([0, 1, 0, 1])
for step in range(4):
    loss = F.cross_entropy(head(model(ids).mean(1)), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{step} {loss.item():.5f}")
print(sorted(model.state_dict())[:6])

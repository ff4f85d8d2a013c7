"""One side of nanoGPT's recipe in a process of its own, which never loads the other side.

    python nanogpt_side.py torch|minigrad FOLDER

FOLDER has what `prepare` of nanogpt.py wrote. Reads from stdin what to do, a JSON list in a line: the
name of a method of Side and its arguments; answers each with a JSON object in a line.
"""

import argparse
import importlib
import json
import sys
import time
from pathlib import Path

import numpy

ITERS = 20  # batches of an estimate


def torch_model(torch, config):
    """nanoGPT's model of torch's own modules; names are those of models/gpt.py."""
    nn, F = torch.nn, torch.nn.functional
    width = config.n_embd

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_attn = nn.Linear(width, 3 * width, bias=config.bias)
            self.c_proj = nn.Linear(width, width, bias=config.bias)

        def forward(self, x):
            batch, length, _ = x.shape
            heads = lambda part: part.view(batch, length, config.n_head, -1).transpose(1, 2)
            query, key, value = map(heads, self.c_attn(x).split(width, dim=2))
            y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
            return self.c_proj(y.transpose(1, 2).contiguous().view(batch, length, width))

    class MLP(nn.Module):
        def __init__(self):
            super().__init__()
            self.c_fc = nn.Linear(width, 4 * width, bias=config.bias)
            self.c_proj = nn.Linear(4 * width, width, bias=config.bias)

        def forward(self, x):
            return self.c_proj(F.gelu(self.c_fc(x)))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.ln_1 = nn.LayerNorm(width, bias=config.bias)
            self.attn = Attention()
            self.ln_2 = nn.LayerNorm(width, bias=config.bias)
            self.mlp = MLP()

        def forward(self, x):
            x = x + self.attn(self.ln_1(x))
            return x + self.mlp(self.ln_2(x))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.transformer = nn.ModuleDict(
                {
                    "wte": nn.Embedding(config.vocab_size, width),
                    "wpe": nn.Embedding(config.block_size, width),
                    "h": nn.ModuleList([Block() for _ in range(config.n_layer)]),
                    "ln_f": nn.LayerNorm(width, bias=config.bias),
                }
            )
            self.lm_head = nn.Linear(width, config.vocab_size, bias=False)
            self.transformer.wte.weight = self.lm_head.weight

        def forward(self, ids, targets):
            parts = self.transformer
            x = parts.wte(ids) + parts.wpe(torch.arange(ids.shape[1]))
            for block in parts.h:
                x = block(x)
            logits = self.lm_head(parts.ln_f(x))
            return logits, F.cross_entropy(logits.view(-1, logits.shape[-1]), targets.view(-1))

    return Model()


class Side:
    """The recipe in one library, which is told what to do line by line."""

    def __init__(self, name: str, folder: Path):
        self.library = importlib.import_module(name)
        self.library.set_num_threads(2)
        plan = json.loads((folder / "plan.json").read_text())
        self.rates, settings = plan["rates"], plan["settings"]
        self.block = settings["block_size"]
        arrays = numpy.load(folder / "arrays.npz")
        self.starts = arrays["starts"]
        self.parts = {part: self.library.tensor(arrays[part]) for part in ("train", "valid")}
        sizes = plan["config"]
        if name == "torch":
            self.model = torch_model(self.library, argparse.Namespace(**sizes))
        else:
            from minigrad.models.gpt import GPT, GPTConfig

            self.model = GPT(GPTConfig(**sizes))
        weights = {key: self.library.tensor(arrays[f"weight {key}"]) for key in plan["weights"]}
        self.model.load_state_dict(weights)
        every = list(self.model.parameters())
        groups = [
            {"params": [p for p in every if p.dim() > 1], "weight_decay": settings["weight_decay"]},
            {"params": [p for p in every if p.dim() <= 1], "weight_decay": 0.0},
        ]
        betas = settings["beta1"], settings["beta2"]
        optimizer = lambda: self.library.optim.AdamW(groups, lr=0.0, betas=betas, fused=True)
        self.clip = lambda: self.library.nn.utils.clip_grad_norm_(every, settings["grad_clip"])
        self.optimizer = optimizer()
        for _ in range(3):  # kernels are compiled, memory is fetched; then all starts anew
            self.update(0)
        self.model.load_state_dict(weights)
        self.optimizer = optimizer()

    def batch(self, part: str, starts):
        """Inputs and targets (B, T) from these places of a text."""
        places = self.library.tensor(starts)[:, None] + self.library.arange(self.block + 1)
        rows = self.parts[part][places]
        return rows[:, :-1].contiguous(), rows[:, 1:].contiguous()

    def update(self, number: int) -> float:
        """One update, and the loss before it."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rates[number]
        _, loss = self.model(*self.batch("train", self.starts[number]))
        self.optimizer.zero_grad()
        loss.backward()
        self.clip()
        self.optimizer.step()
        return loss.item()

    def train(self, first: int, last: int) -> dict:
        """Updates first to last: their losses and times in seconds."""
        losses, seconds = [], []
        for number in range(first, last):
            begin = time.perf_counter()
            losses.append(self.update(number))
            seconds.append(time.perf_counter() - begin)
        return {"losses": losses, "seconds": seconds}

    def estimate(self, seed: int) -> dict:
        """The mean loss on random batches of both parts, as nanoGPT has it, and the seconds taken."""
        draw, found, begin = numpy.random.default_rng(seed), {}, time.perf_counter()
        for part, ids in self.parts.items():
            places = draw.integers(0, len(ids) - self.block, (ITERS, self.starts.shape[1]))
            found[part] = float(numpy.mean([self.loss(part, row) for row in places]))
        return found | {"seconds": time.perf_counter() - begin}

    def loss(self, part: str, starts) -> float:
        """The loss of a batch, without a gradient."""
        with self.library.no_grad():
            return self.model(*self.batch(part, starts))[1].item()

    def text(self) -> dict:
        """The loss over the whole validation text but its last, shorter block."""
        whole = numpy.arange(0, len(self.parts["valid"]) - self.block, self.block)
        groups = numpy.array_split(whole, -(-len(whole) // 32))
        nats = [self.loss("valid", group) * len(group) for group in groups]
        return {"loss": sum(nats) / len(whole)}


def main() -> None:
    """Do what stdin says, line by line, until it ends."""
    side = Side(sys.argv[1], Path(sys.argv[2]))
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(getattr(side, what)(*arguments)), flush=True)


if __name__ == "__main__":
    main()

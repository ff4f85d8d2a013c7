"""Which layers learn, when, and how fast: freezing, gradual unfreezing, rates by depth.

A model's layers are its one ModuleList of blocks (`encoder.layer` of BERT, `transformer.layer` of
DistilBERT): layer 0 is the lowest. Below it stand the embeddings, above it the head.
"""

import re
from collections.abc import Iterable

from ...nn import Embedding, Module, ModuleList
from ...nn.normalization import GroupNorm, LayerNorm, RMSNorm, _RunningNorm
from .callbacks import TrainerCallback

NORMS = (LayerNorm, RMSNorm, GroupNorm, _RunningNorm)
NORM_NAMES = re.compile(r"bias|layernorm|rmsnorm|(^|\.)norm(\.|$)|_norm(\.|$)", re.IGNORECASE)


def decay_parameters(model: Module) -> set[str]:
    """Names of the parameters that weight decay is for: all but biases and the weights of norms."""
    spared = {
        id(p)
        for module in model.modules()
        if isinstance(module, NORMS)
        for p in module.parameters(recurse=False)
    }
    return {
        name
        for name, p in model.named_parameters()
        if id(p) not in spared and not NORM_NAMES.search(name)
    }


def layers_of(model: Module) -> tuple[str, ModuleList]:
    """(name, layers) of the longest ModuleList; ValueError for a model without one."""
    lists = [(name, m) for name, m in model.named_modules() if isinstance(m, ModuleList) and len(m)]
    if not lists:
        raise ValueError(
            f"{type(model).__name__} has no ModuleList of layers: freeze its parts by their names"
        )
    return max(lists, key=lambda pair: len(pair[1]))


def depths(model: Module) -> dict[str, int]:
    """The depth of every parameter: 0 for embeddings, 1 ... L for the layers, L + 1 for the head.

    A parameter that stands in no layer is an embedding's if it, or a module above it, is called
    embeddings or is an nn.Embedding; otherwise it is the head's.
    """
    place, layers = layers_of(model)
    tables = {
        name for name, module in model.named_modules()
        if isinstance(module, Embedding) or name.rpartition(".")[2] == "embeddings"
    }  # fmt: skip
    found = {}
    for name, _ in model.named_parameters():
        if name.startswith(f"{place}."):
            found[name] = 1 + int(name.removeprefix(f"{place}.").partition(".")[0])
        elif any(name.startswith(f"{table}.") for table in tables):
            found[name] = 0
        else:
            found[name] = len(layers) + 1
    return found


def _chosen(model: Module, parts: tuple[str, ...], layers: int | Iterable[int] | None) -> list[str]:
    """Names of the parameters in parts of a model and in layers by number."""
    names = [name for name, _ in model.named_parameters()]
    chosen: set[str] = set()
    for part in parts:
        words = part.split(".")
        size = len(words)
        found = [
            name for name in names
            if any(name.split(".")[i : i + size] == words for i in range(name.count(".") + 1))
        ]  # fmt: skip
        if not found:
            children = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
            raise ValueError(
                f"{type(model).__name__} has no part {part!r}; its parts are {children} and what is "
                "in them"
            )
        chosen.update(found)
    if layers is not None:
        place, stack = layers_of(model)
        for number in [layers] if isinstance(layers, int) else layers:
            if not -len(stack) <= number < len(stack):
                raise ValueError(
                    f"{type(model).__name__} has layers 0 to {len(stack) - 1}, no layer {number}"
                )
            prefix = f"{place}.{number % len(stack)}."
            chosen.update(name for name in names if name.startswith(prefix))
    return [name for name in names if name in chosen]


def _set(model: Module, names: Iterable[str], learn: bool) -> None:
    parameters = dict(model.named_parameters())
    for name in names:
        parameters[name].requires_grad_(learn)
        if not learn:
            parameters[name].grad = None


def freeze(model: Module, *parts: str, layers: int | Iterable[int] | None = None) -> list[str]:
    """Let parts of a model learn no more; the names of their parameters.

    parts: names of modules or parameters, whole or the end of a longer one: "embeddings",
    "encoder.layer.0.attention". layers: numbers of layers, counted from below, or with -1 from above.
    Neither: the whole model. Dropout goes on in what is frozen. Make the optimizer afterwards.
    Raises ValueError for a part or a layer that is not there, before anything changes.

        freeze(model, "embeddings", layers=range(4))
    """
    everything = not parts and layers is None
    names = [name for name, _ in model.named_parameters()] if everything else None
    names = _chosen(model, parts, layers) if names is None else names
    _set(model, names, False)
    return names


def unfreeze(model: Module, *parts: str, layers: int | Iterable[int] | None = None) -> list[str]:
    """Let parts of a model learn again; arguments, errors and answer are those of `freeze`."""
    everything = not parts and layers is None
    names = [name for name, _ in model.named_parameters()] if everything else None
    names = _chosen(model, parts, layers) if names is None else names
    _set(model, names, True)
    return names


class GradualUnfreezing(TrainerCallback):
    """Begins with the head alone; every `epochs` epochs the next layer from the top learns too.

    After the lowest layer come the embeddings. Parameters that did not learn before never do.
    Howard and Ruder 2018, "Universal Language Model Fine-tuning for Text Classification".
    """

    def __init__(self, epochs: int = 1):
        if epochs < 1:
            raise ValueError(f"GradualUnfreezing: epochs must be at least 1, not {epochs}")
        self.epochs = epochs
        self.learning: set[str] | None = None

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        if self.learning is None:
            self.learning = {name for name, p in model.named_parameters() if p.requires_grad}
        self.set_epoch(model, int(state.epoch))

    def on_epoch_begin(self, args, state, control, model=None, **kwargs):
        self.set_epoch(model, int(state.epoch))

    def set_epoch(self, model: Module, epoch: int) -> None:
        """Freeze and unfreeze for epoch 0, 1 ..."""
        depth = depths(model)
        lowest = max(depth.values()) - epoch // self.epochs
        for name in self.learning:
            _set(model, [name], depth[name] >= lowest)

    def on_train_end(self, args, state, control, model=None, **kwargs):
        _set(model, self.learning, True)


def layerwise_groups(
    model: Module, lr: float, decay: float = 0.95, weight_decay: float = 0.0
) -> list[dict]:
    """Parameter groups for an optimizer: the head has rate lr, each layer below it decay times less.

    lr_d = lr decay^(L + 1 - d) for depth d of `depths`: of the embeddings lr decay^(L + 1).
    Weight decay spares biases and norms. Parameters that don't learn are left out.
    Sun et al. 2019, "How to Fine-Tune BERT for Text Classification?", section 5.3.3.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"layerwise_groups: decay must be above 0 and at most 1, not {decay}")
    depth, decayed = depths(model), decay_parameters(model)
    top = max(depth.values())
    groups: dict[tuple[int, bool], list] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            groups.setdefault((depth[name], name in decayed), []).append(p)
    return [
        {
            "params": groups[d, decays],
            "lr": lr * decay ** (top - d),
            "weight_decay": weight_decay if decays else 0.0,
        }
        for d, decays in sorted(groups, reverse=True)
    ]

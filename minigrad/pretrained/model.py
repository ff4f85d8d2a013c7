"""PreTrainedModel: a module with a configuration, read from a folder and written to one."""

import warnings
from pathlib import Path

from .. import dtypes
from ..engine import is_grad_enabled, no_grad
from ..nn import Embedding, Linear, Module, Parameter, init
from .config import PretrainedConfig
from .gguf_files import gguf_path, read_gguf_weights
from .int8 import is_int8, quantize_int8
from .matching import match
from .weights import read_weights, write_weights


class PreTrainedModel(Module):
    """The base of published models: a subclass sets `config_class` and `base_model_prefix`.

    base_model_prefix: the attribute under which a model with a head keeps the model without one.
    tied_weights: {a parameter's name: the name of the parameter that it is}, the same tensor under
    two names, where the configuration has tie_word_embeddings.
    known: endings of the names of weights that are what they are without training, sines say, and that
    a folder may lack without a word.
    optional: beginnings of the names of base weights that a folder may lack (a pooler, say).
    has_pooler: whether the family's base model can have one.
    classifier_dropouts: the names, in the configuration, of the dropout before a classifier; the
    first that is not None counts.
    """

    config_class: type[PretrainedConfig] = PretrainedConfig
    base_model_prefix = ""
    tied_weights: dict[str, str] = {}
    optional: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    has_pooler = True
    classifier_dropouts: tuple[str, ...] = ("classifier_dropout", "hidden_dropout_prob")

    def __init__(self, config: PretrainedConfig):
        super().__init__()
        if not isinstance(config, self.config_class):
            raise TypeError(
                f"{type(self).__name__} takes a {self.config_class.__name__}, not a "
                f"{type(config).__name__}; {type(self).__name__}.from_pretrained(folder) reads one"
            )
        config.check()
        self.config = config
        self._untied: frozenset[str] = frozenset()

    def post_init(self) -> None:
        """Draw the weights and tie those that are one; to be called at the end of __init__."""
        if init.is_drawing():
            self.apply(self._init_weights)
        self.tie_weights()

    def _init_weights(self, module) -> None:
        """Draw one module's weights: matrices and tables from N(0, initializer_range^2), biases 0."""
        if not isinstance(module, (Linear, Embedding)):
            return
        with no_grad():
            module.weight.normal_(0.0, self.config.initializer_range)
            if isinstance(module, Linear) and module.bias is not None:
                module.bias.zero_()
            if isinstance(module, Embedding) and module.padding_idx is not None:
                module.weight[module.padding_idx] = 0

    # -- parts -----------------------------------------------------------------------------------

    @property
    def base_model(self):
        """The model without a head."""
        return getattr(self, self.base_model_prefix, self)

    def get_input_embeddings(self) -> Embedding:
        """The table of word vectors; a family's model without a head says which it is."""
        if self.base_model is self:
            raise NotImplementedError(
                f"{type(self).__name__} does not say which its word vectors are"
            )
        return self.base_model.get_input_embeddings()

    def tied(self) -> dict[str, str]:
        """The names that stand for another parameter, and which, as the configuration says."""
        return self.tied_weights if self.config.tie_word_embeddings else {}

    def ties(self) -> dict[str, str]:
        """As `tied`, without those that became parameters of their own."""
        return {name: of for name, of in self.tied().items() if name not in self._untied}

    def tie_weights(self) -> None:
        """Let tied names be the same parameter."""
        for name, source in self.ties().items():
            parent, _, leaf = name.rpartition(".")
            setattr(self.get_submodule(parent), leaf, self.get_parameter(source))

    def untie(self, names) -> None:
        """Make these names parameters of their own, where a folder has other numbers for them."""
        self._untied = self._untied | set(names)
        for name in names:
            parent, _, leaf = name.rpartition(".")
            own = Parameter(self.get_parameter(name).detach().clone())
            setattr(self.get_submodule(parent), leaf, own)

    def num_parameters(self, only_trainable: bool = False) -> int:
        """How many numbers the parameters hold, tied ones once."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad or not only_trainable)

    @property
    def dtype(self):
        """The dtype of the parameters."""
        return next(self.parameters()).dtype

    @property
    def device(self):
        """Where the parameters are."""
        return next(self.parameters()).device

    # -- inputs ----------------------------------------------------------------------------------

    def check_inputs(self, input_ids, inputs_embeds, attention_mask, past: int = 0) -> None:
        """ValueError for inputs that don't fit together, or are longer than the model's positions.

        past: how many tokens a decoder has read before; its attention_mask has these too.
        """
        name = type(self).__name__
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError(f"{name}: pass either input_ids (B, T) or inputs_embeds (B, T, H)")
        given = input_ids if inputs_embeds is None else inputs_embeds
        if given.dim() != (2 if inputs_embeds is None else 3):
            raise ValueError(
                f"{name}: input_ids are (B, T) and inputs_embeds (B, T, H), not {tuple(given.shape)}"
            )
        width = self.get_input_embeddings().embedding_dim
        if inputs_embeds is not None and inputs_embeds.shape[2] != width:
            raise ValueError(
                f"{name}: inputs_embeds {tuple(given.shape)} must be (B, T, {width}): that long are "
                "its word vectors"
            )
        length, limit = given.shape[1], self.longest_input()
        if limit is not None and past + length > limit:
            before = f"{past} tokens read before and " if past else ""
            raise ValueError(
                f"{name}: {before}{length} tokens are more than the {limit} positions it has "
                "(max_position_embeddings): truncate the text, as tokenizer(..., truncation=True) does"
            )
        if attention_mask is None or attention_mask.dim() == 4:
            return
        if tuple(attention_mask.shape[:2]) != (given.shape[0], past + length):
            before = f" after {past} tokens read before" if past else ""
            raise ValueError(
                f"{name}: attention_mask {tuple(attention_mask.shape)} does not fit inputs "
                f"{tuple(given.shape)}{before}"
            )

    def wants_cache(self, use_cache: bool | None) -> bool:
        """Whether a decoder keeps keys and values: as passed, else as the configuration says, but not
        while gradients are recorded."""
        if use_cache is None:
            return self.config.use_cache and not is_grad_enabled()
        return use_cache

    def longest_input(self) -> int | None:
        """The largest number of tokens; None where there is no limit."""
        return getattr(self.config, "max_position_embeddings", None)

    def asked_for(self, output_hidden_states, output_attentions) -> tuple[bool, bool]:
        """Whether states and attentions are given back: as passed, or as the configuration says."""
        states, attentions = self.config.output_hidden_states, self.config.output_attentions
        return (
            states if output_hidden_states is None else output_hidden_states,
            attentions if output_attentions is None else output_attentions,
        )

    @staticmethod
    def attention_mask(mask):
        """True where a token may be looked at, (B, 1, 1, T) or (B, 1, T, T); None lets all be."""
        if mask is None:
            return None
        mask = mask.bool()
        return mask[:, None, None, :] if mask.dim() == 2 else mask[:, None]

    # -- folders ---------------------------------------------------------------------------------

    def save_pretrained(
        self, folder, safe_serialization: bool = True, max_shard_size: int | str = "5GB"
    ) -> None:
        """Write config.json and the weights into a folder; tied weights are written once.

        Weights of more than max_shard_size, "5GB" or a number of bytes, become several files.
        Raises RuntimeError for a model of 8 bits, which no from_pretrained would read.
        """
        if is_int8(self):
            raise RuntimeError(
                f"{type(self).__name__}: weights of 8 bits are not written; save the model before "
                "quantize_int8()"
            )
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tied = self.ties()
        tensors = {name: t for name, t in self.state_dict().items() if name not in tied}
        write_weights(tensors, folder, safe_serialization, max_shard_size)
        self.config.architectures = [type(self).__name__]
        self.config.save_pretrained(folder)

    @classmethod
    def from_pretrained(
        cls, folder, config: PretrainedConfig | None = None, *, dtype=None, torch_dtype=None,
        ignore_mismatched_sizes: bool = False, output_loading_info: bool = False,
        gguf_file: str | None = None, load_in_8bit: bool = False, **changes,
    ):  # fmt: skip
        """The model of a local folder, in evaluation mode.

        A head that the folder lacks keeps its new weights, with a warning; the folder may be of the
        model alone, or of a model with another head. dtype (or torch_dtype): of the parameters,
        float32 without one. gguf_file: the folder's GGUF file to read instead (gguf_files.py).
        load_in_8bit: as quantize_int8 afterwards.
        changes: of the configuration, num_labels=3 say.
        Raises RuntimeError naming weights of another shape (unless ignore_mismatched_sizes, which
        leaves those as drawn), and weights of the model itself that are missing.
        """
        if config is None:
            config = cls.config_class.from_pretrained(folder, gguf_file=gguf_file, **changes)
        elif changes:
            raise TypeError(
                f"from_pretrained: with a config given, {', '.join(changes)} belong into it"
            )
        with init.undrawn():
            model = cls(config)
        if gguf_file is None:
            given = read_weights(folder)
        else:
            given = read_gguf_weights(gguf_path(folder, gguf_file), config)
        given, info = match(model, given, folder, ignore_mismatched_sizes)
        fresh = {*info["missing_keys"], *info["mismatched_keys"]}
        if fresh:
            warnings.warn(
                f"{cls.__name__}: {', '.join(sorted(fresh))} are not in {folder} and start anew: train "
                "them before use",
                stacklevel=2,
            )
        model._draw(fresh)
        model.load_state_dict(given, strict=False)
        kind = dtype if dtype is not None else torch_dtype
        if kind is not None and kind != "auto":
            model.to(getattr(dtypes, kind) if isinstance(kind, str) else kind)
        model.eval()
        if load_in_8bit:
            model.quantize_int8()
        return (model, info) if output_loading_info else model

    def quantize_int8(self) -> "PreTrainedModel":
        """Turn the matrices into 8 bits, in place: smaller, faster to generate, not to be trained.

        See int8.py for what that is.
        """
        return quantize_int8(self)

    def _draw(self, names: set[str]) -> None:
        """Draw the weights of all modules that have one of these."""
        for place, module in self.named_modules():
            own = {f"{place}.{name}" if place else name for name in module._parameters}
            if own & names:
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
                self._init_weights(module)
        self.tie_weights()

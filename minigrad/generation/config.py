"""GenerationConfig: how texts are generated, as a folder's generation_config.json has it."""

import copy
import json
from pathlib import Path

from ..files import atomic, read_json_object

FILE = "generation_config.json"

# what counts where neither the caller nor the model says anything
DEFAULTS: dict = {
    "max_length": 20,
    "min_length": 0,
    "do_sample": False,
    "use_cache": True,
    "early_stopping": False,
    "num_beams": 1,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "typical_p": 1.0,
    "repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "encoder_repetition_penalty": 1.0,
    "num_return_sequences": 1,
    "output_scores": False,
    "return_dict_in_generate": False,
    "remove_invalid_values": False,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
}

NAMES = (
    *DEFAULTS,
    "max_new_tokens",
    "min_new_tokens",
    "max_time",
    "stop_strings",
    "min_p",
    "bad_words_ids",
    "sequence_bias",
    "renormalize_logits",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "exponential_decay_length_penalty",
    "suppress_tokens",
    "begin_suppress_tokens",
    "output_attentions",
    "output_hidden_states",
    "output_logits",
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "decoder_start_token_id",
)

# ways of transformers that are not built here, with the values that ask for nothing
NOT_HERE: dict = {
    "assistant_early_exit": (None,),
    "cache_implementation": (None, "dynamic"),
    "constraints": (None,),
    "diversity_penalty": (None, 0.0),
    "dola_layers": (None,),
    "force_words_ids": (None,),
    "guidance_scale": (None, 1.0),
    "num_beam_groups": (None, 1),
    "penalty_alpha": (None, 0.0),
    "prefill_chunk_size": (None,),
    "prompt_lookup_num_tokens": (None,),
    "token_healing": (None, False),
    "top_h": (None,),
    "use_mtp": (None, False),
    "watermarking_config": (None,),
}

OUTPUTS = ("output_scores", "output_logits", "output_attentions", "output_hidden_states")


class GenerationConfig:
    """How texts are generated; a value is None where nothing is said of it. See docs/generation.md.

    Values of other names are kept, and written back. Raises ValueError for values that contradict
    each other or that no value can be.
    """

    def __init__(self, **values):
        for name in NAMES:
            setattr(self, name, None)
        for name, value in values.items():
            setattr(self, name, value)
        self.validate()

    @classmethod
    def from_model_config(cls, config) -> "GenerationConfig":
        """What a model's own configuration says: its special tokens, and what old files keep there."""
        values = config.to_dict()
        known = {n: values[n] for n in NAMES if values.get(n) is not None}
        if any(known.get(name) for name in OUTPUTS):
            known["return_dict_in_generate"] = True
        return cls(**known)

    @classmethod
    def from_pretrained(cls, folder, **changes) -> "GenerationConfig":
        """Read generation_config.json of a folder; changes replace what it says.

        Raises FileNotFoundError without one, ValueError for one that is no JSON object.
        """
        path = Path(folder) / FILE
        if not path.is_file():
            raise FileNotFoundError(f"there is no {path}: from_pretrained reads a local folder")
        return cls(**(read_json_object(path) | changes))

    def save_pretrained(self, folder) -> None:
        """Write generation_config.json into a folder: the values that say something."""
        self.validate()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic(folder / FILE, "w") as file:
            file.write(self.to_json_string())

    def to_dict(self) -> dict:
        """All values, those that are None too."""
        return copy.deepcopy(vars(self))

    def to_diff_dict(self) -> dict:
        """The values that say something."""
        return {name: value for name, value in self.to_dict().items() if value is not None}

    def to_json_string(self) -> str:
        """The values that say something, as JSON, by name."""
        return json.dumps(self.to_diff_dict(), indent=2, sort_keys=True) + "\n"

    def update(self, **values) -> dict:
        """Set the values whose names are known; those of other names are given back."""
        rest = {}
        for name, value in values.items():
            if name in NAMES or name in NOT_HERE or name in vars(self):
                setattr(self, name, value)
            else:
                rest[name] = value
        self.validate()
        return rest

    def fill(self, values: dict) -> None:
        """Take these values where nothing is said."""
        for name, value in values.items():
            if getattr(self, name, None) is None:
                setattr(self, name, copy.deepcopy(value))

    @property
    def eos_token_ids(self) -> list[int]:
        """The tokens that end a text, none or several."""
        eos = self.eos_token_id
        return [] if eos is None else [eos] if isinstance(eos, int) else list(eos)

    def __eq__(self, other) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    __hash__ = None

    def __repr__(self) -> str:
        return f"GenerationConfig {self.to_json_string()}"

    # -- checks ----------------------------------------------------------------------------------

    def validate(self) -> None:
        """ValueError for what can't be."""
        for name, (holds, meaning) in _RULES.items():
            value = getattr(self, name)
            if value is not None and not holds(value):
                raise ValueError(f"GenerationConfig: {name} must be {meaning}, not {value!r}")
        for name, harmless in NOT_HERE.items():
            value = getattr(self, name, None)
            if value not in harmless:
                raise ValueError(
                    f"GenerationConfig: {name}={value!r} is not built here; leave it out"
                )
        self._check_sequences()
        self._check_forced()

    def _check_sequences(self):
        wanted, beams = self.num_return_sequences or 1, self.num_beams or 1
        if wanted > 1 and beams == 1 and not self.do_sample:
            raise ValueError(
                f"GenerationConfig: num_return_sequences={wanted} needs do_sample=True or num_beams: "
                "greedy search finds one text"
            )
        if beams > 1 and wanted > beams:
            raise ValueError(
                f"GenerationConfig: num_return_sequences={wanted} is more than num_beams={beams}"
            )

    def _check_forced(self):
        hidden = set(self.suppress_tokens or ())
        for name in ("forced_bos_token_id", "forced_eos_token_id"):
            forced = getattr(self, name)
            forced = (
                set() if forced is None else {forced} if isinstance(forced, int) else set(forced)
            )
            if forced and forced <= hidden:
                raise ValueError(
                    f"GenerationConfig: {name} forces {sorted(forced)}, which suppress_tokens forbids"
                )


def _whole(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_POSITIVE = (lambda v: _whole(v) and v > 0, "a whole number above 0")
_COUNT = (lambda v: _whole(v) and v >= 0, "a whole number from 0 on")
_FACTOR = (lambda v: _number(v) and v > 0, "a number above 0")
_SHARE = (lambda v: _number(v) and 0 <= v <= 1, "a number from 0 to 1")

_RULES = {
    "max_length": _POSITIVE,
    "max_new_tokens": _POSITIVE,
    "min_length": _COUNT,
    "min_new_tokens": _COUNT,
    "max_time": (lambda v: _number(v) and v >= 0, "a number of seconds"),
    "early_stopping": (lambda v: v in (True, False) or v == "never", 'True, False or "never"'),
    "num_beams": _POSITIVE,
    "num_return_sequences": _POSITIVE,
    "temperature": (
        lambda v: _number(v) and v > 0,
        "a number above 0 (do_sample=False takes the likeliest token)",
    ),
    "top_k": (lambda v: _whole(v) and v >= 0, "a whole number, 0 for all tokens"),
    "top_p": _SHARE,
    "min_p": _SHARE,
    "typical_p": _SHARE,
    "epsilon_cutoff": _SHARE,
    "eta_cutoff": _SHARE,
    "repetition_penalty": _FACTOR,
    "encoder_repetition_penalty": _FACTOR,
    "length_penalty": (_number, "a number"),
    "no_repeat_ngram_size": _COUNT,
    "encoder_no_repeat_ngram_size": _COUNT,
}

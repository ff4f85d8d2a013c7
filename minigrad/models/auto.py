"""Auto classes: the class that a folder's config.json asks for, by its model_type."""

from types import ModuleType

from ..pretrained import PretrainedConfig
from ..pretrained.config import read_config
from . import albert, bart, bert, distilbert, gpt2, llama, marian, pegasus, roberta, t5

# model_type: (the family's file, how its classes' names begin)
FAMILIES: dict[str, tuple[ModuleType, str]] = {
    "albert": (albert, "Albert"),
    "bart": (bart, "Bart"),
    "bert": (bert, "Bert"),
    "distilbert": (distilbert, "DistilBert"),
    "gpt2": (gpt2, "GPT2"),
    "llama": (llama, "Llama"),
    "marian": (marian, "Marian"),
    "pegasus": (pegasus, "Pegasus"),
    "roberta": (roberta, "Roberta"),
    "t5": (t5, "T5"),
}


def family(model_type: str | None) -> tuple[ModuleType, str]:
    """The file and prefix of a family; ValueError, naming all, for an unknown one."""
    if model_type not in FAMILIES:
        raise ValueError(
            f"there is no model_type {model_type!r} here; there are: {', '.join(FAMILIES)}"
        )
    return FAMILIES[model_type]


class AutoConfig:
    """A family's configuration, without its name."""

    @staticmethod
    def from_pretrained(folder, *, gguf_file: str | None = None, **changes) -> PretrainedConfig:
        """The configuration in a folder's config.json, of whichever family; changes replace values.

        gguf_file: the folder's GGUF file to read instead.
        """
        values = read_config(folder, gguf_file)
        return AutoConfig.for_model(values.pop("model_type", None), **(values | changes))

    @staticmethod
    def for_model(model_type: str, **values) -> PretrainedConfig:
        """A new configuration of a family."""
        module, prefix = family(model_type)
        return getattr(module, f"{prefix}Config")(**values)


class _Auto:
    """A kind of model for whichever family; `endings`: how its class's name may end, the best first."""

    endings: tuple[str, ...] = ()

    def __init__(self):
        raise TypeError(
            f"{type(self).__name__} makes no object of its own: use from_pretrained(folder) or "
            "from_config(config)"
        )

    @classmethod
    def class_for(cls, config: PretrainedConfig) -> type:
        """The class of this kind for a configuration's family."""
        module, prefix = family(config.model_type)
        for ending in cls.endings:
            if hasattr(module, prefix + ending):
                return getattr(module, prefix + ending)
        raise ValueError(f"{config.model_type} models have no {prefix}{cls.endings[0]}")

    @classmethod
    def from_pretrained(cls, folder, config: PretrainedConfig | None = None, **options):
        """The model of a folder; options as for PreTrainedModel.from_pretrained."""
        chosen = config or AutoConfig.from_pretrained(folder, gguf_file=options.get("gguf_file"))
        return cls.class_for(chosen).from_pretrained(folder, config, **options)

    @classmethod
    def from_config(cls, config: PretrainedConfig):
        """A new model, its weights drawn."""
        return cls.class_for(config)(config)


class AutoModel(_Auto):
    """The model without a head."""

    endings = ("Model",)


class AutoModelForPreTraining(_Auto):
    """With the heads of its pretraining: those of BERT and ALBERT, or masked words alone."""

    endings = ("ForPreTraining", "ForMaskedLM")


class AutoModelForMaskedLM(_Auto):
    """Which word is masked."""

    endings = ("ForMaskedLM",)


class AutoModelForSequenceClassification(_Auto):
    """A text's class."""

    endings = ("ForSequenceClassification",)


class AutoModelForTokenClassification(_Auto):
    """Every token's class."""

    endings = ("ForTokenClassification",)


class AutoModelForQuestionAnswering(_Auto):
    """Where an answer begins and ends."""

    endings = ("ForQuestionAnswering",)


class AutoModelForMultipleChoice(_Auto):
    """The best of several texts."""

    endings = ("ForMultipleChoice",)


class AutoModelForNextSentencePrediction(_Auto):
    """Whether the second text follows the first."""

    endings = ("ForNextSentencePrediction",)


class AutoModelForCausalLM(_Auto):
    """Which token comes next."""

    endings = ("ForCausalLM", "LMHeadModel")


class AutoModelForSeq2SeqLM(_Auto):
    """Which text a text becomes."""

    endings = ("ForConditionalGeneration", "MTModel")

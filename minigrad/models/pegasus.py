"""Pegasus: an encoder-decoder for summaries, trained to write the sentences that a text lacks.

Zhang, Zhao, Saleh and Liu 2020, "PEGASUS: Pre-training with Extracted Gap-sentences for Abstractive
Summarization" (ICML). Unlike BART it has norms before each sublayer and one at the end of each side,
and sines as positions. The pretraining's texts are made by pretrained/gap_sentences.py.
"""

from .encoder_decoder import EncoderDecoderModel, ForConditionalGeneration
from .encoder_decoder_sides import EncoderDecoderConfig, EncoderDecoderPreTrained


class PegasusConfig(EncoderDecoderConfig):
    """Sizes and options; the defaults are those of transformers, those of pegasus-large are in its file."""

    model_type = "pegasus"
    pre_norm = True
    learned_positions = False
    normed_embeddings = False
    scale_target_vectors = True

    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | None = 1
    decoder_start_token_id: int | None = 0
    forced_eos_token_id: int | None = 1


class PegasusPreTrainedModel(EncoderDecoderPreTrained):
    """What all of Pegasus's models share."""

    config_class = PegasusConfig


class PegasusModel(PegasusPreTrainedModel, EncoderDecoderModel):
    """The model without a head (see EncoderDecoderModel)."""


class PegasusForConditionalGeneration(PegasusPreTrainedModel, ForConditionalGeneration):
    """The next word of a summary (see ForConditionalGeneration)."""

    model_class = PegasusModel

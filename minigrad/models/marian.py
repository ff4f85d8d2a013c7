"""Marian: the encoder-decoder of the translation models that Marian trained, one pair of languages each.

Junczys-Dowmunt et al. 2018, "Marian: Fast Neural Machine Translation in C++" (ACL, demonstrations). The
Transformer of 2017 as its paper has it: norms behind each sublayer, sines as positions, word vectors
times sqrt(H); each word has a bias before the softmax (final_logits_bias).

Both languages may have one table of word vectors, or a vocabulary each:
share_encoder_decoder_embeddings=False, vocab_size of the source and decoder_vocab_size of the target.
"""

from .encoder_decoder import EncoderDecoderModel, ForConditionalGeneration
from .encoder_decoder_sides import EncoderDecoderConfig, EncoderDecoderPreTrained


class MarianConfig(EncoderDecoderConfig):
    """Sizes and options; the defaults are those of transformers, a translation model's are in its file."""

    model_type = "marian"
    learned_positions = False
    normed_embeddings = False
    scale_target_vectors = True

    vocab_size: int = 58101
    decoder_vocab_size: int | None = None
    share_encoder_decoder_embeddings: bool = True
    pad_token_id: int | None = 58100
    bos_token_id: int | None = None
    eos_token_id: int | None = 0
    decoder_start_token_id: int | None = 58100
    forced_eos_token_id: int | None = 0

    def __init__(self, **values):
        super().__init__(**values)
        if self.decoder_vocab_size is None:
            self.decoder_vocab_size = self.vocab_size

    def check(self) -> None:
        """ValueError for one table that is to have two sizes."""
        super().check()
        if self.share_encoder_decoder_embeddings and self.decoder_vocab_size != self.vocab_size:
            raise ValueError(
                f"{type(self).__name__}: vocab_size {self.vocab_size} and decoder_vocab_size "
                f"{self.decoder_vocab_size} are of one table: make them equal, or pass "
                "share_encoder_decoder_embeddings=False"
            )


class MarianPreTrainedModel(EncoderDecoderPreTrained):
    """What all of Marian's models share."""

    config_class = MarianConfig


class MarianModel(MarianPreTrainedModel, EncoderDecoderModel):
    """The model without a head (see EncoderDecoderModel), with one table of word vectors or two."""


class MarianMTModel(MarianPreTrainedModel, ForConditionalGeneration):
    """The next word of a translation (see ForConditionalGeneration)."""

    model_class = MarianModel

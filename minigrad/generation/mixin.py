"""GenerationMixin: generate, for every model that tells the next token.

    model.generate(ids, max_new_tokens=20)                        # the likeliest token each time
    model.generate(ids, do_sample=True, top_p=0.9)                # one drawn
    model.generate(ids, num_beams=4, length_penalty=2.0)          # the likeliest text of beams

B texts, T tokens of the prompt, R = B times num_return_sequences texts given back, S their length.
"""

from pathlib import Path

import minigrad as torch
import minigrad.nn.functional as F

from . import checks, outputs, prompts
from .beam import beam_search
from .build import build_criteria, build_processors
from .config import FILE, GenerationConfig
from .reader import Reader
from .search import Record, search

# which mask says where the decoder's own ids are padding
MASK = {False: "attention_mask", True: "decoder_attention_mask"}


class GenerationMixin:
    """To be inherited before a family's base: `class GPT2LMHeadModel(GenerationMixin, ...)`.

    generation_config: what counts where a call of generate says nothing.
    """

    def __init__(self, config, *args, **options):
        super().__init__(config, *args, **options)
        self.generation_config = GenerationConfig.from_model_config(config)

    # -- folders ---------------------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, folder, *args, **options):
        """As PreTrainedModel.from_pretrained; generation_config.json is read too where it is there."""
        found = super().from_pretrained(folder, *args, **options)
        model = found[0] if isinstance(found, tuple) else found
        if (Path(folder) / FILE).is_file():
            model.generation_config = GenerationConfig.from_pretrained(folder)
        return found

    def save_pretrained(self, folder, *args, **options) -> None:
        """As PreTrainedModel.save_pretrained, and generation_config.json."""
        super().save_pretrained(folder, *args, **options)
        self.generation_config.save_pretrained(folder)

    # -- generate --------------------------------------------------------------------------------

    @torch.no_grad()
    def generate(
        self,
        inputs=None,
        generation_config: GenerationConfig | None = None,
        logits_processor=None,
        stopping_criteria=None,
        prefix_allowed_tokens_fn=None,
        streamer=None,
        tokenizer=None,
        **kwargs,
    ):
        """ids (R, S) of the texts that go on from inputs (B, T), the prompts included.

        A decoder's prompts are padded on the left, with attention_mask (B, T). An encoder-decoder
        reads inputs once; its texts begin with decoder_start_token_id, or with decoder_input_ids.
        kwargs: values of GenerationConfig, which replace those of generation_config, those of
        self.generation_config and the defaults, in this order; attention_mask, past_key_values,
        encoder_outputs, decoder_input_ids, decoder_attention_mask.
        logits_processor, stopping_criteria: more of them (processors.py, stopping.py). streamer:
        gets the prompt's ids, then every token (streamers.py). tokenizer: for stop_strings.
        With return_dict_in_generate=True an output of outputs.py. Gradients are not recorded;
        dropout is as the model's mode has it: call eval() first.
        Raises ValueError for empty prompts, tokens that the vocabulary hasn't, more tokens than
        positions, values that contradict each other; before anything is computed.
        """
        config, given, chosen = prompts.settle(self, generation_config, kwargs)
        is_pair = checks.is_pair(self)
        source = prompts.first_ids(self, inputs, given, config)
        self._check_streamer(streamer, source, config)
        if is_pair:
            ids, given = prompts.pair_inputs(self, source, given, config)
        else:
            ids, given = source, prompts.decoder_inputs(self, source, given, config)
        prompts.settle_length(self, config, ids.shape[1], chosen)
        checks.check_lengths(self, config, source, ids, chosen)
        repeats = max(config.num_beams, config.num_return_sequences)
        processors = build_processors(
            config, ids.shape[1], source, given.get(MASK[is_pair]), repeats, logits_processor,
            prefix_allowed_tokens_fn,
        )  # fmt: skip
        criteria = build_criteria(config, stopping_criteria, tokenizer)

        if is_pair:
            given = prompts.encoded(self, source, given, config)
        reader = Reader(self, given, config, repeats)
        record = Record(config, is_pair)
        plain = not (logits_processor or stopping_criteria or prefix_allowed_tokens_fn)
        options = {
            "pad": prompts.padding(config),
            "drop": plain and not config.return_dict_in_generate,
        }
        if config.num_beams > 1:
            found = beam_search(reader, ids, processors, criteria, config, record, **options)
        else:
            options["streamer"] = streamer
            found = search(reader, ids, processors, criteria, config, record, **options)
        if not config.return_dict_in_generate:
            return found["sequences"]
        return outputs.collect(found, record, reader, config)

    def _check_streamer(self, streamer, source, config):
        if streamer is None:
            return
        if config.num_beams > 1:
            raise ValueError(
                "generate: a streamer can't go with num_beams: a beam's tokens change until its end"
            )
        texts = config.num_return_sequences * (1 if source is None else len(source))
        if texts > 1:
            raise ValueError(f"generate: a streamer takes one text at a time, not {texts}")

    def prepare_inputs_for_generation(
        self, input_ids, past_key_values=None, attention_mask=None, use_cache=True, **inputs
    ) -> dict:
        """What forward is given for ids (R, S), of which the cache has the first already.

        Texts padded on the left count their places from the first real token.
        """
        past = 0 if past_key_values is None else past_key_values.get_seq_length()
        new = input_ids[:, past:]
        given = {"past_key_values": past_key_values, "use_cache": use_cache, **inputs}
        if checks.is_pair(self):
            return given | {"decoder_input_ids": new, "attention_mask": attention_mask}
        given["input_ids"] = new
        if attention_mask is not None:
            given["attention_mask"] = attention_mask
            if checks.takes(self, "position_ids"):
                real = (attention_mask != 0).long()
                given["position_ids"] = ((real.cumsum(1) - 1) * real)[:, past:]
        return given

    def compute_transition_scores(
        self, sequences, scores, beam_indices=None, normalize_logits: bool = False
    ):
        """The score of every generated token, (R, S - T), from what generate gave back.

        sequences (R, S); scores: a tuple of (rows, V) a token; beam_indices of a beam search.
        normalize_logits: log probabilities, log_softmax(scores), in place of scores.
        Tokens after a beam's end have 0.
        """
        steps = torch.stack(tuple(scores))  # (n, rows, V)
        if normalize_logits:
            steps = F.log_softmax(steps, dim=-1)
        if beam_indices is None:
            rows = torch.arange(steps.shape[1], device=steps.device)
            beam_indices = rows[:, None].expand(-1, len(steps))
        length = int((beam_indices >= 0).sum(1).max())
        rows = beam_indices[:, :length]  # (R, n)
        tokens = sequences[:, sequences.shape[1] - length :]
        order = torch.arange(length, device=steps.device)
        found = steps[order, rows.clamp(min=0).long(), tokens]
        return found.masked_fill(rows < 0, 0.0)

"""Reader: a model that reads on, token by token, and tells the scores of the next.

R rows (texts, or beams of texts), S tokens so far, V vocabulary.
"""

import minigrad as torch

from .cache import EncoderDecoderCache
from .checks import is_pair


def repeat_rows(value, repeats: int):
    """Every row `repeats` times, one after the other, in all tensors of a record or tuple."""
    if repeats == 1 or value is None:
        return value
    if isinstance(value, (tuple, list)):
        return tuple(repeat_rows(part, repeats) for part in value)
    return value.repeat_interleave(repeats, 0)


class Reader:
    """What a model has read of R rows: its cache, its masks, what its encoder gave.

    inputs: what forward takes besides the ids. repeats: every text is read once and goes on as so
    many rows.
    """

    def __init__(self, model, inputs: dict, config, repeats: int = 1):
        self.model, self.use_cache, self.repeats = model, config.use_cache, repeats
        self.inputs = dict(inputs)
        self.asked = {name: True for name in ASKED if getattr(config, name)}
        self.cache = self.inputs.pop("past_key_values", None)
        self.is_pair = is_pair(model)
        self.rows = None  # which rows are read on; None for all
        self.total = None  # R
        self.began = False

    def read(self, ids):
        """(scores (R, V) in float32 of the token after ids (R, S), the model's output).

        The first call takes one row a text, and gives `repeats` rows for each. Rows that are no
        longer read have scores of 0.
        """
        if self.rows is not None:
            ids = ids[self.rows]
        given = self.model.prepare_inputs_for_generation(
            ids, past_key_values=self.cache, use_cache=self.use_cache, **self.inputs
        )
        output = self.model(**given, **self.asked, return_dict=True)
        self.cache = output.past_key_values if self.use_cache else None
        self._lengthen_masks()
        logits = output.logits[:, -1].float()
        if not self.began:
            self.began = True
            logits, output = self._repeat(logits, output)
        if self.rows is not None:
            whole = logits.new_zeros(self.total, logits.shape[1])
            whole[self.rows] = logits
            logits = whole
        return logits, output

    def _lengthen_masks(self):
        """The next token is a real one."""
        name = "decoder_attention_mask" if self.is_pair else "attention_mask"
        mask = self.inputs.get(name)
        if mask is not None:
            self.inputs[name] = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)

    def _repeat(self, logits, output):
        if self.repeats == 1:
            return logits, output
        if self.cache is not None:
            self.cache.batch_repeat_interleave(self.repeats)
        self._change_inputs(lambda tensor: tensor.repeat_interleave(self.repeats, 0))
        parts = {n: repeat_rows(output[n], self.repeats) for n in output if n in STATES}
        return repeat_rows(logits, self.repeats), type(output)(**(dict(output) | parts))

    def keep(self, rows, parents, total: int) -> None:
        """Read only `rows` on (int64, of all `total`); each goes on from what its parent has read.

        A row's parent is a row of the same text: what comes from the source stays as it is where
        all rows go on.
        """
        local = parents
        if self.rows is not None:
            place = parents.new_zeros(total)
            place[self.rows] = torch.arange(len(self.rows), device=parents.device)
            local = place[parents]
        count = total if self.rows is None else len(self.rows)
        self.rows, self.total = (None if len(rows) == total else rows), total
        if len(local) < count:
            if self.cache is not None:
                self.cache.batch_select_indices(local)
            self._change_inputs(lambda tensor: tensor.index_select(0, local))
        elif self.cache is not None:
            cache = self.cache
            own = cache.self_attention_cache if isinstance(cache, EncoderDecoderCache) else cache
            own.batch_select_indices(local)

    def _change_inputs(self, change):
        for name, value in self.inputs.items():
            if name == "encoder_outputs":
                first = {"last_hidden_state": change(value.last_hidden_state)}
                self.inputs[name] = type(value)(**(dict(value) | first))
            elif isinstance(value, torch.Tensor) and value.dim() > 0:
                self.inputs[name] = change(value)


ASKED = ("output_attentions", "output_hidden_states")
# what an output has of every row, besides the logits
STATES = (
    "attentions",
    "hidden_states",
    "decoder_attentions",
    "decoder_hidden_states",
    "cross_attentions",
)

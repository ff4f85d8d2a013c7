"""The head that decoders have for a text's class: it looks at the last token, which has read all others."""

import minigrad as torch

from ..nn import Linear
from .heads import Head
from .outputs import SequenceClassifierOutputWithPast, may_return_tuple
from .tasks import classification_loss


class ForLastTokenClassification(Head):
    """A text's class: Linear without a bias of its last token; logits (B, C), labels (B) or (B, C).

    The last token is the rightmost that isn't config.pad_token_id, on whichever side the padding is.
    Of inputs_embeds, which show no padding, it is the last one of all.
    Raises ValueError for several texts where the configuration has no pad_token_id.
    """

    def build(self, config) -> None:
        """Make the classifier."""
        self.score = Linear(config.hidden_size, config.num_labels, bias=False)

    @may_return_tuple
    def forward(self, input_ids=None, *inputs, labels=None, **options):
        given = input_ids if input_ids is not None else options.get("inputs_embeds")
        pad = self.config.pad_token_id
        if given is not None and pad is None and given.shape[0] != 1:
            raise ValueError(
                f"{type(self).__name__}: {given.shape[0]} texts can't be told from their padding: "
                "set config.pad_token_id, or pass one text at a time"
            )
        output = self.base_model(input_ids, *inputs, return_dict=True, **options)
        states = output.last_hidden_state  # (B, T, H)
        if input_ids is None or pad is None:
            last = states[:, -1]
        else:
            places = torch.arange(states.shape[1], device=states.device)
            last = (places * (input_ids != pad)).argmax(-1)
            last = states[torch.arange(states.shape[0], device=states.device), last]
        logits = self.score(last)
        return SequenceClassifierOutputWithPast(
            loss=classification_loss(self.config, logits, labels),
            logits=logits,
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

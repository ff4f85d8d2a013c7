"""A class for a sentence, from the mean of its tokens' states: for encoders trained as Sentence-BERT is.

Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks" (EMNLP).
Their encoders say a sentence by that mean; the usual head reads the first token's state through a
pooler, which such an encoder was never trained to write.

B sentences, T tokens, H hidden size, C classes.
"""

from ..pretrained import (
    ForSequenceClassification,
    SequenceClassifierOutput,
    classification_loss,
    may_return_tuple,
)
from .bert import BertModel, BertPreTrainedModel
from .sentence_bert import pool


class BertForSentenceClassification(ForSequenceClassification, BertPreTrainedModel):
    """mean over tokens -> dropout -> Linear: logits (B, C), labels (B) or (B, C).

    Folders are those of BertForSequenceClassification without its pooler.
    """

    encoder_class = BertModel
    pooled = False

    @may_return_tuple
    def forward(self, input_ids=None, attention_mask=None, *inputs, labels=None, **options):
        output = self.bert(input_ids, attention_mask, *inputs, return_dict=True, **options)
        states = output.last_hidden_state
        if attention_mask is None:
            attention_mask = states.new_ones(states.shape[:2])
        logits = self.classifier(self.dropout(pool(states, attention_mask)))
        return SequenceClassifierOutput(
            loss=classification_loss(self.config, logits, labels),
            logits=logits,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

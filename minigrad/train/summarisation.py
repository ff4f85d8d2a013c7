"""Subject lines of mails: a small BART that restores mails first, and then learns their subjects.

    tokenizer = mail_tokenizer(data.train)
    model = new_bart(tokenizer)
    restore_mails(model, tokenizer, data.train, args)         # Lewis et al. 2020, section 2.2
    trainer = subject_trainer(model, tokenizer, data.train, data.valid, args)
    trainer.train()
    rouge(summarise(model, tokenizer, texts), subjects)       # against rouge(leads(texts, 12), ...)

Everything is in small letters, as ROUGE counts it: a word is then the same wherever it stands.
"""

from collections.abc import Sequence
from dataclasses import replace

import minigrad as torch

from ..extra import need
from ..models.bart import BartConfig, BartForConditionalGeneration
from ..pretrained.gap_sentences import stretches
from ..pretrained.infilling import DataCollatorForDenoising
from ..pretrained.seq2seq_collator import DataCollatorForSeq2Seq
from ..pretrained.training_tokenizers import train_tokenizer
from ..text.summaries import Summarised
from .finetuning import Trainer, TrainingArguments

SIZES = dict(
    d_model=128, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
    decoder_attention_heads=4, encoder_ffn_dim=512, decoder_ffn_dim=512,
    max_position_embeddings=128,
)  # fmt: skip
MEASURES = ("rouge1", "rouge2", "rougeL")


def mail_tokenizer(rows: Sequence[Summarised], vocab_size: int = 5000):
    """Byte pairs of the mails and their subjects, in small letters."""
    texts = (f"{row.text}\n{row.summary}".lower() for row in rows)
    return train_tokenizer(texts, "bpe", vocab_size=vocab_size, add_prefix_space=True)


def new_bart(tokenizer, **changes) -> BartForConditionalGeneration:
    """A small BART for a tokenizer's words, its weights drawn."""
    special = dict(
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
    )
    return BartForConditionalGeneration(
        BartConfig(vocab_size=len(tokenizer), **special, **(SIZES | changes))
    )


def encode(rows: Sequence[Summarised], tokenizer, max_source=96, max_target=24) -> list[dict]:
    """The mails as input_ids and their subjects as labels, both cut."""
    sources = tokenizer([row.text.lower() for row in rows], truncation=True, max_length=max_source)
    targets = tokenizer(
        [row.summary.lower() for row in rows], truncation=True, max_length=max_target
    )
    return [
        {"input_ids": source, "labels": target}
        for source, target in zip(sources["input_ids"], targets["input_ids"], strict=True)
    ]


def restore_mails(
    model, tokenizer, rows: Sequence[Summarised], args: TrainingArguments, length: int = 64
) -> Trainer:
    """Train the model to restore stretches of mails: spans are masked, sentences stand in any order."""
    room = length - tokenizer.num_special_tokens_to_add()
    texts = [
        {"sentences": ids}
        for row in rows
        for _, ids in stretches(row.text.lower().split("\n"), tokenizer, room)
        if sum(map(len, ids)) >= room // 4
    ]
    args = replace(args, remove_unused_columns=False)  # sentences are no input of the model
    trainer = Trainer(model, args, DataCollatorForDenoising(tokenizer, seed=args.seed), texts)
    trainer.train()
    return trainer


def subject_trainer(model, tokenizer, train, valid, args: TrainingArguments) -> Trainer:
    """A Trainer for encoded mails and subjects."""
    return Trainer(
        model,
        args,
        DataCollatorForSeq2Seq(tokenizer, model),
        train,
        valid,
        processing_class=tokenizer,
    )


@torch.no_grad()
def summarise(
    model, tokenizer, texts: Sequence[str], max_source=96, batch_size=64, **settings
) -> list[str]:
    """A summary of each text, by beam search unless settings of generate say otherwise."""
    settings = dict(num_beams=4, max_new_tokens=24, no_repeat_ngram_size=2) | settings
    was_training = model.training
    model.eval()
    found: list[str] = []
    for place in range(0, len(texts), batch_size):
        batch = tokenizer(
            [text.lower() for text in texts[place : place + batch_size]], padding=True,
            truncation=True, max_length=max_source, return_tensors="pt",
        )  # fmt: skip
        ids = model.generate(batch.input_ids, attention_mask=batch.attention_mask, **settings)
        found += [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    model.train(was_training)
    return found


def leads(texts: Sequence[str], words: int) -> list[str]:
    """The first words of each text: what a summary must be better than."""
    return [" ".join(text.split()[:words]) for text in texts]


def rouge(summaries: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """The means of ROUGE-1, 2 and L, as F1 in percent, words stemmed (Lin 2004; rouge-score).

    Raises ValueError for lists of different lengths, or empty ones.
    """
    if len(summaries) != len(references) or not summaries:
        raise ValueError(
            f"rouge: {len(summaries)} summaries and {len(references)} references: there must be as "
            "many, and one at least"
        )
    scorer = need("rouge_score.rouge_scorer", extra="models").RougeScorer(
        list(MEASURES), use_stemmer=True
    )
    scores = [scorer.score(r, s) for s, r in zip(summaries, references, strict=True)]
    return {
        name: 100 * sum(score[name].fmeasure for score in scores) / len(scores) for name in MEASURES
    }

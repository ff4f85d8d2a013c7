"""The processors and criteria that a GenerationConfig asks for, in transformers' order."""

from . import filters, processors
from .processors import LogitsProcessorList
from .stopping import (
    EosTokenCriteria,
    MaxLengthCriteria,
    MaxTimeCriteria,
    StoppingCriteriaList,
    StopStringCriteria,
)


def build_processors(config, prompt_length: int, source, mask, repeats: int, extra, allowed):
    """The rules, then the caller's own processors, then the filters where tokens are drawn.

    source (B, n): the prompt's or the encoder's ids. mask (B, T): the prompt's padding, or None.
    repeats: rows a text. extra: the caller's processors. allowed: prefix_allowed_tokens_fn.
    """
    found = LogitsProcessorList()
    found += _repetitions(config, source, mask, repeats)
    found += _tokens(config, prompt_length)
    if allowed is not None:
        found.append(processors.PrefixConstrainedLogitsProcessor(allowed, config.num_beams))
    found += _ends(config, prompt_length)
    found = LogitsProcessorList(_merged(found, extra))
    if config.do_sample:
        found += _filters(config)
    if config.renormalize_logits:
        found.append(processors.LogitNormalization())
    return found


def _repetitions(config, source, mask, repeats):
    for name, harmless in (
        ("encoder_repetition_penalty", 1.0),
        ("encoder_no_repeat_ngram_size", 0),
    ):
        if source is None and getattr(config, name) != harmless:
            raise ValueError(
                f"generate: {name} looks at the source's tokens, and there are encoder_outputs alone: "
                "pass input_ids, too"
            )
    if config.sequence_bias is not None:
        yield processors.SequenceBiasLogitsProcessor(config.sequence_bias)
    if config.encoder_repetition_penalty != 1.0:
        penalty = config.encoder_repetition_penalty
        yield processors.EncoderRepetitionPenaltyLogitsProcessor(penalty, source)
    if config.repetition_penalty != 1.0:
        ignored = None  # the padding on the left
        if mask is not None:
            ignored = (mask != 0).int().argmax(1).repeat_interleave(repeats, 0)
        yield processors.RepetitionPenaltyLogitsProcessor(config.repetition_penalty, ignored)
    if config.no_repeat_ngram_size:
        yield processors.NoRepeatNGramLogitsProcessor(config.no_repeat_ngram_size)
    if config.encoder_no_repeat_ngram_size:
        size = config.encoder_no_repeat_ngram_size
        yield processors.EncoderNoRepeatNGramLogitsProcessor(size, source)


def _tokens(config, prompt_length):
    ends = config.eos_token_ids
    if config.bad_words_ids is not None:
        yield processors.NoBadWordsLogitsProcessor(config.bad_words_ids, ends)
    if config.min_length and ends:
        yield processors.MinLengthLogitsProcessor(config.min_length, ends)
    if config.min_new_tokens and ends:
        yield processors.MinNewTokensLengthLogitsProcessor(
            prompt_length, config.min_new_tokens, ends
        )


def _ends(config, prompt_length):
    if config.forced_bos_token_id is not None:
        yield processors.ForcedBOSTokenLogitsProcessor(config.forced_bos_token_id)
    if config.forced_eos_token_id is not None:
        yield processors.ForcedEOSTokenLogitsProcessor(
            config.max_length, config.forced_eos_token_id
        )
    if config.remove_invalid_values:
        yield processors.InfNanRemoveLogitsProcessor()
    if config.exponential_decay_length_penalty is not None:
        yield processors.ExponentialDecayLengthPenalty(
            config.exponential_decay_length_penalty, config.eos_token_ids, prompt_length
        )
    if config.suppress_tokens is not None:
        yield processors.SuppressTokensLogitsProcessor(config.suppress_tokens)
    if config.begin_suppress_tokens is not None:
        begins = prompt_length
        if prompt_length == 1 and config.forced_bos_token_id is not None:
            begins += 1
        yield processors.SuppressTokensAtBeginLogitsProcessor(config.begin_suppress_tokens, begins)


def _filters(config):
    # beams need one token more than those that end them
    keep = max(2, len(config.eos_token_ids) + 1) if config.num_beams > 1 else 1
    options = {"min_tokens_to_keep": keep}
    if config.temperature != 1.0:
        yield filters.TemperatureLogitsWarper(config.temperature)
    if config.top_k:
        yield filters.TopKLogitsWarper(config.top_k, **options)
    if config.top_p < 1.0:
        yield filters.TopPLogitsWarper(config.top_p, **options)
    if config.min_p is not None:
        yield filters.MinPLogitsWarper(config.min_p, **options)
    if config.typical_p < 1.0:
        yield filters.TypicalLogitsWarper(config.typical_p, **options)
    if 0.0 < config.epsilon_cutoff < 1.0:
        yield filters.EpsilonLogitsWarper(config.epsilon_cutoff, **options)
    if 0.0 < config.eta_cutoff < 1.0:
        yield filters.EtaLogitsWarper(config.eta_cutoff, **options)


def build_criteria(config, extra, tokenizer):
    """When a text ends: by length, time, strings, tokens, and the caller's own criteria."""
    found = StoppingCriteriaList([MaxLengthCriteria(config.max_length)])
    if config.max_time is not None:
        found.append(MaxTimeCriteria(config.max_time))
    if config.stop_strings is not None:
        if tokenizer is None:
            raise ValueError(
                "generate: stop_strings are looked for in the decoded text: pass tokenizer=..., too"
            )
        found.append(StopStringCriteria(tokenizer, config.stop_strings))
    if config.eos_token_ids:
        found.append(EosTokenCriteria(config.eos_token_ids))
    return StoppingCriteriaList(_merged(found, extra))


def _merged(built, extra):
    """The caller's own take the places of those of the same class; the others follow."""
    own = list(extra or ())
    kept = [next((o for o in own if type(o) is type(b)), b) for b in built]
    return kept + [o for o in own if not any(o is k for k in kept)]

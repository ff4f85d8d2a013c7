"""generate against transformers on tiny GPT-2: greedy, drawn, beams; caches, padding, outputs."""

import numpy
import pytest
from generation_checks import check_generate, prompts, run, saved
from pretrained_checks import torch, transformers

import minigrad as mg

transformers.logging.set_verbosity_error()

SIZES = dict(
    vocab_size=50, n_embd=24, n_layer=2, n_head=4, n_positions=40, resid_pdrop=0.0, embd_pdrop=0.0,
    attn_pdrop=0.0, bos_token_id=1, eos_token_id=2, pad_token_id=0,
)  # fmt: skip
IDS, MASK = prompts()
ENDS = [2, 3, 7, 9, 11, 30, 31, 32]  # so many ends that texts end at different lengths


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return saved(
        "GPT2LMHeadModel", transformers.GPT2Config(**SIZES), tmp_path_factory.mktemp("gpt2")
    )


SEARCHES = {
    "greedy": {},
    "sampled": dict(do_sample=True, top_k=0),
    "sampled, cold, of the best": dict(do_sample=True, temperature=0.6, top_k=8, top_p=0.9),
    "three samples": dict(do_sample=True, num_return_sequences=3, min_p=0.05, typical_p=0.8),
    "samples by cutoffs": dict(do_sample=True, epsilon_cutoff=0.01, eta_cutoff=0.02),
    "beams": dict(num_beams=3),
    "beams, short": dict(num_beams=4, length_penalty=-1.0, num_return_sequences=3),
    "beams, long": dict(num_beams=4, length_penalty=2.5, num_return_sequences=4),
    "beams, first ended": dict(num_beams=3, early_stopping=True, num_return_sequences=2),
    "beams to the end": dict(num_beams=3, early_stopping="never", length_penalty=1.5),
    "beams, plain": dict(num_beams=3, early_stopping="never", length_penalty=0.0),
    "beams, sampled": dict(num_beams=3, do_sample=True, top_p=0.9, num_return_sequences=2),
    "no repetition": dict(repetition_penalty=1.6, no_repeat_ngram_size=2),
    "beams without repetition": dict(num_beams=3, no_repeat_ngram_size=2, repetition_penalty=1.3),
    "words of the prompt": dict(encoder_repetition_penalty=1.5, encoder_no_repeat_ngram_size=2),
    "at least": dict(min_new_tokens=6, bad_words_ids=[[4], [20, 21]], suppress_tokens=[8, 9]),
    "at least so long": dict(min_length=12, begin_suppress_tokens=[5, 6, 7], num_beams=2),
    "an end at the limit": dict(forced_eos_token_id=2, sequence_bias=[[[17], 2.0], [[4, 5], -3.0]]),
    "ends sooner": dict(exponential_decay_length_penalty=(2, 1.3), renormalize_logits=True),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_same_ids_as_transformers(search, pair):
    options = dict(max_new_tokens=12) | SEARCHES[search]
    check_generate(*pair, IDS, MASK, **options)
    options["eos_token_id"] = ENDS
    cached = check_generate(*pair, IDS, MASK, **options)
    mg.manual_seed(7)
    inputs = dict(attention_mask=mg.tensor(MASK), use_cache=False)
    assert mg.equal(cached, pair[0].generate(mg.tensor(IDS), **inputs, **options))


def test_random_searches(pair):
    """Many short searches of other prompts, with every mixture of beams and penalties."""
    draw = numpy.random.default_rng(0)
    for number in range(12):
        ids, mask = prompts(length=int(draw.integers(3, 9)))
        options = dict(
            num_beams=int(draw.integers(1, 5)),
            do_sample=bool(draw.integers(0, 2)),
            length_penalty=float(draw.choice([-2.0, 0.0, 0.7, 1.0, 3.0])),
            early_stopping=[False, True, "never"][draw.integers(0, 3)],
            eos_token_id=[2, ENDS][draw.integers(0, 2)],
            max_new_tokens=int(draw.integers(1, 12)),
            pad_token_id=int(draw.choice([0, 4])),
        )
        options["num_return_sequences"] = options["num_beams"]
        check_generate(*pair, ids, mask, seed=number, **options)


def test_texts_padded_on_the_left_are_as_alone(pair):
    ours, _ = pair
    for options in ({}, dict(num_beams=3), dict(num_beams=3, eos_token_id=ENDS)):
        whole = ours.generate(
            mg.tensor(IDS), attention_mask=mg.tensor(MASK), max_new_tokens=10, **options
        )
        for row, keep in enumerate(MASK.sum(1)):
            alone = ours.generate(
                mg.tensor(IDS[row : row + 1, -keep:]), max_new_tokens=10, **options
            )
            new = alone[0, keep:]
            assert whole[row, 7 : 7 + len(new)].tolist() == new.tolist()


def test_masks_are_found_from_padding(pair):
    ours, _ = pair
    found = check_generate(*pair, IDS, max_new_tokens=5)
    with_mask = ours.generate(mg.tensor(IDS), attention_mask=mg.tensor(MASK), max_new_tokens=5)
    assert mg.equal(found, with_mask)
    check_generate(*pair, IDS, max_new_tokens=5, eos_token_id=[2, 0])  # 0 ends texts: no padding
    check_generate(*pair, IDS, max_new_tokens=5, pad_token_id=int(IDS[0, 3]))


@pytest.mark.parametrize("options", [{}, dict(do_sample=True, num_return_sequences=2)])
def test_outputs_of_searches(options, pair):
    everything = dict(
        return_dict_in_generate=True, output_scores=True, output_logits=True,
        output_attentions=True, output_hidden_states=True,
    )  # fmt: skip
    options = dict(max_new_tokens=9, eos_token_id=ENDS) | options
    found, expected = run(*pair, IDS, MASK, **everything, **options)
    assert type(found).__name__ == type(expected).__name__
    assert list(found) == [name for name in expected if expected[name] is not None]
    numpy.testing.assert_array_equal(found.sequences.numpy(), expected.sequences.numpy())
    rows, length = found.sequences.shape
    assert found.past_key_values.get_seq_length() == length - 1
    assert found.past_key_values.layers[0].keys.shape[0] == rows
    for name in ("scores", "logits"):
        pairs = zip(found[name], expected[name], strict=True)
        for a, b in pairs:
            numpy.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=2e-5)
    for name in ("attentions", "hidden_states"):
        for a, b in zip(found[name], expected[name], strict=True):
            assert [x.shape for x in a] == [tuple(x.shape) for x in b]
            numpy.testing.assert_allclose(a[-1].numpy()[0], b[-1].numpy()[0], rtol=1e-3, atol=1e-4)
    for normal in (False, True):
        ours = pair[0].compute_transition_scores(found.sequences, found.scores, None, normal)
        theirs = pair[1].compute_transition_scores(
            expected.sequences, expected.scores, normalize_logits=normal
        )
        numpy.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=2e-5)


def test_outputs_of_beams(pair):
    options = dict(
        num_beams=4, num_return_sequences=3, max_new_tokens=9, eos_token_id=ENDS,
        return_dict_in_generate=True, output_scores=True, output_hidden_states=True,
    )  # fmt: skip
    found, expected = run(*pair, IDS, MASK, **options)
    assert type(found).__name__ == type(expected).__name__
    assert list(found) == [name for name in expected if expected[name] is not None]
    numpy.testing.assert_array_equal(found.sequences.numpy(), expected.sequences.numpy())
    numpy.testing.assert_array_equal(found.beam_indices.numpy(), expected.beam_indices.numpy())
    numpy.testing.assert_allclose(
        found.sequences_scores.numpy(), expected.sequences_scores.numpy(), rtol=1e-5, atol=1e-5
    )
    assert [x.shape for x in found.hidden_states[0]] == [
        tuple(x.shape) for x in expected.hidden_states[0]
    ]
    ours = pair[0].compute_transition_scores(found.sequences, found.scores, found.beam_indices)
    theirs = pair[1].compute_transition_scores(
        expected.sequences, expected.scores, expected.beam_indices
    )
    numpy.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-4, atol=2e-5)
    # the score of a text is the sum of its tokens', by its length
    lengths = (found.beam_indices >= 0).sum(1)
    mg.testing.assert_close(ours.sum(1) / lengths, found.sequences_scores, rtol=1e-4, atol=1e-5)


def test_going_on_from_a_cache(pair):
    """What was read before is not read again: the second part of a talk, say."""
    ours, model = pair
    ids = IDS[:1]
    first = ours.generate(mg.tensor(ids), max_new_tokens=5, return_dict_in_generate=True)
    more = mg.cat([first.sequences, mg.tensor([[8, 9, 10]])], dim=1)
    whole = ours.generate(more, max_new_tokens=6)
    cache = first.past_key_values
    assert cache.get_seq_length() == 11
    assert mg.equal(ours.generate(more, past_key_values=cache, max_new_tokens=6), whole)
    expected = model.generate(torch.tensor(more.numpy()), max_new_tokens=6)
    numpy.testing.assert_array_equal(whole.numpy(), expected.numpy())
    with pytest.raises(
        ValueError, match="past_key_values has 20 tokens and input_ids 15: input_ids"
    ):
        ours.generate(more, past_key_values=cache, max_new_tokens=6)


def test_rows_that_ended_are_not_read(pair):
    """A row is read until it ends, then no more; the others don't notice."""
    ours, _ = pair
    seen = []
    inner = ours.transformer.forward

    def counted(ids, *rest, **options):
        seen.append(ids.shape)
        return inner(ids, *rest, **options)

    options = dict(attention_mask=mg.tensor(MASK), max_new_tokens=14)
    free = ours.generate(mg.tensor(IDS), **options, eos_token_id=None)
    ends = [free[0, 8].item(), free[1, 11].item()]
    options["eos_token_id"] = ends
    expected = ours.generate(mg.tensor(IDS), **options, return_dict_in_generate=True).sequences
    ours.transformer.forward = counted
    try:
        found = ours.generate(mg.tensor(IDS), **options)
        ends_of_beams = [2, 4, 5, 16, 21, 25, 27, 32, 34, 40, 49]
        options |= dict(num_beams=3, eos_token_id=ends_of_beams, early_stopping=True)
        beams = ours.generate(mg.tensor(IDS), **options)
    finally:
        del ours.transformer.forward
    assert mg.equal(found, expected)
    new = found[:, 7:].tolist()
    lengths = [7 + next((i for i, t in enumerate(row, 1) if t in ends), len(row)) for row in new]
    assert len(set(lengths)) > 1 and max(lengths) == found.shape[1]
    steps = found.shape[1] - 7
    assert seen[0] == (3, 7)  # prompts are read once, whatever they become
    assert [rows for rows, _ in seen[1:steps]] == [
        sum(length > 7 + step for length in lengths) for step in range(1, steps)
    ]
    assert seen[steps] == (3, 7) and seen[steps + 1] == (9, 1) and seen[-1][0] < 9
    kept = ours.generate(mg.tensor(IDS), **options, return_dict_in_generate=True)
    assert mg.equal(beams, kept.sequences)


def test_own_processors_and_criteria(pair):
    ours, model = pair

    def only_even(xp):
        return lambda ids, scores: scores.masked_fill(xp.arange(scores.shape[1]) % 2 == 1, -1e9)

    def twelve(xp):
        return lambda ids, scores, **options: xp.full((len(ids),), ids.shape[1] >= 12)

    options = dict(max_new_tokens=20)
    for beams in (1, 3):
        options["num_beams"] = beams
        found = ours.generate(
            mg.tensor(IDS),
            logits_processor=[only_even(mg)],
            stopping_criteria=[twelve(mg)],
            **options,
        )
        expected = model.generate(
            torch.tensor(IDS),
            logits_processor=transformers.LogitsProcessorList([only_even(torch)]),
            stopping_criteria=transformers.StoppingCriteriaList([twelve(torch)]),
            **options,
        )
        numpy.testing.assert_array_equal(found.numpy(), expected.numpy())
        assert (found[:, 7:] % 2 == 0).all() and found.shape[1] <= 12
    allowed = {"prefix_allowed_tokens_fn": lambda text, ids: [4 + text, 20, 2]}
    for beams in (1, 2):
        check_generate(*pair, IDS, MASK, max_new_tokens=6, num_beams=beams, **allowed)
    # an own one takes the place of that which repetition_penalty asks for
    own = mg.generation.RepetitionPenaltyLogitsProcessor(3.0)
    ids = mg.tensor(IDS[:1])
    found = ours.generate(ids, repetition_penalty=0.5, logits_processor=[own], max_new_tokens=8)
    assert mg.equal(found, ours.generate(ids, repetition_penalty=3.0, max_new_tokens=8))
    assert not mg.equal(found, ours.generate(ids, repetition_penalty=0.5, max_new_tokens=8))


# -- settings, folders, what bad calls are told ----------------------------------------------------


def test_settings_count_in_order(pair, tmp_path):
    ours, _ = pair
    ids = mg.tensor(IDS[:1])
    before = ours.generation_config
    try:
        ours.generation_config = mg.generation.GenerationConfig(max_new_tokens=4, eos_token_id=2)
        assert ours.generate(ids).shape == (1, 11)
        given = mg.generation.GenerationConfig(max_new_tokens=3)
        assert ours.generate(ids, given).shape == (1, 10)
        assert ours.generate(ids, given, max_new_tokens=2).shape == (1, 9)
        assert given.max_new_tokens == 3 and given.eos_token_id is None
        ours.save_pretrained(tmp_path)
        again = type(ours).from_pretrained(tmp_path)
        assert again.generation_config == ours.generation_config
        known = transformers.GenerationConfig.from_pretrained(tmp_path)
        assert known.max_new_tokens == 4 and known.eos_token_id == 2
    finally:
        ours.generation_config = before
    with pytest.warns(UserWarning, match="at most 20 new tokens, as nothing was said"):
        assert ours.generate(ids, eos_token_id=49).shape[1] <= 27
    with pytest.warns(UserWarning, match="at most 5 new tokens"):
        assert ours.generate(mg.ones(1, 35, dtype=mg.int64), eos_token_id=49).shape[1] <= 40
    assert ours.generate(ids, max_length=9).shape == (1, 9)
    assert ours.generate(max_new_tokens=2)[0, 0] == 1  # from the beginning of a text
    with pytest.warns(UserWarning, match="at least 15 tokens are asked for and at most 9"):
        ours.generate(ids, max_length=9, min_length=15)


def test_texts_padded_on_the_right(pair):
    ours, _ = pair
    ids, mask = prompts(left=False)
    for given in ({"attention_mask": mg.tensor(mask)}, {}):
        with pytest.warns(UserWarning, match="padded on the right, .* set padding_side='left'"):
            ours.generate(mg.tensor(ids), max_new_tokens=2, **given)


def test_bad_calls(pair):
    ours, _ = pair
    ids = mg.tensor(IDS)

    def told(message, *args, error=ValueError, **options):
        with pytest.raises(error, match=message):
            ours.generate(*args, **{"max_new_tokens": 3} | options)

    told("the prompt is empty: input_ids of shape .1, 0.", mg.empty(1, 0, dtype=mg.int64))
    told("41 tokens of the prompt are more than the 40 pos", mg.ones(1, 41, dtype=mg.int64))
    told("7 tokens of input_ids and 34 new ones .* 33 are left", ids, max_new_tokens=34)
    told("7 tokens of input_ids and 43 new ones", ids, max_new_tokens=None, max_length=50)
    told("input_ids has 7 tokens and max_length is 6", ids, max_new_tokens=None, max_length=6)
    told("has token 50; the vocabulary has those from 0 to 49", mg.tensor([[1, 50]]))
    told("has token -1; the vocabulary", mg.tensor([[1, -1]]))
    told(r"must be whole numbers \(B, T\), not .*float32 \(1, 1\)", mg.tensor([[1.0]]))
    told(r"must be a tensor \(B, T\), not a list", [[1, 2]], error=TypeError)
    told(r"generate\(\*\*output\)", {"input_ids": ids}, error=TypeError)
    told("either inputs or input_ids", ids, input_ids=ids)
    told("hides all tokens of a text", ids, attention_mask=mg.zeros_like(ids))
    told("attention_mask must be a tensor, not a list", ids, attention_mask=[1], error=TypeError)
    told(r"attention_mask \(3, 5\) does not fit ids \(3, 7\)", ids, attention_mask=mg.ones(3, 5))
    told("nothing here is called max_tokens: neither", ids, max_tokens=3)
    told("generate makes labels, position_ids itself", ids, labels=ids, position_ids=ids)
    told("a streamer can't go with num_beams", ids, streamer=object(), num_beams=2)
    told("a streamer takes one text at a time, not 3", ids, streamer=object())
    told("pass tokenizer=", ids, stop_strings="x")
    told("temperature must be a number above 0 .do_sample=False", ids, temperature=0.0)
    told("top_p must be a number from 0 to 1, not 1.5", ids, top_p=1.5)
    told("max_new_tokens must be a whole number above 0, not 0", ids, max_new_tokens=0)
    told("num_return_sequences=2 needs do_sample=True or num_beams", ids, num_return_sequences=2)
    ours.generation_config.bos_token_id = None
    told("there are no inputs to go on from")
    ours.generation_config.bos_token_id = 1


def test_nothing_is_computed_before_a_call_is_checked(pair, monkeypatch):
    ours, _ = pair
    monkeypatch.setattr(ours, "forward", lambda *a, **k: pytest.fail("the model was run"))
    with pytest.raises(ValueError, match="33 are left"):
        ours.generate(mg.tensor(IDS), max_new_tokens=100, do_sample=True)


def test_gradients_are_not_recorded(pair):
    ours, _ = pair
    found = ours.generate(
        mg.tensor(IDS), max_new_tokens=2, output_scores=True, return_dict_in_generate=True
    )
    assert not found.scores[0].requires_grad and mg.is_grad_enabled()

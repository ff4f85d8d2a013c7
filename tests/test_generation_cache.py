"""Caches of keys and values: what was put in comes out, in order, for the texts that are kept."""

import numpy
import pytest

import minigrad
from minigrad.generation import DynamicCache, EncoderDecoderCache
from minigrad.pretrained import causal_mask, next_token_loss, shift_tokens_right


def pieces(*lengths, texts=2):
    draw = numpy.random.default_rng(3)
    return [
        [minigrad.tensor(draw.standard_normal((texts, 3, n, 4))) for _ in range(2)] for n in lengths
    ]


@pytest.mark.parametrize("grad", [False, True])
def test_all_tokens_come_back(grad):
    cache, parts = DynamicCache(), pieces(5, 1, 1, 20, 1)
    for part in parts:
        for tensor in part:
            tensor.requires_grad_(grad)
    for layer in (0, 1):
        for n in range(1, len(parts) + 1):
            found = cache.update(*parts[n - 1], layer)
            for i in (0, 1):
                whole = minigrad.cat([part[i] for part in parts[:n]], dim=2)
                assert minigrad.equal(found[i], whole)
    assert cache.get_seq_length() == cache.get_seq_length(1) == 28
    assert cache.get_seq_length(7) == 0 and len(cache) == 2
    if grad:
        found[0].sum().backward()
        assert all(minigrad.equal(p[0].grad, minigrad.ones_like(p[0])) for p in parts)


def test_what_was_given_is_not_written_to():
    cache, ((keys, values), (more, _)) = DynamicCache(), pieces(2, 1)
    before = keys.clone()
    first, _ = cache.update(keys, values, 0)
    cache.update(more, more, 0)
    cache.crop(1)
    second, _ = cache.update(more, more, 0)
    assert minigrad.equal(keys, before) and minigrad.equal(first, before)
    assert minigrad.equal(second, minigrad.cat([before[:, :, :1], more], dim=2))


def test_texts_are_chosen_and_repeated():
    cache, ((keys, values), (more, _)) = DynamicCache(), pieces(3, 1)
    cache.update(keys, values, 0)
    cache.batch_repeat_interleave(2)
    rows = minigrad.tensor([3, 0])
    cache.reorder_cache(rows)
    found, _ = cache.update(more, more, 0)
    assert minigrad.equal(found, minigrad.cat([keys[minigrad.tensor([1, 0])], more], dim=2))
    cache.crop(-1)
    assert cache.get_seq_length() == 3


def test_other_texts_are_refused():
    cache = DynamicCache()
    cache.update(*pieces(3)[0], 0)
    with pytest.raises(ValueError, match=r"cache: keys \(3, 3, 1, 4\).*\(2, 3, 3, 4\)"):
        cache.update(*pieces(1, texts=3)[0], 0)


def test_the_source_is_kept_apart():
    cache, ((keys, values), (more, _)) = EncoderDecoderCache(), pieces(3, 1)
    assert cache.source(0) is None
    cache.keep_source(keys, values, 0)
    cache.update(more, more, 0)
    cache.batch_select_indices(minigrad.tensor([1]))
    assert minigrad.equal(cache.source(0)[0], keys[1:]) and cache.get_seq_length() == 1
    cache.crop(0)
    assert cache.get_seq_length() == 0 and cache.source(0)[1].shape[2] == 3


def test_masks():
    ones, padded = minigrad.ones(2, 4), minigrad.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])
    assert causal_mask(None, 4) == causal_mask(ones, 4) == (None, True)
    assert causal_mask(ones, 1, 3) == (None, False)
    mask, causal = causal_mask(ones, 2, 2)
    assert mask.tolist() == [[True, True, True, False], [True] * 4] and not causal
    mask, _ = causal_mask(padded, 2, 2)
    assert mask.tolist()[1] == [[[False, False, True, False], [False, False, True, True]]]
    mask, _ = causal_mask(padded, 1, 3)
    assert mask.shape == (2, 1, 1, 4)
    with pytest.raises(ValueError, match=r"\(2, 4\) must be \(B, 6\)"):
        causal_mask(padded, 2, 4)


def test_shifts():
    ids = minigrad.tensor([[5, 6, 7], [8, -100, -100]])
    assert shift_tokens_right(ids, 0, 2).tolist() == [[2, 5, 6], [2, 8, 0]]
    with pytest.raises(ValueError, match="decoder_start_token_id"):
        shift_tokens_right(ids, 0, None)
    logits = minigrad.zeros(2, 3, 9)
    logits[0, 0, 6] = logits[0, 1, 7] = 50.0
    assert float(next_token_loss(logits, ids)) < 1e-6


def test_texts_change_places_again_and_again():
    """Beams: rows are chosen, doubled and dropped, with tokens added in between."""
    draw = numpy.random.default_rng(2)
    cache, keys = DynamicCache(), None
    for step in range(40):
        rows = 3 if keys is None else len(keys)
        new = draw.standard_normal((rows, 2, int(draw.integers(1, 4)), 5))
        keys = new if keys is None else numpy.concatenate([keys, new], 2)
        found, values = cache.update(minigrad.tensor(new), minigrad.tensor(-new), 0)
        numpy.testing.assert_array_equal(found.numpy(), keys)
        numpy.testing.assert_array_equal(values.numpy(), -keys)
        order = [draw.integers(0, rows, int(draw.integers(1, 5))), numpy.arange(rows)][
            step % 3 == 0
        ]
        cache.reorder_cache(minigrad.tensor(order))
        keys = keys[order]
        numpy.testing.assert_array_equal(cache.layers[0].keys.numpy(), keys)
        numpy.testing.assert_array_equal(cache.layers[0].values.numpy(), -keys)


def test_crops_no_more_than_there_is():
    cache, ((keys, values), (more, others)) = DynamicCache(), pieces(3, 1)
    cache.update(keys, values, 0)
    cache.crop(-5)
    assert cache.get_seq_length() == 0
    assert minigrad.equal(cache.update(more, others, 0)[0], more)


def test_masks_of_three_dimensions_are_refused():
    with pytest.raises(ValueError, match=r"attention_mask \(2, 4, 4\) must be \(B, 4\)"):
        causal_mask(minigrad.zeros(2, 4, 4), 4)

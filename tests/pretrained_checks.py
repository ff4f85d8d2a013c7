"""A family of published models held against transformers: same folder, same inputs, same numbers.

    check_model("BertForMaskedLM", config, inputs, folder)    # see tests/test_pretrained_bert.py

transformers draws a tiny model and saves it; ours is loaded from its folder, and held against it in
float64 and float32: outputs, hidden states, attentions, the loss, every gradient, which is held against
finite differences too. Then ours is saved, and loaded by transformers.
"""

import copy
import warnings

import numpy
import pytest
from model_checks import check_gradient

import minigrad
import minigrad.models as models

transformers = pytest.importorskip("transformers")
torch = pytest.importorskip("torch")

DRAW = numpy.random.default_rng(5)


def theirs(name, config, seed=0):
    """transformers' model, drawn with larger weights than usual so that nothing is nearly zero."""
    torch.manual_seed(seed)
    config = copy.deepcopy(config)
    config._attn_implementation = "eager"
    model = getattr(transformers, name)(config)
    with torch.no_grad():
        for key, p in model.named_parameters():
            if p.dim() > 1 and p.requires_grad:  # sines, which are not learned, stay what they are
                p.mul_(8)
            elif "weight" not in key:
                p.add_(0.1 * torch.randn_like(p))
    if name.endswith(("ForCausalLM", "LMHeadModel")):
        model.loss_function = next_token_loss  # its own rounds float64 to float32
    return model.eval()


def next_token_loss(logits, labels, vocab_size, **options):
    """The mean cross-entropy of token t + 1 by the logits at t, in the dtype of the logits."""
    logits, labels = logits[:, :-1].reshape(-1, vocab_size), labels[:, 1:].reshape(-1)
    return torch.nn.functional.cross_entropy(logits, labels)


def both(name, config, folder, **options):
    """(ours, transformers') of one saved folder."""
    model = theirs(name, config)
    model.save_pretrained(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours = getattr(models, name).from_pretrained(folder, **options)
    return ours, model


def to_theirs(inputs):
    """NumPy arrays as torch's tensors."""
    return {k: torch.tensor(v) if isinstance(v, numpy.ndarray) else v for k, v in inputs.items()}


def to_ours(inputs):
    """NumPy arrays as tensors."""
    return {k: minigrad.tensor(v) if isinstance(v, numpy.ndarray) else v for k, v in inputs.items()}


def texts(vocab=50, batch=3, length=9, lowest=5):
    """ids of at least `lowest` and the mask of three texts: a whole one, one 3 shorter, one of 2 tokens."""
    ids = DRAW.integers(lowest, vocab, (batch, length))
    mask = numpy.ones_like(ids)
    for row, keep in zip(mask, (length, length - 3, 2), strict=False):
        row[keep:] = 0
    return ids, mask


def heads_of(family, ids, mask, inputs):
    """{class: labels, and what else it takes} of the heads that every family has."""
    words = numpy.where((DRAW.random(ids.shape) < 0.4) & (mask == 1), ids, -100)
    choices = {key: numpy.stack([value, value[::-1]], 1) for key, value in inputs.items()}
    spans = {"start_positions": numpy.array([1, 0, 40]), "end_positions": numpy.array([3, 0, 1])}
    return {
        f"{family}Model": {},
        f"{family}ForMaskedLM": {"labels": words},
        f"{family}ForSequenceClassification": {"labels": numpy.array([0, 2, 1])},
        f"{family}ForTokenClassification": {"labels": numpy.where(mask == 1, ids % 3, -100)},
        f"{family}ForQuestionAnswering": spans,
        f"{family}ForMultipleChoice": choices | {"labels": numpy.array([0, 1, 1])},
    }


def _arrays(value):
    if isinstance(value, (tuple, list)):
        return [array for part in value for array in _arrays(part)]
    return [value.detach().numpy()]


def compare(ours, model, inputs, *, mask=None, tolerance=1e-10, dtype="float64"):
    """Outputs, loss and gradients of both, for inputs of NumPy arrays.

    Hidden states are compared where the mask is 1: what stands at padding has no meaning.
    """
    ours.to(getattr(minigrad, dtype))
    model.to(getattr(torch, dtype))
    ours.zero_grad()
    model.zero_grad()
    asked = {"output_hidden_states": True, "output_attentions": True}
    found, expected = ours(**to_ours(inputs), **asked), model(**to_theirs(inputs), **asked)
    alone = not ours.config.to_dict().get("is_encoder_decoder")
    left = {"past_key_values", *(["cross_attentions"] if alone else [])}  # caches have their tests
    names = [name for name in expected if name not in left]
    assert [name for name in found if name not in left] == names
    for name in names:
        pairs = zip(_arrays(found[name]), _arrays(expected[name]), strict=True)
        for place, (a, b) in enumerate(pairs):
            assert str(a.dtype) == dtype
            if mask is not None and a.shape[: mask.ndim] == mask.shape:
                a, b = a[mask == 1], b[mask == 1]
            numpy.testing.assert_allclose(
                a, b, rtol=tolerance, atol=tolerance, err_msg=f"{name} {place}"
            )
    plain = ours(**to_ours(inputs))  # through the fused attention
    a, b = (x[0].numpy(force=True) for x in (plain, found))
    if mask is not None and a.shape[: mask.ndim] == mask.shape:
        a, b = a[mask == 1], b[mask == 1]
    numpy.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)
    if "loss" not in expected:
        return
    for loss in (found.loss, plain.loss):
        ours.zero_grad()
        loss.backward()
        if loss is found.loss:
            expected.loss.backward()
        gradients = {k: p.grad for k, p in model.named_parameters() if p.grad is not None}
        mine = {k: p.grad for k, p in ours.named_parameters() if p.grad is not None}
        assert mine.keys() == gradients.keys()
        for key, gradient in gradients.items():
            scale = float(gradient.abs().max()) or 1.0
            numpy.testing.assert_allclose(
                mine[key].numpy(), gradient.numpy(), rtol=0, atol=tolerance * max(scale, 1.0),
                err_msg=key,
            )  # fmt: skip


def check_model(name, config, inputs, folder, *, mask=None):
    """Hold a class against transformers' of the same name, both ways; give ours back."""
    ours, model = both(name, config, folder / "theirs")
    assert sorted(ours.state_dict()) == sorted(model.state_dict())
    state = {k: v.clone() for k, v in ours.state_dict().items()}
    compare(ours, model, inputs, mask=mask)
    if ours(**to_ours(inputs)).get("loss") is not None:
        check_gradient(ours, lambda: ours(**to_ours(inputs)).loss)
    ours.load_state_dict(state)
    ours.float(), model.float()
    compare(ours, model, inputs, mask=mask, tolerance=1e-5, dtype="float32")
    ours.save_pretrained(folder / "ours")
    back, info = getattr(transformers, name).from_pretrained(
        folder / "ours", output_loading_info=True
    )
    assert not info["missing_keys"] and not info["unexpected_keys"]
    for key, weight in back.state_dict().items():
        numpy.testing.assert_array_equal(weight.numpy(), ours.state_dict()[key].numpy(), key)
    return ours


def check_defaults(name):
    """A configuration has transformers' values, under the same names, where nothing is said."""
    ours, known = getattr(models, name)(), getattr(transformers, name)()
    names = set(ours._names()) - {"architectures"}
    assert len(names) > 20
    for key in names:
        assert getattr(ours, key) == getattr(known, key, None), key


def check_dropouts(name, config, inputs, dropouts):
    """Each dropout stands where transformers has it: in training, with this one at 1, others at 0.

    A dropout of 1 leaves nothing over, so that both models give the same numbers.
    """
    for chosen in (None, *dropouts):
        changes = {key: float(key == chosen) for key in dropouts}
        config = copy.deepcopy(config)
        for key, value in changes.items():
            setattr(config, key, value)
        model = theirs(name, config).double().train()
        kind = getattr(models, name)
        ours = kind(kind.config_class.from_dict(config.to_dict())).double().train()
        state = {k: minigrad.tensor(v.numpy()) for k, v in model.state_dict().items()}
        ours.load_state_dict(state)
        found, expected = ours(**to_ours(inputs))[0], model(**to_theirs(inputs))[0]
        numpy.testing.assert_allclose(
            found.numpy(force=True), expected.detach().numpy(), rtol=0, atol=1e-10, err_msg=chosen
        )


def check_attentions(model, inputs):
    """What a model gives is the same whether it gives its attentions too or not.

    The third text has no token that counts: it attends to nothing, and gets the same on both paths.
    """
    model.double().eval()
    mask = inputs["attention_mask"].copy()
    mask[2] = 0
    given = to_ours(inputs | {"attention_mask": mask})
    plain, full = model(**given), model(**given, output_attentions=True)
    assert list(full) == [*plain, "attentions"]
    for name, value in plain.items():
        numpy.testing.assert_allclose(
            value.numpy(force=True), full[name].numpy(force=True), rtol=1e-12, atol=1e-13
        )
    model.config.output_attentions = True
    assert list(model(**given)) == list(full)
    model.config.output_attentions = False


def check_padding(model, ids, mask, **inputs):
    """A text's outputs are the same alone and in a batch of longer ones."""
    model.double()
    whole = model(minigrad.tensor(ids), attention_mask=minigrad.tensor(mask), **to_ours(inputs))[0]
    for row, (text, keep) in enumerate(zip(ids, mask.sum(1), strict=True)):
        own = {k: v[row : row + 1, :keep] for k, v in inputs.items()}
        alone = model(minigrad.tensor(text[None, :keep]), **to_ours(own))[0]
        numpy.testing.assert_allclose(
            alone[0].numpy(force=True), whole[row, :keep].numpy(force=True), rtol=1e-10, atol=1e-12
        )


# -- encoder-decoders ------------------------------------------------------------------------------


def source_and_target(vocab=50, lowest=5):
    """(inputs of an encoder-decoder: three sources of 9 tokens, targets of 6, padded; their labels)."""
    source, mask = texts(vocab, lowest=lowest)
    target, target_mask = texts(vocab, length=6, lowest=lowest)
    names = ("input_ids", "attention_mask", "decoder_input_ids", "decoder_attention_mask")
    labels = numpy.where(target_mask == 1, (target + 7) % vocab, -100)
    return dict(zip(names, (source, mask, target, target_mask), strict=True)), labels


def check_target_cache(model, inputs):
    """An encoder-decoder gives the same token by token with a cache, in two parts, and at once.

    Then a batch goes on in another order, each text twice, and with the last tokens forgotten.
    """
    model.double().eval()
    given = to_ours(inputs)
    target = given["decoder_input_ids"]
    length = target.shape[1]
    with minigrad.no_grad():
        whole = model(**given, use_cache=False)
        assert whole.past_key_values is None

        def read(first, last, rows=None, **options):
            place = slice(None) if rows is None else rows
            part = {k: v[place] for k, v in given.items()}
            part["decoder_input_ids"] = part["decoder_input_ids"][:, first:last]
            part["decoder_attention_mask"] = part["decoder_attention_mask"][:, :last]
            part["encoder_outputs"] = (whole.encoder_last_hidden_state[place],)
            part.pop("input_ids")
            return model(**part, **options)

        def close(found, first, last, rows=slice(None)):
            numpy.testing.assert_allclose(
                found[0].numpy(), whole[0][rows, first:last].numpy(), rtol=1e-10, atol=1e-11
            )

        for cuts in (range(1, length), (4,)):
            first, cache = 0, None
            for last in (*cuts, length):
                output = read(first, last, past_key_values=cache, use_cache=True)
                close(output, first, last)
                first, cache = last, output.past_key_values
            assert cache.get_seq_length() == length
        rows = minigrad.tensor([2, 0, 0])
        cache.crop(3)
        cache.reorder_cache(rows)
        close(read(3, length, rows, past_key_values=cache), 3, length, rows)
        cache.crop(3)
        cache.batch_repeat_interleave(2)
        rows = minigrad.tensor([2, 2, 0, 0, 0, 0])
        close(read(3, length, rows, past_key_values=cache), 3, length, rows)
        names = ["encoder_last_hidden_state", "past_key_values", "logits"]
        assert set(names) <= set(read(0, 2))  # the configuration asks for a cache
    assert model(**given).past_key_values is None  # but not while gradients are recorded


def check_source_padding(model, inputs):
    """A text's target states are the same alone and in a batch of longer ones."""
    model.double().eval()
    whole = model(**to_ours(inputs))[0]
    sources, targets = inputs["attention_mask"].sum(1), inputs["decoder_attention_mask"].sum(1)
    for row, (source, target) in enumerate(zip(sources, targets, strict=True)):
        alone = {
            "input_ids": inputs["input_ids"][row : row + 1, :source],
            "decoder_input_ids": inputs["decoder_input_ids"][row : row + 1, :target],
        }
        numpy.testing.assert_allclose(
            model(**to_ours(alone))[0].numpy(force=True)[0],
            whole[row, :target].numpy(force=True),
            rtol=1e-10,
            atol=1e-12,
        )


SEARCHES = {
    "greedy": dict(max_new_tokens=10),
    "beam": dict(max_new_tokens=10, num_beams=3),
    "beams back": dict(max_new_tokens=10, num_beams=4, num_return_sequences=2, length_penalty=0.2),
    "no repeat": dict(max_new_tokens=10, no_repeat_ngram_size=2, min_length=5),
}


def check_generates(ours, model, inputs):
    """The same ids as transformers for padded sources, with and without cache, and for each alone."""
    ours.double().eval(), model.double().eval()
    source = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    padding, lengths = ours.config.pad_token_id, set()
    for name, options in SEARCHES.items():
        expected = model.generate(**to_theirs(source), **options).numpy()
        for use_cache in (True, False):
            found = ours.generate(**to_ours(source), **options, use_cache=use_cache)
            numpy.testing.assert_array_equal(found.numpy(), expected, f"{name} {use_cache}")
        lengths |= {len(set(row[1:].tolist())) for row in expected}
        if "num_return_sequences" in options:
            continue
        for row, keep in enumerate(source["attention_mask"].sum(1)):
            text = source["input_ids"][row : row + 1, :keep]
            alone = ours.generate(minigrad.tensor(text), **options)[0].tolist()
            whole = expected[row].tolist()
            assert alone == whole[: len(alone)], name
            assert all(token == padding for token in whole[len(alone) :]), name
    assert len(lengths) > 2  # not the same few words everywhere

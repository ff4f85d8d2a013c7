"""Fine-tuning layer by layer: freezing, gradual unfreezing, rates by depth, weight decay's groups."""

import numpy
import pytest
from finetuning_checks import STILL, arguments, examples, figures, tiny

import minigrad as mg
from minigrad import nn
from minigrad.train import finetuning as ft
from minigrad.train.finetuning.layers import decay_parameters, depths

HEAD = {"classifier.weight", "classifier.bias"}


def learning(model):
    return {name for name, p in model.named_parameters() if p.requires_grad}


def named(model, *starts):
    return {name for name, _ in model.named_parameters() if name.startswith(starts)}


def copies(model):
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def changed(model, before):
    return {
        n for n, p in model.named_parameters() if (p.numpy(force=True) != before[n].numpy()).any()
    }


def test_what_is_frozen_stays_as_it_is(tmp_path):
    model = tiny(num_hidden_layers=3)
    names = ft.freeze(model, "embeddings", layers=range(2))
    still = named(model, "bert.embeddings.", "bert.encoder.layer.0.", "bert.encoder.layer.1.")
    assert set(names) == still and len(still) == 5 + 2 * 16
    assert learning(model) == named(model, "") - still
    before = copies(model)
    ft.Trainer(model, arguments(tmp_path, num_train_epochs=1), train_dataset=examples()).train()
    assert changed(model, before) == learning(model)


@pytest.mark.parametrize(
    "parts, layers, expected",
    [
        (("classifier",), None, ("classifier.",)),
        (("pooler", "word_embeddings"), None, ("bert.pooler.", "bert.embeddings.word_embeddings.")),
        (
            ("attention.self",),
            None,
            tuple(f"bert.encoder.layer.{i}.attention.self." for i in (0, 1)),
        ),
        (("bert",), None, ("bert.",)),
        (("encoder.layer.1.output.dense.bias",), None, ("bert.encoder.layer.1.output.dense.bias",)),
        ((), -1, ("bert.encoder.layer.1.",)),
        ((), [0, 1], ("bert.encoder.layer.",)),
        ((), None, ("",)),
        ((), [], ("nothing",)),
    ],
)
def test_parts_and_layers(parts, layers, expected):
    model = tiny()
    assert set(ft.freeze(model, *parts, layers=layers)) == named(model, *expected)
    assert learning(model) == named(model, "") - named(model, *expected)
    ft.unfreeze(model, *parts, layers=layers)
    assert learning(model) == named(model, "")


def test_parts_and_layers_that_are_not_there():
    model = tiny()
    with pytest.raises(ValueError, match="no part 'embedding'; its parts are bert, classifier"):
        ft.freeze(model, "pooler", "embedding")
    with pytest.raises(ValueError, match="layers 0 to 1, no layer 2"):
        ft.freeze(model, "pooler", layers=range(3))
    assert learning(model) == named(model, "")
    with pytest.raises(ValueError, match="Linear has no ModuleList of layers"):
        ft.freeze(nn.Linear(2, 2), layers=[0])


def test_gradual_unfreezing(tmp_path):
    model = tiny()
    ft.freeze(model, "token_type_embeddings")
    seen, before = [], None

    class Watch(ft.TrainerCallback):
        def on_epoch_begin(self, args, state, control, model=None, **kwargs):
            nonlocal before
            before = copies(model)

        def on_epoch_end(self, args, state, control, model=None, **kwargs):
            seen.append(changed(model, before))

    args = arguments(tmp_path, num_train_epochs=5, lr_scheduler_type="constant", weight_decay=0.1)
    callbacks = [ft.GradualUnfreezing(), Watch()]
    trainer = ft.Trainer(model, args, train_dataset=examples(8), callbacks=callbacks)
    trainer.train()
    top = HEAD | named(model, "bert.pooler.")
    steps = [top, named(model, "bert.encoder.layer.1."), named(model, "bert.encoder.layer.0.")]
    steps.append(
        named(model, "bert.embeddings.") - {"bert.embeddings.token_type_embeddings.weight"}
    )
    expected = [set().union(*steps[: n + 1]) for n in range(4)]
    assert seen == [*expected, expected[-1]]
    assert learning(model) == expected[-1]
    with pytest.raises(ValueError, match="epochs must be at least 1, not 0"):
        ft.GradualUnfreezing(0)
    slow = ft.GradualUnfreezing(epochs=2)
    slow.learning = learning(model)
    slow.set_epoch(model, 3)
    assert learning(model) == expected[1]


def test_gradual_unfreezing_goes_on_in_a_resumed_run(tmp_path):
    rows = examples(12)

    def trainer(**changes):
        args = arguments(
            tmp_path, num_train_epochs=3, per_device_train_batch_size=4, save_steps=1, **changes
        )
        callbacks = [ft.GradualUnfreezing()]
        return ft.Trainer(tiny(), args, train_dataset=rows, callbacks=callbacks)

    whole = trainer(save_strategy="steps")
    whole.train()
    for step in (2, 3, 5):
        other = trainer()
        other.train(str(tmp_path / f"checkpoint-{step}"))
        assert figures(other.state.log_history) == figures(whole.state.log_history)
        for name, p in other.model.named_parameters():
            numpy.testing.assert_array_equal(
                p.numpy(force=True), whole.model.get_parameter(name).numpy(force=True), name
            )


def test_rates_by_depth():
    model = tiny()
    ft.freeze(model, "position_embeddings")
    depth = depths(model)
    assert {depth[name] for name in HEAD | named(model, "bert.pooler.")} == {3}
    assert {depth[name] for name in named(model, "bert.encoder.layer.1.")} == {2}
    assert {depth[name] for name in named(model, "bert.embeddings.")} == {0}
    groups = ft.layerwise_groups(model, 1e-3, decay=0.5, weight_decay=0.1)
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in groups:
        for p in group["params"]:
            found[names[id(p)]] = (group["lr"], group["weight_decay"])
    assert found.keys() == learning(model)
    for name, (rate, decay) in found.items():
        assert rate == 1e-3 * 0.5 ** (3 - depth[name])
        assert decay == (0.0 if "bias" in name or "LayerNorm" in name else 0.1), name
    assert len(groups) == 8
    assert {group["lr"] for group in ft.layerwise_groups(model, 1e-3)} == {
        1e-3, 1e-3 * 0.95, 1e-3 * 0.95**2, 1e-3 * 0.95**3,
    }  # fmt: skip
    for decay in (0, 1.5):
        with pytest.raises(ValueError, match=f"at most 1, not {decay}"):
            ft.layerwise_groups(model, 1e-3, decay)


def test_a_word_table_that_is_also_the_last_matrix_is_an_embedding():
    depth = depths(tiny("MaskedLM"))
    assert depth["bert.embeddings.word_embeddings.weight"] == 0
    assert depth["cls.predictions.bias"] == 3


def test_the_schedule_scales_all_rates(tmp_path):
    model = tiny(**STILL)
    optimizer = mg.optim.AdamW(ft.layerwise_groups(model, 1e-2, 0.5))
    schedule = ft.get_linear_schedule_with_warmup(optimizer, 0, 6)
    args = arguments(tmp_path, max_steps=6)
    rates = []

    class Watch(ft.TrainerCallback):
        def on_step_begin(self, args, state, control, optimizer=None, **kwargs):
            rates.append([group["lr"] for group in optimizer.param_groups])

    ft.Trainer(
        model, args, train_dataset=examples(8), callbacks=[Watch], optimizers=(optimizer, schedule),
    ).train()  # fmt: skip
    for step, row in enumerate(rates):
        expected = [1e-2 * 0.5 ** (place // 2) * (1 - step / 6) for place in range(8)]
        numpy.testing.assert_allclose(row, expected, rtol=1e-12)


def test_weight_decay_spares_what_transformers_spares():
    utilities = pytest.importorskip("transformers.trainer_pt_utils")
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    for kind in ("SequenceClassification", "MaskedLM"):
        model = tiny(kind)
        config = transformers.BertConfig(**{
            k: v for k, v in model.config.to_dict().items() if k not in ("model_type", "architectures")
        })  # fmt: skip
        theirs = getattr(transformers, f"BertFor{kind}")(config)
        patterns = [r"bias", r"layernorm", r"rmsnorm", r"(?:^|\.)norm(?:$|\.)", r"_norm(?:$|\.)"]
        expected = utilities.get_parameter_names(theirs, [torch.nn.LayerNorm], patterns)
        once = {name for name, _ in theirs.named_parameters()}
        assert decay_parameters(model) == set(expected) & once
    assert decay_parameters(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))) == {"0.weight"}

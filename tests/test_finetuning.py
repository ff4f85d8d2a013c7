"""The fine-tuning Trainer: against a plain loop in torch with transformers' schedules, and by its word."""

import dataclasses
import random

import numpy
import pytest
from finetuning_checks import STILL, arguments, examples, figures, tiny

import minigrad as mg
from minigrad.nn import functional as F
from minigrad.train import finetuning as ft

# -- against torch -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, options",
    [
        ("get_constant_schedule", {}),
        ("get_constant_schedule_with_warmup", dict(num_warmup_steps=5)),
        ("get_linear_schedule_with_warmup", dict(num_warmup_steps=5, num_training_steps=20)),
        ("get_linear_schedule_with_warmup", dict(num_warmup_steps=0, num_training_steps=7)),
        ("get_cosine_schedule_with_warmup", dict(num_warmup_steps=5, num_training_steps=20)),
        (
            "get_cosine_schedule_with_warmup",
            dict(num_warmup_steps=2, num_training_steps=20, num_cycles=1.5),
        ),
        (
            "get_cosine_with_hard_restarts_schedule_with_warmup",
            dict(num_warmup_steps=3, num_training_steps=20, num_cycles=3),
        ),
        (
            "get_polynomial_decay_schedule_with_warmup",
            dict(num_warmup_steps=3, num_training_steps=20, power=2.0, lr_end=1e-5),
        ),
        ("get_inverse_sqrt_schedule", dict(num_warmup_steps=4)),
        ("get_inverse_sqrt_schedule", dict(num_warmup_steps=0)),
        ("get_inverse_sqrt_schedule", dict(num_warmup_steps=4, timescale=9)),
        (
            "get_cosine_with_min_lr_schedule_with_warmup",
            dict(num_warmup_steps=4, num_training_steps=20, min_lr=1e-4),
        ),
        (
            "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
            dict(num_warmup_steps=4, num_training_steps=20, min_lr_rate=0.1),
        ),
        (
            "get_cosine_with_min_lr_schedule_with_warmup_lr_rate",
            dict(num_warmup_steps=4, num_training_steps=20, min_lr_rate=0.1, warmup_lr_rate=0.3),
        ),
        (
            "get_wsd_schedule",
            dict(num_warmup_steps=4, num_decay_steps=6, num_training_steps=20, min_lr_ratio=0.1),
        ),
        (
            "get_wsd_schedule",
            dict(
                num_warmup_steps=4, num_decay_steps=6, num_stable_steps=5, warmup_type="1-sqrt",
                decay_type="linear",
            ),
        ),
        (
            "get_wsd_schedule",
            dict(
                num_warmup_steps=4, num_decay_steps=6, num_stable_steps=5, warmup_type="cosine",
                decay_type="1-sqrt",
            ),
        ),
    ],
)  # fmt: skip
def test_schedules_equal_transformers(name, options):
    optimization = pytest.importorskip("transformers.optimization")
    torch = pytest.importorskip("torch")
    rates = []
    for space, functions in ((mg, ft), (torch, optimization)):
        optimizer = space.optim.AdamW([space.zeros(2, requires_grad=True)], lr=2e-3)
        schedule = getattr(functions, name)(optimizer, **options)
        rates.append([])
        for _ in range(25):
            rates[-1].append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
    numpy.testing.assert_allclose(*rates, rtol=1e-12, atol=1e-18)


def test_schedules_by_name():
    optimizer = mg.optim.SGD([mg.zeros(1, requires_grad=True)], lr=1.0)
    with pytest.raises(ValueError, match="no schedule 'quick'; there are: linear, cosine"):
        ft.get_scheduler("quick", optimizer)
    with pytest.raises(ValueError, match="linear requires `num_warmup_steps`"):
        ft.get_scheduler("linear", optimizer, num_training_steps=5)
    with pytest.raises(ValueError, match="cosine requires `num_training_steps`"):
        ft.get_scheduler("cosine", optimizer, num_warmup_steps=5)
    with pytest.raises(ValueError, match="one of min_lr and min_lr_rate"):
        ft.get_scheduler("cosine_with_min_lr", optimizer, 0, 5)
    with pytest.raises(ValueError, match=r"lr_end \(2\) must be smaller"):
        ft.get_polynomial_decay_schedule_with_warmup(optimizer, 0, 5, lr_end=2)
    with pytest.raises(ValueError, match="no decay_type 'steep'"):
        ft.get_wsd_schedule(optimizer, 1, 1, 5, decay_type="steep")
    with pytest.raises(ValueError, match="Either num_training_steps or num_stable_steps"):
        ft.get_wsd_schedule(optimizer, 1, 1)


def test_defaults_equal_transformers():
    transformers = pytest.importorskip("transformers")
    theirs = {f.name: f.default for f in dataclasses.fields(transformers.TrainingArguments)}
    ours = {f.name: f.default for f in dataclasses.fields(ft.TrainingArguments)}
    shared = ours.keys() & theirs.keys() - {"include_for_metrics"}
    assert len(shared) > 40
    assert ours.keys() - theirs.keys() == {"evaluation_strategy", "warmup_ratio", "group_by_length"}
    for name in shared:
        default = getattr(theirs[name], "value", theirs[name])
        assert ours[name] == default, name


@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_losses_equal_a_plain_loop_in_torch(kind, tmp_path):
    transformers = pytest.importorskip("transformers")
    torch = pytest.importorskip("torch")
    model = tiny(**STILL)
    model.save_pretrained(tmp_path / "start")
    args = arguments(
        tmp_path, max_steps=20, warmup_steps=4, weight_decay=0.1, lr_scheduler_type=kind,
        per_device_train_batch_size=4, max_grad_norm=0.5, learning_rate=5e-3,
    )  # fmt: skip
    rows = examples()
    trainer = ft.Trainer(model, args, train_dataset=rows)
    trainer.train()
    ours = trainer.state.log_history[:-1]
    theirs = transformers.AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "start", attn_implementation="eager"
    )
    theirs.train()
    spared = [n for n, _ in theirs.named_parameters() if "bias" in n or "LayerNorm" in n]
    named = dict(theirs.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for n, p in named.items() if n not in spared], "weight_decay": 0.1},
            {"params": [p for n, p in named.items() if n in spared], "weight_decay": 0.0},
        ],
        lr=5e-3,
    )
    scheduler = transformers.get_scheduler(kind, optimizer, 4, 20)
    loader, logs = trainer.get_train_dataloader(), []
    while len(logs) < 20:
        loader.batch_sampler.start(len(logs) // len(loader))
        for batch in loader:
            output = theirs(**{k: torch.tensor(v.numpy()) for k, v in batch.items()})
            output.loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            rate = scheduler.get_last_lr()[0]
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad()
            logs.append({"loss": output.loss.item(), "grad_norm": norm, "learning_rate": rate})
            if len(logs) == 20:
                break
    assert max(float(log["grad_norm"]) for log in logs) > 0.5
    for name, tolerance in (("loss", 1e-5), ("grad_norm", 1e-4), ("learning_rate", 1e-12)):
        numpy.testing.assert_allclose(
            [log[name] for log in ours], [float(log[name]) for log in logs], rtol=tolerance,
            err_msg=name,
        )  # fmt: skip


def test_label_smoothing_equals_transformers(tmp_path):
    utilities = pytest.importorskip("transformers.trainer_pt_utils")
    torch = pytest.importorskip("torch")
    args = arguments(tmp_path, label_smoothing_factor=0.2)
    model = tiny("TokenClassification", **STILL).eval()
    trainer = ft.Trainer(model, args)
    batch = ft.default_data_collator(examples(5, tokens=True))
    loss, outputs = trainer.compute_loss(model, batch, return_outputs=True)
    assert "labels" in batch and "loss" not in outputs
    expected = utilities.LabelSmoother(0.2)(
        {"logits": torch.tensor(outputs.logits.numpy(force=True))},
        torch.tensor(batch["labels"].numpy()),
    )
    numpy.testing.assert_allclose(loss.item(), expected.item(), rtol=1e-6)


# -- accumulation --------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("kind", ["SequenceClassification", "TokenClassification"])
def test_accumulation_equals_the_big_batch(kind, smoothing, tmp_path):
    rows = examples(22, tokens=kind == "TokenClassification")
    found = []
    for size, accumulate in ((8, 1), (2, 4)):  # the last update of an epoch has 6 examples
        model = tiny(kind, **STILL).double()
        args = arguments(
            tmp_path, per_device_train_batch_size=size, gradient_accumulation_steps=accumulate,
            num_train_epochs=2, train_sampling_strategy="sequential", label_smoothing_factor=smoothing,
        )  # fmt: skip
        trainer = ft.Trainer(model, args, train_dataset=rows)
        trainer.train()
        assert trainer.state.global_step == 6
        found.append((trainer.state.log_history[:-1], model.state_dict()))
    (big, weights), (small, others) = found
    for a, b in zip(big, small, strict=True):
        del a["epoch"], b["epoch"]  # of batches, which differ in number
        assert a == pytest.approx(b, rel=1e-9)
    for name, weight in weights.items():
        # a key's bias has no gradient but rounding errors, which Adam makes steps of
        if not name.endswith("key.bias"):
            numpy.testing.assert_allclose(
                weight.numpy(), others[name].numpy(), rtol=1e-6, atol=1e-9, err_msg=name
            )


def test_losses_of_ones_own_are_weighed_as_said(tmp_path):
    rows, seen = examples(8, tokens=True), []

    def summed(outputs, labels, num_items_in_batch):
        seen.append(num_items_in_batch)
        logits = outputs.logits.reshape(-1, 3)
        return F.cross_entropy(logits, labels.reshape(-1), reduction="sum") / num_items_in_batch

    runs = {}
    for name, options in (("own", dict(compute_loss_func=summed)), ("model", {})):
        args = arguments(tmp_path, per_device_train_batch_size=2, gradient_accumulation_steps=4)
        model = tiny("TokenClassification", **STILL)
        runs[name] = ft.Trainer(model, args, train_dataset=rows, **options)
        runs[name].train()
    labels = sum(x != -100 for row in rows for x in row["labels"])
    assert seen == [labels] * 12
    for a, b in zip(*(run.state.log_history for run in runs.values()), strict=True):
        name = "loss" if "loss" in a else "train_loss"
        assert a[name] == pytest.approx(b[name], rel=1e-5)


def test_a_logged_loss_is_the_mean_since_the_last_log(tmp_path):
    losses = {}
    for steps in (1, 3):
        args = arguments(tmp_path, logging_steps=steps, num_train_epochs=3)  # 5 updates an epoch
        trainer = ft.Trainer(tiny(), args, train_dataset=examples(36))
        output = trainer.train()
        losses[steps] = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    numpy.testing.assert_allclose(numpy.reshape(losses[1], (5, 3)).mean(1), losses[3], rtol=1e-12)
    assert output.training_loss == pytest.approx(sum(losses[1]) / 15, rel=1e-12)


# -- resuming ------------------------------------------------------------------------------------


class Noise(ft.TrainerCallback):
    """Draws from the streams of Python and NumPy, as a collator may."""

    def __init__(self):
        self.drawn = []

    def on_step_end(self, args, state, control, **kwargs):
        self.drawn.append((state.global_step, random.random(), numpy.random.rand()))

    def on_epoch_end(self, args, state, control, **kwargs):
        mg.rand(1)


class Shuffled(ft.Trainer):
    """A loader of one's own, shuffled by the run's stream."""

    def get_train_dataloader(self):
        return mg.utils.data.DataLoader(
            self.train_dataset, 2, shuffle=True, collate_fn=self.data_collator
        )


def masking(rows):
    """A collator that draws: a tenth of the ids become 4."""
    batch = ft.default_data_collator(rows)
    masked = mg.rand(*batch["input_ids"].shape) < 0.1
    return batch | {"input_ids": batch["input_ids"].masked_fill(masked, 4)}


class Masking:
    """A collator that draws from streams of its own, of every kind."""

    def __init__(self):
        self.ours = mg.Generator().manual_seed(3)
        self.python = random.Random(3)
        self.numpy = numpy.random.default_rng(3)
        self.twister = numpy.random.Generator(numpy.random.MT19937(3))
        self.old = numpy.random.RandomState(3)

    def __call__(self, rows):
        batch = ft.default_data_collator(rows)
        ids = batch["input_ids"].clone()
        ids[mg.rand(*ids.shape, generator=self.ours) < 0.1] = 4
        for draw in (self.python.random, self.numpy.random, self.twister.random, self.old.rand):
            ids[int(draw() * len(ids)), 1] = 5 + int(draw() * 45)
        return batch | {"input_ids": ids}


RESUMED = {
    "plain": {},
    "a loader of one's own": dict(kind=Shuffled),
    "by length": dict(group_by_length=True, weight_decay=0.1),
    "sparse logs": dict(logging_steps=3, lr_scheduler_type="cosine", warmup_ratio=0.2),
    "logs of epochs": dict(logging_strategy="epoch", eval_strategy="epoch"),
    "plateau": dict(lr_scheduler_type="reduce_lr_on_plateau", eval_strategy="steps", eval_steps=2),
    "sgd": dict(optim="sgd", data_seed=5, max_steps=7),
    "streams of the collator's own": dict(collator=Masking, eval_strategy="epoch"),
    "such streams, a loader of one's own": dict(collator=Masking, kind=Shuffled),
}


@pytest.mark.parametrize("options", RESUMED.values(), ids=RESUMED)
def test_a_resumed_run_gives_the_same_numbers(options, tmp_path):
    options = {"kind": ft.Trainer, "collator": lambda: masking, "save_strategy": "steps"} | options
    kind, collator = options.pop("kind"), options.pop("collator")
    rows = examples(22, seed=3)  # 11 batches, 4 updates an epoch: 3 + 3 + 3 + 2
    noise = Noise()

    def trainer(folder, callback, seed=1):
        args = arguments(
            folder, num_train_epochs=2, per_device_train_batch_size=2, save_steps=1,
            gradient_accumulation_steps=3, **options,
        )  # fmt: skip
        model = tiny()
        if seed != 1:  # weights and moments of the start must not matter
            for p in model.parameters():
                p.data.normal_()
        made = kind(model, args, collator(), rows, rows[:6], callbacks=[callback])
        made.remove_callback(ft.HistoryPlot)
        return made

    whole = trainer(tmp_path / "whole", noise)
    whole.train()
    weights = {k: v.clone() for k, v in whole.model.state_dict().items()}
    last = whole.state.max_steps
    for step in (1, 4, 6, last):  # midst of an epoch, end of one, midst, end of the run
        again = Noise()
        other = trainer(tmp_path / "whole", again, seed=2)
        other.args.save_strategy = "no"
        mg.manual_seed(99)
        random.seed(99)
        numpy.random.seed(99)
        result = other.train(str(tmp_path / "whole" / f"checkpoint-{step}"))
        assert result.global_step == last
        assert figures(other.state.log_history) == figures(whole.state.log_history)
        assert again.drawn == [x for x in noise.drawn if x[0] > step]
        for name, weight in other.model.state_dict().items():
            numpy.testing.assert_array_equal(weight.numpy(), weights[name].numpy(), err_msg=name)


def test_what_cannot_be_resumed_is_an_error(tmp_path):
    rows = examples(12)
    args = arguments(tmp_path / "a", save_strategy="steps", save_steps=1, max_steps=2)
    trainer = ft.Trainer(tiny(), args, train_dataset=rows)
    with pytest.raises(ValueError, match="no checkpoint to resume in"):
        trainer.train(resume_from_checkpoint=True)
    trainer.train()
    assert ft.get_last_checkpoint(tmp_path / "a").endswith("checkpoint-2")
    first = tmp_path / "a" / "checkpoint-1"
    with pytest.raises(ValueError, match="nowhere is no checkpoint: it has no trainer_state.json"):
        trainer.train("nowhere")
    other = dataclasses.replace(args, per_device_train_batch_size=4)
    with pytest.raises(ValueError, match="midst of an epoch of .*'batches': 2.*'batches': 3"):
        ft.Trainer(tiny(), other, train_dataset=rows).train(str(first))
    skipping = dataclasses.replace(other, ignore_data_skip=True)
    run = ft.Trainer(tiny(), skipping, train_dataset=rows)
    assert run.train(str(first)).global_step == 2
    bare = dataclasses.replace(args, save_only_model=True, output_dir=str(tmp_path / "b"))
    ft.Trainer(tiny(), bare, train_dataset=rows).train()
    with pytest.raises(FileNotFoundError, match="save_only_model=True writes weights alone"):
        ft.Trainer(tiny(), bare, train_dataset=rows).train(True)
    (first / "trainer_state.json").write_text("{}")
    with pytest.raises(ValueError, match="no state of a trainer"):
        trainer.train(str(first))


def test_an_interrupted_checkpoint_leaves_none(tmp_path):
    args = arguments(tmp_path, save_strategy="steps", save_steps=1, max_steps=1)
    trainer = ft.Trainer(tiny(), args, train_dataset=examples(8))

    class Broken(ft.TrainerCallback, ft.ExportableState):
        pass

    trainer.add_callback(Broken)
    with pytest.raises(NotImplementedError, match="Broken needs a state"):
        trainer.train()
    assert [path.name for path in tmp_path.iterdir()] == []

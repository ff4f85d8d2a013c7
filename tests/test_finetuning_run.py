"""The fine-tuning Trainer's ways: best models, early stopping, events, data, figures, what is refused."""

import json

import numpy
import pytest
from finetuning_checks import STILL, arguments, examples, tiny

import minigrad as mg
from minigrad import models, nn
from minigrad.nn import functional as F
from minigrad.train import finetuning as ft
from minigrad.train.finetuning.data import EpochBatches

# -- the best model, early stopping, events ------------------------------------------------------


class Scores:
    """compute_metrics that gives figures of a list, one after the other."""

    def __init__(self, *figures):
        self.figures = list(figures)

    def __call__(self, prediction):
        return {"score": self.figures.pop(0)}


def folders(path):
    return sorted(folder.name for folder in path.glob("checkpoint-*"))


@pytest.mark.parametrize(
    "limit, greater, best, kept",
    [
        (None, True, 2, ["checkpoint-1", "checkpoint-2", "checkpoint-3", "checkpoint-4"]),
        (2, True, 2, ["checkpoint-2", "checkpoint-4"]),
        (1, True, 2, ["checkpoint-2"]),
        (1, False, 3, ["checkpoint-3"]),
    ],
)
def test_the_best_model_is_kept_and_loaded(limit, greater, best, kept, tmp_path):
    args = arguments(
        tmp_path, eval_strategy="steps", save_strategy="steps", eval_steps=1, save_steps=1,
        max_steps=4, load_best_model_at_end=True, metric_for_best_model="score",
        greater_is_better=greater, save_total_limit=limit,
    )  # fmt: skip
    rows = examples(32)
    scores = Scores(0.5, 0.8, 0.3, 0.8)
    trainer = ft.Trainer(tiny(), args, None, rows, rows[:4], compute_metrics=scores)
    trainer.train()
    state = trainer.state
    assert (state.best_metric, state.best_global_step) == (0.8 if greater else 0.3, best)
    assert state.best_model_checkpoint == str(tmp_path / f"checkpoint-{best}")
    assert folders(tmp_path) == kept
    saved = models.BertForSequenceClassification.from_pretrained(state.best_model_checkpoint)
    for name, weight in saved.state_dict().items():
        numpy.testing.assert_array_equal(weight.numpy(), trainer.model.state_dict()[name].numpy())


def test_checkpoints_of_the_best_alone(tmp_path):
    args = arguments(
        tmp_path, eval_strategy="epoch", save_strategy="best", num_train_epochs=4,
        metric_for_best_model="eval_score",
    )  # fmt: skip
    rows = examples(8)
    scores = Scores(0.5, 0.4, 0.6, 0.6)
    ft.Trainer(tiny(), args, None, rows, rows[:4], compute_metrics=scores).train()
    assert folders(tmp_path) == ["checkpoint-1", "checkpoint-3"]


@pytest.mark.parametrize(
    "options, figures, steps",
    [
        (dict(), (0.5, 0.4, 0.6), 2),
        (dict(early_stopping_patience=2), (0.5, 0.4, 0.6, 0.5, 0.6, 0.9), 5),
        (dict(early_stopping_patience=2, early_stopping_threshold=0.15), (0.5, 0.6, 0.7, 0.9), 3),
        (dict(early_stopping_patience=5), (0.5, 0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1), 6),
    ],
)
def test_early_stopping(options, figures, steps, tmp_path):
    args = arguments(
        tmp_path, eval_strategy="epoch", save_strategy="epoch", num_train_epochs=8,
        metric_for_best_model="score", load_best_model_at_end=True, save_total_limit=1,
    )  # fmt: skip
    rows = examples(8)

    def trainer(scores, resume=None):
        return ft.Trainer(
            tiny(), args, None, rows, rows[:4], compute_metrics=Scores(*scores),
            callbacks=[ft.EarlyStoppingCallback(**options)],
        )  # fmt: skip

    first = trainer(figures)
    assert first.train().global_step == steps
    stopping = first.pop_callback(ft.EarlyStoppingCallback)
    state = json.loads((tmp_path / folders(tmp_path)[-1] / "trainer_state.json").read_text())
    assert state["stateful_callbacks"]["EarlyStoppingCallback"]["args"] == stopping.state()["args"]


def test_early_stopping_goes_on_counting_in_a_resumed_run(tmp_path):
    args = arguments(
        tmp_path, eval_strategy="epoch", save_strategy="epoch", num_train_epochs=8,
        metric_for_best_model="score",
    )  # fmt: skip
    rows = examples(8)
    stopping = ft.EarlyStoppingCallback(3)
    trainer = ft.Trainer(
        tiny(), args, None, rows, rows[:4], compute_metrics=Scores(0.4, 0.3, 0.2),
        callbacks=[stopping],
    )  # fmt: skip
    assert trainer.train(str(run_for(tmp_path, rows, 2))).global_step == 4
    assert stopping.early_stopping_patience_counter == 3


def run_for(folder, rows, epochs):
    """A run of so many epochs with scores that fall, and its last checkpoint."""
    args = arguments(
        folder, eval_strategy="epoch", save_strategy="epoch", num_train_epochs=epochs,
        metric_for_best_model="score",
    )  # fmt: skip
    scores = Scores(0.5, 0.4)
    stop = [ft.EarlyStoppingCallback(3)]
    ft.Trainer(tiny(), args, None, rows, rows[:4], compute_metrics=scores, callbacks=stop).train()
    return folder / f"checkpoint-{epochs}"


class Events(ft.TrainerCallback):
    """Writes down every event."""

    def __init__(self):
        self.seen = []

    def __getattribute__(self, name):
        if name.startswith("on_"):
            return lambda args, state, control, **kwargs: self.seen.append(
                (name[3:], state.global_step)
            )
        return super().__getattribute__(name)


def test_events_come_in_transformers_order(tmp_path):
    events = Events()
    args = arguments(
        tmp_path, eval_strategy="steps", eval_steps=2, save_strategy="steps", save_steps=2,
        per_device_train_batch_size=2, per_device_eval_batch_size=2, gradient_accumulation_steps=2,
        num_train_epochs=2, logging_steps=2, eval_on_start=True,
    )  # fmt: skip
    rows = examples(6)
    trainer = ft.Trainer(tiny(), args, None, rows, rows[:4], callbacks=[events])
    trainer.train()
    trainer.predict(rows[:2])
    measured = ["prediction_step", "prediction_step", "log", "evaluate"]
    update = ["pre_optimizer_step", "optimizer_step"]  # global_step counts it afterwards
    whole, rest = ["step_begin", "substep_end", *update], ["step_begin", *update]
    expected = [
        (["init_end", "train_begin", *measured, "epoch_begin", *whole], 0),
        (["step_end", *rest], 1),
        (["step_end", "log", *measured, "save", "epoch_end", "epoch_begin", *whole], 2),
        (["step_end", *rest], 3),
        (["step_end", "log", *measured, "save", "epoch_end", "log", "train_end"], 4),
        (["prediction_step", "predict"], 4),
    ]
    assert events.seen == [(name, step) for names, step in expected for name in names]


def test_callbacks_steer(tmp_path):
    class Steer(ft.TrainerCallback):
        def on_step_end(self, args, state, control, model=None, optimizer=None, **kwargs):
            assert isinstance(model, nn.Module) and isinstance(optimizer, mg.optim.Optimizer)
            control.should_epoch_stop = state.global_step == 2
            control.should_save = state.global_step == 3
            control.should_training_stop = state.global_step == 5
            return control

    args = arguments(tmp_path, num_train_epochs=5)
    trainer = ft.Trainer(tiny(), args, train_dataset=examples(32), callbacks=[Steer])
    assert trainer.train().global_step == 5
    assert [log["epoch"] for log in trainer.state.log_history] == [0.25, 0.5, 1.25, 1.5, 1.75, 1.75]
    assert folders(tmp_path) == ["checkpoint-3"]
    with pytest.warns(UserWarning, match="a Steer already"):
        trainer.add_callback(Steer())
    assert isinstance(trainer.pop_callback(Steer), Steer)
    trainer.remove_callback(Steer)
    assert trainer.pop_callback(Steer) is None
    with pytest.raises(TypeError, match="callbacks are TrainerCallbacks, not int"):
        trainer.add_callback(3)


def test_logs_are_printed_or_shown(tmp_path, capsys):
    rich = pytest.importorskip("rich.console")
    rows = examples(16)
    args = arguments(tmp_path, eval_strategy="epoch", num_train_epochs=2, disable_tqdm=False)
    trainer = ft.Trainer(tiny(), args, None, rows, rows[:3], compute_metrics=Scores(0.25, 0.5))
    trainer.pop_callback(ft.ProgressCallback)
    trainer.reporter = ft.ProgressCallback(rich.Console(width=120, force_terminal=False))
    trainer.add_callback(trainer.reporter)
    trainer.train()
    printed = capsys.readouterr().out
    assert "eval loss" in printed and "eval_score 0.25" in printed and " 2.00        4" in printed
    ft.Trainer(tiny(), arguments(tmp_path), train_dataset=rows).train()
    assert "'learning_rate': 0.001" in capsys.readouterr().out
    assert (tmp_path / "history.png").read_bytes().startswith(b"\x89PNG")


# -- data ----------------------------------------------------------------------------------------


def test_every_epoch_has_an_order_of_its_own():
    def epoch(number, first=0, **options):
        batches = EpochBatches(10, 3, **options)
        batches.start(number, first)
        return list(batches)

    for options in ({}, {"lengths": [5, 1, 4, 2, 9, 3, 8, 6, 7, 5]}):
        for drop_last, count in ((False, 4), (True, 3)):
            options["drop_last"] = drop_last
            found = epoch(0, **options)
            assert len(found) == count == len(EpochBatches(10, 3, **options))
            assert epoch(0, **options) == found != epoch(1, **options)
            assert epoch(0, **options, seed=1) != found
            assert epoch(0, 2, **options) == found[2:]
            ids = [i for batch in found for i in batch]
            assert len(set(ids)) == len(ids) == (9 if drop_last else 10)
    assert epoch(3, shuffle=False) == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]


def test_texts_of_like_length_come_together(tmp_path):
    draw = numpy.random.default_rng(0)
    rows = [{"input_ids": [5] * int(n), "labels": 0} for n in draw.integers(1, 16, 64)]
    seen = []

    def widths(batch):
        seen.append({len(row["input_ids"]) for row in batch})
        return {"input_ids": mg.zeros(len(batch), 2).long(), "labels": mg.zeros(len(batch)).long()}

    for options in (dict(group_by_length=True), dict(train_sampling_strategy="random")):
        args = arguments(tmp_path, num_train_epochs=1, **options)
        ft.Trainer(tiny(), args, widths, rows).train()
    spread = [max(lengths) - min(lengths) for lengths in seen]
    assert max(spread[:8]) <= 4 < min(spread[8:])
    lengths = [row | {"length": 16 - len(row["input_ids"])} for row in rows]
    trainer = ft.Trainer(tiny(), arguments(tmp_path, group_by_length=True), train_dataset=lengths)
    assert trainer.get_train_dataloader().batch_sampler.buckets.lengths[0] == lengths[0]["length"]
    trainer.train_dataset = [{"labels": 0}]
    with pytest.raises(ValueError, match="example 0 has neither 'length' nor 'input_ids'"):
        trainer.train()


def test_columns_that_the_model_does_not_take_are_removed(tmp_path):
    rows = [row | {"text": "hm", "number": 3, "label": row["labels"]} for row in examples(6)]
    for row in rows:
        del row["labels"]
    trainer = ft.Trainer(tiny(), arguments(tmp_path), train_dataset=rows)
    batch = next(iter(trainer.get_train_dataloader()))
    assert set(batch) == {"input_ids", "attention_mask", "labels"}
    trainer.args.remove_unused_columns = False
    assert "number" in next(iter(trainer.get_train_dataloader()))
    with pytest.raises(TypeError, match="number"):
        trainer.train()
    trainer.args.remove_unused_columns = True
    trainer.train_dataset = [{"words": [1]}]
    with pytest.raises(ValueError, match="none of the columns words is an input of the model"):
        trainer.train()


def test_the_default_collator():
    batch = ft.default_data_collator(
        [
            {"label": 1, "x": [1.0, 2.0], "t": mg.tensor([1]), "a": numpy.zeros(2), "s": "a", "n": None},
            {"label": 0, "x": [3.0, 4.0], "t": mg.tensor([2]), "a": numpy.ones(2), "s": "b", "n": None},
        ]
    )  # fmt: skip
    assert set(batch) == {"labels", "x", "t", "a"}
    assert (batch["labels"].dtype, batch["x"].dtype, batch["a"].dtype) == (
        mg.int64, mg.float32, mg.float64,
    )  # fmt: skip
    assert batch["t"].tolist() == [[1], [2]]
    with pytest.raises(ValueError, match="column 'ids' has rows of different shapes"):
        ft.default_data_collator([{"ids": [1, 2]}, {"ids": [1]}])


class Tokenizer:
    """What a Trainer needs of a tokenizer: it pads, and is saved with the model."""

    pad_token, pad_token_id = "[PAD]", 0

    def pad(self, features, pad_to_multiple_of=None, **options):
        width = max(len(row["input_ids"]) for row in features)
        ids = [row["input_ids"] + [0] * (width - len(row["input_ids"])) for row in features]
        rest = {
            name: [row[name] for row in features] for name in features[0] if name != "input_ids"
        }
        return {"input_ids": ids} | rest

    def save_pretrained(self, folder):
        (folder / "tokenizer.json").write_text("{}")


@pytest.mark.parametrize("name", ["processing_class", "tokenizer"])
def test_a_tokenizer_pads_and_is_saved(name, tmp_path):
    rows = [{"input_ids": [5] * n, "label": 0} for n in (3, 5, 2)]
    trainer = ft.Trainer(tiny(), arguments(tmp_path), train_dataset=rows, **{name: Tokenizer()})
    trainer.train()
    assert next(iter(trainer.get_train_dataloader()))["input_ids"].shape == (3, 5)
    trainer.save_model(tmp_path / "saved")
    names = {path.name for path in (tmp_path / "saved").iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "training_args.json"}
    trainer.save_state()
    state = ft.TrainerState.load_from_json(tmp_path / "trainer_state.json")
    assert state == trainer.state


# -- figures -------------------------------------------------------------------------------------


def test_evaluate_and_predict(tmp_path):
    model = tiny("TokenClassification")
    rows = examples(5, tokens=True) + examples(5, length=6, tokens=True)
    seen = []

    def metrics(prediction):
        logits, labels, inputs, losses = prediction
        assert prediction.losses is losses and prediction[0] is prediction.predictions is logits
        assert prediction.label_ids is labels and prediction[2] is prediction.inputs
        seen.append((logits.shape, labels.shape, inputs.shape, len(losses)))
        return {"right": (logits.argmax(-1) == labels)[labels != -100].mean()}

    args = arguments(
        tmp_path, per_device_eval_batch_size=5, include_for_metrics=["inputs", "loss"],
    )  # fmt: skip
    trainer = ft.Trainer(
        model, args, None, None, {"a": rows[:5], "b": rows}, compute_metrics=metrics
    )
    found = trainer.evaluate()
    assert seen == [((5, 9, 3), (5, 9), (5, 9), 1), ((10, 9, 3), (10, 9), (10, 9), 2)]
    assert {"eval_a_loss", "eval_b_loss", "eval_b_right", "eval_b_runtime"} <= found.keys()
    model.eval()
    losses = []
    for part in (rows[:5], rows[5:]):
        losses.append(model(**ft.default_data_collator(part)).loss.item())
    assert found["eval_b_loss"] == pytest.approx(sum(losses) / 2, rel=1e-6)
    output = trainer.predict(rows)
    assert output.predictions.shape == (10, 9, 3) and output.label_ids.shape == (10, 9)
    assert (output.predictions[5:, 6:] == -100).all() and (output.label_ids[5:, 6:] == -100).all()
    assert output.metrics["test_loss"] == pytest.approx(found["eval_b_loss"], rel=1e-6)
    bare = [{k: v for k, v in row.items() if k != "labels"} for row in rows]
    output = trainer.predict(bare)
    assert output.label_ids is None and "test_loss" not in output.metrics
    state = mg.get_rng_state()
    model.train()
    trainer.evaluate(rows, metric_key_prefix="last")
    assert "last_right" in trainer.state.log_history[-1]
    numpy.testing.assert_array_equal(state.numpy(), mg.get_rng_state().numpy())
    with pytest.raises(ValueError, match="Evaluation: there are no examples"):
        trainer.evaluate([])
    with pytest.raises(ValueError, match="evaluation requires an eval_dataset"):
        ft.Trainer(model, args).evaluate()


def test_figures_of_any_kind_go_into_the_checkpoint(tmp_path):
    rows = examples(8)
    kinds = {"mean": numpy.float32(0.5), "each": numpy.array([1, 2]), "by": {"A": mg.tensor(3)}}
    args = arguments(tmp_path, eval_strategy="epoch", save_strategy="epoch", num_train_epochs=1)
    ft.Trainer(tiny(), args, None, rows, rows, compute_metrics=lambda p: kinds).train()
    state = ft.TrainerState.load_from_json(tmp_path / "checkpoint-1" / "trainer_state.json")
    log = state.log_history[1]
    assert (log["eval_mean"], log["eval_each"], log["eval_by"]) == (0.5, [1, 2], {"A": 3})
    assert (tmp_path / "history.png").is_file()


def test_spans_have_two_labels(tmp_path):
    rows = [
        {k: v for k, v in row.items() if k != "labels"} | {"start_positions": 0, "end_positions": 1}
        for row in examples(6)
    ]
    trainer = ft.Trainer(
        tiny("QuestionAnswering", num_labels=2), arguments(tmp_path), None, rows, rows
    )
    trainer.train()
    assert trainer.label_names == ["start_positions", "end_positions"]
    output = trainer.predict(rows)
    assert [x.shape for x in output.predictions] == [(6, 9)] * 2
    assert [x.shape for x in output.label_ids] == [(6,)] * 2
    assert trainer.evaluate()["eval_loss"] == pytest.approx(output.metrics["test_loss"])


class Plain(nn.Module):
    """A model of one's own."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.layer = nn.Linear(2, 3)

    def forward(self, x, labels=None):
        scores = self.layer(x)
        loss = None if labels is None else F.cross_entropy(scores, labels)
        if self.kind is dict:
            return {"loss": loss, "scores": scores}
        return (scores,) if loss is None else (loss, scores)


@pytest.mark.parametrize("kind", [dict, tuple])
def test_any_module_with_a_loss(kind, tmp_path):
    draw = numpy.random.default_rng(0)
    rows = [{"x": draw.normal(size=2).tolist(), "labels": i % 3} for i in range(9)]
    made = lambda: Plain(kind)
    args = arguments(
        tmp_path, eval_strategy="epoch", save_strategy="epoch", load_best_model_at_end=True,
        learning_rate=0.05, num_train_epochs=4, optim="adamw_torch",
    )  # fmt: skip
    trainer = ft.Trainer(None, args, None, rows, rows, model_init=made)
    trainer.train()
    losses = [log["eval_loss"] for log in trainer.state.log_history if "eval_loss" in log]
    assert losses == sorted(losses, reverse=True)
    assert trainer.predict(rows).predictions.shape == (9, 3)
    unlabelled = [{"x": row["x"]} for row in rows]
    found = trainer.predict(unlabelled)
    assert found.predictions.shape == (9, 3) and found.label_ids is None
    trainer.train_dataset = unlabelled
    with pytest.raises(ValueError, match="Plain"):
        trainer.train()


def test_losses_that_are_not_finite_are_left_out_of_logs(tmp_path):
    class Once(ft.Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            return loss * float("nan") if self.state.global_step == 2 else loss

    for skip, expected in ((True, 2), (False, 0)):
        args = arguments(
            tmp_path, logging_nan_inf_filter=skip, max_steps=4, logging_steps=3,
            learning_rate=0.0, lr_scheduler_type="constant",
        )  # fmt: skip
        trainer = Once(tiny(**STILL), args, train_dataset=examples(8))
        trainer.train()
        losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
        assert numpy.isfinite(losses[:1]).sum() * 2 == expected


def test_wrong_arguments():
    with pytest.raises(ValueError, match="At most one of fp16 and bf16 can be True"):
        ft.TrainingArguments(fp16=True, bf16=True)
    wrong = [
        (dict(per_device_train_batchsize=8), TypeError, "no per_device_train_batchsize.*per_device_train_batch_size is"),
        (dict(deepspeed="x"), TypeError, "no deepspeed here"),
        (dict(report_to="wandb"), ValueError, "no such reports; choose 'none'"),
        (dict(optim="lion"), ValueError, "no optim 'lion'; there are: adamw_torch"),
        (dict(lr_scheduler_type="greedy"), ValueError, "no lr_scheduler_type 'greedy'"),
        (dict(eval_strategy="often"), ValueError, "no eval_strategy 'often'; there are: no, steps"),
        (dict(evaluation_strategy="steps", eval_strategy="epoch"), ValueError, "one thing"),
        (dict(warmup_steps=3, warmup_ratio=0.1), ValueError, "either warmup_steps or warmup_ratio"),
        (dict(warmup_ratio=2), ValueError, "warmup_ratio must be from 0 to 1, not 2"),
        (dict(warmup_steps=1.5), ValueError, "warmup_steps must be a whole number"),
        (dict(learning_rate=-1), ValueError, "learning_rate must be 0 or greater, not -1"),
        (dict(adam_beta2=1.0), ValueError, "adam_beta2 must be from 0 to below 1"),
        (dict(label_smoothing_factor=1.0), ValueError, "label_smoothing_factor must be"),
        (dict(gradient_accumulation_steps=0), ValueError, "gradient_accumulation_steps must be 1, 2"),
        (dict(num_train_epochs=0), ValueError, "num_train_epochs must be greater than 0"),
        (dict(max_steps=1.5), ValueError, "max_steps must be a whole number"),
        (dict(logging_steps=0), ValueError, "logging_steps must be 1, 2, 3"),
        (dict(save_steps=2.5), ValueError, "save_steps must be 1, 2, 3"),
        (dict(load_best_model_at_end=True), ValueError, "evaluations and checkpoints together"),
        (
            dict(load_best_model_at_end=True, eval_strategy="steps", eval_steps=4, save_steps=6),
            ValueError, "6 is none of 4",
        ),
        (dict(save_strategy="best"), ValueError, "save_strategy='best' needs an eval_strategy"),
        (dict(lr_scheduler_type="reduce_lr_on_plateau"), ValueError, "needs an eval_strategy"),
        (dict(include_for_metrics=["all"]), ValueError, "no include_for_metrics 'all'"),
        (dict(group_by_length=True, train_sampling_strategy="sequential"), ValueError, "differ"),
    ]  # fmt: skip
    for options, error, text in wrong:
        with pytest.raises(error, match=text):
            ft.TrainingArguments(**options)


def test_what_arguments_mean():
    args = ft.TrainingArguments(evaluation_strategy="steps", logging_steps=7, warmup_ratio=0.1)
    assert (args.eval_strategy, args.eval_steps, args.get_warmup_steps(95)) == ("steps", 7, 10)
    assert ft.TrainingArguments(warmup_steps=0.1).get_warmup_steps(95) == 10
    assert ft.TrainingArguments(warmup_steps=12).get_warmup_steps(95) == 12
    args = ft.TrainingArguments(metric_for_best_model="f1")
    assert (args.greater_is_better, args.best_figure_name) == (True, "eval_f1")
    assert ft.TrainingArguments(metric_for_best_model="eval_loss").greater_is_better is False
    assert ft.TrainingArguments("x").to_dict()["output_dir"] == "x"
    state = ft.TrainerState()
    state.compute_steps(ft.TrainingArguments(save_steps=0.25, eval_steps=10), 90)
    assert (state.save_steps, state.eval_steps, state.logging_steps) == (23, 10, 500)


def test_wrong_trainers_are_refused(tmp_path):
    model, args, rows = tiny(), arguments(tmp_path), examples(4)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    wrong = [
        (dict(), "either a model or model_init"),
        (dict(model=model, model_init=tiny), "either a model or model_init"),
        (dict(model=model, tokenizer=Tokenizer(), processing_class=Tokenizer()), "pass one"),
        (dict(model_init=tiny, optimizers=(optimizer, None)), "with model_init there is none"),
        (
            dict(model=model, optimizers=(optimizer, None), optimizer_cls_and_kwargs=(mg.optim.SGD, {})),
            "either optimizers or",
        ),
    ]  # fmt: skip
    for options, text in wrong:
        with pytest.raises(ValueError, match=text):
            ft.Trainer(args=args, **options)
    with pytest.raises(ValueError, match="eval_strategy='epoch' needs an eval_dataset"):
        ft.Trainer(model, arguments(tmp_path, eval_strategy="epoch"), train_dataset=rows)
    with pytest.raises(TypeError, match="needs len and .*generator"):
        ft.Trainer(model, args, train_dataset=(row for row in rows))
    with pytest.raises(ValueError, match="training requires a train_dataset"):
        ft.Trainer(model, args).train()
    with pytest.raises(ValueError, match="gives no batch"):
        drop = arguments(tmp_path, dataloader_drop_last=True)
        ft.Trainer(model, drop, train_dataset=rows).train()
    with pytest.raises(TypeError, match="a batch is a dict of tensors .* not a list"):
        ft.Trainer(model, args, lambda batch: [1], rows).train()
    smooth = arguments(tmp_path, label_smoothing_factor=0.1)
    with pytest.raises(ValueError, match="whole numbers as `labels`; this batch has none"):
        ft.Trainer(model, smooth, lambda b: {"input_ids": mg.ones(1, 2).long()}, rows).train()
    with pytest.raises(KeyError, match="'eval_f1', which evaluation did not give"):
        best = arguments(tmp_path, eval_strategy="epoch", metric_for_best_model="f1")
        ft.Trainer(model, best, None, rows, rows).train()
    with pytest.raises(ValueError, match="EarlyStoppingCallback needs metric_for_best_model"):
        ft.Trainer(model, args, train_dataset=rows, callbacks=[ft.EarlyStoppingCallback]).train()
    ft.freeze(model)
    with pytest.raises(ValueError, match="all are frozen"):
        ft.Trainer(model, args, train_dataset=rows).train()


def test_an_optimizer_and_schedule_of_ones_own(tmp_path):
    model, rows = tiny(**STILL), examples(8)
    optimizer = mg.optim.SGD(model.parameters(), lr=0.1)
    schedule = mg.optim.lr_scheduler.StepLR(optimizer, 1, 0.5)
    args = arguments(tmp_path, logging_steps=1, max_steps=3)
    trainer = ft.Trainer(model, args, train_dataset=rows, optimizers=(optimizer, schedule))
    trainer.train()
    rates = [log["learning_rate"] for log in trainer.state.log_history[:-1]]
    assert rates == [0.1, 0.05, 0.025]
    given = ft.Trainer(
        tiny(), args, train_dataset=rows, optimizer_cls_and_kwargs=(mg.optim.SGD, {"lr": 0.3}),
    )  # fmt: skip
    given.train()
    assert given.state.log_history[0]["learning_rate"] == 0.3

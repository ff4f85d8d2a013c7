"""Training recipes: schedules, decay, losses, averages, unfreezing; exact resume with all of them."""

import math

import numpy
import pytest

import minigrad as mg
from minigrad import nn
from minigrad.train.averaging import Average
from minigrad.train.objective import Objective, balanced_weights, class_counts
from minigrad.train.recipe import OPTIMIZERS, Recipe
from minigrad.train.schedule import SCHEDULES, Schedule
from minigrad.train.trainer import Trainer, evaluate
from minigrad.train.unfreeze import Unfreeze


class Batches(list):
    """Batches that are the same in every epoch."""


def data(count=48, size=8, seed=0, classes=3):
    rng = numpy.random.default_rng(seed)
    ids = rng.integers(1, 20, (count, 6))
    labels = ids.sum(1) % classes
    return Batches(
        (mg.tensor(ids[i : i + size]), mg.tensor(labels[i : i + size]))
        for i in range(0, count, size)
    )


class Words(nn.Module):
    def __init__(self, classes=3, dropout=0.0):
        super().__init__()
        self.embedding = nn.Embedding(20, 8)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(8, classes)

    def forward(self, ids):
        return self.fc(self.dropout(self.embedding(ids).mean(1)))


def trained(recipe, seed=0, batches=None, dropout=0.0, epochs=None, **options):
    mg.manual_seed(seed)
    model = Words(dropout=dropout)
    batches = batches or data()
    trainer = Trainer.from_recipe(recipe, model, len(batches), **options)
    trainer.fit(batches, data(seed=1), epochs or recipe.epochs)
    return trainer


# -- options are checked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adm"}, "there is no optimizer 'adm'; there are: sgd, adagrad"),
        ({"schedule": "x"}, "there is no schedule 'x'"),
        ({"average": "x"}, "there is no average 'x'"),
        ({"class_weights": "x"}, "there is no class_weights 'x'"),
        ({"class_weights": [1, -1]}, "class_weights must be 0 or greater, not -1"),
        ({"learning_rate": 0}, "learning_rate must be greater than 0, not 0"),
        ({"learning_rate": math.nan}, "learning_rate must be greater than 0, not nan"),
        ({"learning_rate": math.inf}, "learning_rate must be greater than 0, not inf"),
        ({"warmup": math.nan}, "warmup must be 0 or greater, not nan"),
        ({"clip_norm": -1}, "clip_norm must be greater than 0"),
        ({"clip_value": 0}, "clip_value must be greater than 0"),
        ({"dropout": 1.5}, "dropout must be from 0 to 1, not 1.5"),
        ({"label_smoothing": -0.1}, "label_smoothing must be from 0 to 1"),
        ({"l2": -1}, "l2 must be 0 or greater"),
        ({"gamma": 1.5}, "gamma must be 1 or less"),
        ({"warmup": 2.5}, "warmup must be a share below 1 or a whole number"),
        ({"accumulate": 0}, "accumulate must be 1, 2, 3"),
        ({"epochs": 1.5}, "epochs must be 1, 2, 3"),
        ({"patience": 0}, "patience must be 1, 2, 3"),
        ({"freeze_epochs": -1}, "freeze_epochs must be 0 or greater"),
        ({"l2": 1e-4, "weight_decay": 1e-4}, "either l2 or"),
        ({"optimizer": "sgd", "weight_decay": 1e-4}, "sgd has no decoupled weight_decay"),
        ({"optimizer": "adamw", "l2": 1e-4}, "adamw decays weights apart from gradients"),
        ({"momentum": 0.9}, "momentum is for sgd and rmsprop, not for adam"),
        ({"optimizer": "sgd", "nesterov": True}, "nesterov needs sgd with momentum"),
        ({"average": "swa", "batch_norm": True}, "no running statistics"),
        ({"average": "swa", "average_from": 9, "epochs": 8}, "swa starts in epoch 9"),
        ({"multilabel": True, "class_weights": "balanced"}, "for one label a text"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_an_option_made_wrong_later_is_refused_before_training():
    recipe = Recipe()
    recipe.learning_rate = -1
    with pytest.raises(ValueError, match="learning_rate must be greater than 0"):
        Trainer.from_recipe(recipe, Words(), 6)
    with pytest.raises(ValueError, match="a warm-up of 72 updates leaves none of the 72"):
        Trainer.from_recipe(Recipe(warmup=72), Words(), 6)
    with pytest.raises(ValueError, match="balanced class_weights need the counts"):
        Trainer.from_recipe(Recipe(class_weights="balanced"), Words(), 6)
    with pytest.raises(ValueError, match="2 class_weights for 3 classes"):
        Trainer.from_recipe(Recipe(class_weights=[1, 2]), Words(), 6, counts=[1, 2, 3])
    with pytest.raises(ValueError, match="freeze_epochs needs an embedding"):
        Trainer.from_recipe(Recipe(freeze_epochs=1), nn.Linear(2, 2), 6)


# -- optimizers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_lowers_the_loss(name):
    rate = {"adadelta": 1.0, "sgd": 0.5, "adagrad": 0.1}.get(name, 0.02)
    history = trained(Recipe(name, learning_rate=rate, epochs=15, patience=None)).history.epochs
    assert history[-1].train_loss < history[0].train_loss - 0.03


@pytest.mark.parametrize(
    ("options", "theirs"),
    [
        (
            {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "l2": 0.1},
            lambda torch, groups: torch.optim.SGD(groups, lr=0.01, momentum=0.9, nesterov=True),
        ),
        ({"l2": 0.1}, lambda torch, groups: torch.optim.Adam(groups, lr=0.01)),
        ({"weight_decay": 0.1}, lambda torch, groups: torch.optim.AdamW(groups, lr=0.01)),
        (
            {"optimizer": "nadam", "weight_decay": 0.1},
            lambda torch, groups: torch.optim.NAdam(groups, lr=0.01, decoupled_weight_decay=True),
        ),
        (
            {"optimizer": "adafactor", "weight_decay": 0.1},
            lambda torch, groups: torch.optim.Adafactor(groups, lr=0.01),
        ),
    ],
)
def test_optimizer_and_decay_equal_torch(options, theirs):
    torch = pytest.importorskip("torch")
    mg.manual_seed(0)
    ours = nn.Linear(4, 3)
    weight, bias = (torch.tensor(p.detach().numpy()).requires_grad_() for p in ours.parameters())
    optimizer = Recipe(**options, learning_rate=0.01).make_optimizer(ours)
    reference = theirs(
        torch, [{"params": [weight], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
    )
    x = numpy.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    for _ in range(5):
        for t, opt, y in (
            (mg, optimizer, ours(mg.tensor(x))),
            (torch, reference, torch.nn.functional.linear(torch.tensor(x), weight, bias)),
        ):
            opt.zero_grad()
            (y**2).sum().backward()
            opt.step()
    for p, q in zip(ours.parameters(), (weight, bias), strict=True):
        numpy.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=2e-5, atol=1e-7)


# -- schedules -----------------------------------------------------------------------------------


def rates(recipe, updates, losses):
    """The rate of every update of a run, from a Schedule."""
    optimizer = mg.optim.SGD([mg.zeros(1, requires_grad=True)], lr=0.1)
    schedule = recipe.make_schedule(optimizer, updates)
    found = []
    for loss in losses:
        for _ in range(updates):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        schedule.epoch_done(loss)
    return found


LOSSES = [3.0, 2.0, 2.0, 2.5, 1.9, 2.0]


@pytest.mark.parametrize("warmup", [0, 8])
@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules_equal_torch(kind, warmup):
    torch = pytest.importorskip("torch")
    updates, total = 5, 5 * len(LOSSES)
    recipe = Recipe(
        schedule=kind, warmup=warmup, epochs=len(LOSSES), step_size=10 / updates, gamma=0.5
    )
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    lr = torch.optim.lr_scheduler
    rest, plateau = total - warmup, None
    course = {
        "constant": lambda: lr.ConstantLR(optimizer, 1.0),
        "linear": lambda: lr.LinearLR(optimizer, 1.0, 0.0, total_iters=rest),
        "cosine": lambda: lr.CosineAnnealingLR(optimizer, rest),
        "inverse_sqrt": lambda: lr.LambdaLR(
            optimizer, lambda s: math.sqrt((warmup + 1) / (s + warmup + 1))
        ),
        "step": lambda: lr.MultiStepLR(
            optimizer, [m - warmup for m in (10, 20, 30) if m > warmup], 0.5
        ),
        "plateau": lambda: lr.ConstantLR(optimizer, 1.0),
    }[kind]
    if warmup:
        rise = lr.LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)
        steps = lr.SequentialLR(optimizer, [rise, course()], [warmup])
    else:
        steps = course()
    if kind == "plateau":
        plateau = lr.ReduceLROnPlateau(optimizer, factor=0.5, patience=0)
        steps = lr.LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup) if warmup else None
        for group in optimizer.param_groups:
            group["lr"] = 0.1 / (warmup + 1)
    expected = []
    for loss in LOSSES:
        for _ in range(updates):
            expected.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            if steps is not None:
                steps.step()
        if plateau is not None:
            plateau.step(loss)
    found = rates(recipe, updates, LOSSES)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-9)
    if kind not in ("constant",):
        assert len(set(found)) > 2
    if warmup:
        assert found[0] == pytest.approx(0.1 / 9) and found[8] == pytest.approx(0.1, rel=0.51)


def test_warmup_as_a_share_and_linear_decay_to_nothing():
    found = rates(Recipe(schedule="linear", warmup=0.2, epochs=4), 5, [1.0] * 4)
    assert numpy.argmax(found) == 4 and found[4] == pytest.approx(0.1)
    assert found[-1] == pytest.approx(0.1 / 16)  # the last update still learns
    with pytest.raises(ValueError, match="there is no schedule 'x'"):
        Schedule(mg.optim.SGD([mg.zeros(1, requires_grad=True)], lr=0.1), "x", 5, 4)


def test_updates_not_batches_count_when_gradients_accumulate():
    trainer = trained(
        Recipe(schedule="linear", accumulate=4, epochs=3, patience=None, optimizer="sgd")
    )
    assert trainer.scheduler.steps.last_epoch == 6  # 6 batches: 4 + 2, in 3 epochs
    assert trainer.optimizer.param_groups[0]["lr"] == pytest.approx(0.0)


# -- losses --------------------------------------------------------------------------------------


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weights", [None, [0.5, 2.0, 1.0]])
def test_smoothing_and_weights_equal_torch(smoothing, weights):
    torch = pytest.importorskip("torch")
    rng = numpy.random.default_rng(0)
    logits, labels = rng.normal(size=(7, 3)).astype("float32"), rng.integers(3, size=7)
    ours, theirs = mg.tensor(logits).requires_grad_(), torch.tensor(logits).requires_grad_()
    loss = Objective(smoothing, weights)(ours, mg.tensor(labels))
    reference = torch.nn.functional.cross_entropy(
        theirs, torch.tensor(labels), None if weights is None else torch.tensor(weights),
        label_smoothing=smoothing,
    )  # fmt: skip
    loss.backward()
    reference.backward()
    assert loss.item() == pytest.approx(reference.item(), rel=1e-5)
    numpy.testing.assert_allclose(ours.grad.numpy(), theirs.grad.numpy(), atol=1e-6)
    plain = Objective(smoothing, weights).plain(mg.tensor(logits), mg.tensor(labels)).item()
    want = torch.nn.functional.cross_entropy(torch.tensor(logits), torch.tensor(labels)).item()
    assert plain == pytest.approx(want, rel=1e-5)


def test_balanced_weights_equal_scikit_learn():
    utils = pytest.importorskip("sklearn.utils.class_weight")
    labels = [0] * 7 + [1] * 2 + [2] * 3
    assert class_counts(labels, 3) == [7, 2, 3]
    found = balanced_weights(class_counts(labels, 3))
    want = utils.compute_class_weight("balanced", classes=numpy.arange(3), y=labels)
    assert found == pytest.approx(want.tolist())
    with pytest.raises(ValueError, match="a class has no examples"):
        balanced_weights([3, 0])


def test_balanced_weights_give_rare_classes_their_due():
    """On noisy labels of which 9 in 10 are class 0, only the weighted loss ever says 1."""
    rng = numpy.random.default_rng(0)
    x = rng.normal(size=(400, 2)).astype("float32")
    labels = (x[:, 0] + rng.normal(size=400) > 1.9).astype(int)
    batches = Batches([(mg.tensor(x), mg.tensor(labels))])
    recalls = []
    for weights in (None, "balanced"):
        recipe = Recipe(class_weights=weights, learning_rate=0.05, epochs=60, patience=None)
        mg.manual_seed(0)
        model = nn.Linear(2, 2)
        Trainer.from_recipe(recipe, model, 1, class_counts(labels, 2)).fit(batches, batches, 60)
        _, _, predicted, _ = evaluate(model, batches)
        recalls.append(numpy.mean(numpy.array(predicted)[labels == 1]))
    assert recalls[1] > recalls[0] + 0.3


def test_several_labels_a_text_are_learned():
    torch = pytest.importorskip("torch")
    rng = numpy.random.default_rng(0)
    x = rng.normal(size=(64, 4)).astype("float32")
    sets = (x[:, :3] > 0).astype("float32")
    logits = rng.normal(size=(64, 3)).astype("float32")
    want = torch.nn.functional.binary_cross_entropy_with_logits(
        torch.tensor(logits), torch.tensor(sets * 0.9 + 0.05)
    )
    recipe = Recipe(multilabel=True, label_smoothing=0.1, learning_rate=0.1, epochs=40)
    found = recipe.make_loss()(mg.tensor(logits), mg.tensor(sets))
    assert found.item() == pytest.approx(want.item(), rel=1e-5)
    mg.manual_seed(0)
    model = nn.Linear(4, 3)
    batches = Batches([(mg.tensor(x), mg.tensor(sets))])
    history = Trainer.from_recipe(recipe, model, 1).fit(batches, batches, 40)
    assert history.best.valid_accuracy > 0.9


# -- the loop ------------------------------------------------------------------------------------


def weights_of(trainer):
    return {k: v.numpy().copy() for k, v in trainer.model.state_dict().items()}


def assert_same(first, second, **tolerance):
    for name, value in first.items():
        numpy.testing.assert_allclose(second[name], value, **(tolerance or {"rtol": 0}))


def test_accumulated_batches_equal_one_large_batch():
    options = dict(optimizer="sgd", learning_rate=0.5, epochs=2, patience=None, keep_best=False)
    small = trained(Recipe(accumulate=3, **options), batches=data(size=8))
    large = trained(Recipe(**options), batches=data(size=24))
    assert_same(weights_of(large), weights_of(small), rtol=1e-4, atol=1e-6)


def test_clipping_bounds_the_updates():
    options = dict(optimizer="sgd", learning_rate=1.0, epochs=1, patience=None)
    one = Batches(data()[:1])
    begin = {
        k: v.numpy() for k, v in trained(Recipe(**options), batches=one).model.state_dict().items()
    }
    mg.manual_seed(0)
    start = {k: v.numpy().copy() for k, v in Words().state_dict().items()}
    by_norm = weights_of(trained(Recipe(clip_norm=0.01, **options), batches=one))
    by_value = weights_of(trained(Recipe(clip_value=1e-3, **options), batches=one))
    length = lambda w: math.sqrt(sum(((w[k] - start[k]) ** 2).sum() for k in w))
    largest = lambda w: max(abs(w[k] - start[k]).max() for k in w)
    assert length(begin) > 0.02 and length(by_norm) == pytest.approx(0.01, rel=1e-3)
    assert largest(begin) > 2e-3 and largest(by_value) == pytest.approx(1e-3, rel=1e-2)


def test_early_stopping_off_and_last_weights_kept():
    options = dict(learning_rate=0.1, epochs=12)
    stopped = trained(Recipe(patience=1, **options))
    assert len(stopped.history.epochs) < 12
    last = trained(Recipe(patience=None, keep_best=False, **options))
    best = trained(Recipe(patience=None, **options))
    assert len(last.history.epochs) == len(best.history.epochs) == 12
    measured = {t: evaluate(t.model, data(seed=1))[1] for t in (last, best)}
    assert measured[last] == last.history.epochs[-1].valid_accuracy
    assert measured[best] == best.history.best.valid_accuracy
    assert best.history.best.number < 12 and measured[best] > measured[last]


def test_frozen_embeddings_wait_and_their_moments_begin_late():
    moved = []

    class Watch:
        def step_done(self, epoch, step, steps, loss):
            pass

        def epoch_done(self, epoch, best):
            weight = trainer.model.embedding.weight.detach().numpy()
            moved.append(float(abs(weight - begin).max()))

    mg.manual_seed(0)
    model = Words()
    begin = model.embedding.weight.detach().numpy().copy()
    trainer = Trainer.from_recipe(
        Recipe(freeze_epochs=2, epochs=4, patience=None), model, 6, progress=Watch()
    )
    trainer.fit(data(), data(seed=1), 4)
    assert moved[0] == moved[1] == 0 and 0 < moved[2] < moved[3]
    steps = [int(s["step"].item()) for s in trainer.optimizer.state.values()]
    assert sorted(steps) == [12, 24, 24]


def test_unfreezing_leaves_alone_what_never_learned():
    model = Words()
    model.embedding.weight.requires_grad_(False)
    with pytest.raises(ValueError, match="freeze_epochs needs an embedding that learns"):
        Unfreeze(model, 1)


def test_exponential_average_is_the_formula():
    mg.manual_seed(0)
    model = nn.Linear(2, 1)
    average = Average(model, "ema", decay=0.3)
    assert average.model is model
    want = None
    for n in range(6):
        with mg.no_grad():
            model.weight.uniform_()
        average.update_done()
        w = model.weight.detach().numpy().copy()
        d = min(0.3, (1 + n) / (10 + n))
        want = w if want is None else d * want + (1 - d) * w
    numpy.testing.assert_allclose(average.model.weight.detach().numpy(), want, rtol=1e-5)
    average.epoch_done(1)
    numpy.testing.assert_allclose(average.model.weight.detach().numpy(), want, rtol=1e-5)
    with pytest.raises(ValueError, match="there is no average 'x'"):
        Average(model, "x")


def test_plain_average_is_the_mean_over_epochs_and_is_what_is_kept():
    seen = []

    class Watch:
        def step_done(self, epoch, step, steps, loss):
            pass

        def epoch_done(self, epoch, best):
            seen.append(trainer.model.fc.weight.detach().numpy().copy())

    mg.manual_seed(0)
    model = Words()
    recipe = Recipe(
        average="swa", average_from=3, epochs=5, patience=None, keep_best=False, learning_rate=0.05
    )
    trainer = Trainer.from_recipe(recipe, model, 6, progress=Watch())
    trainer.fit(data(), data(seed=1), 5)
    numpy.testing.assert_allclose(
        model.fc.weight.detach().numpy(), numpy.mean(seen[2:], axis=0), rtol=1e-5, atol=1e-7
    )
    assert abs(seen[4] - model.fc.weight.detach().numpy()).max() > 1e-3


# -- exact resume --------------------------------------------------------------------------------

RESUMED = {
    "linear": {"schedule": "linear", "warmup": 0.2},
    "cosine": {"schedule": "cosine", "warmup": 5, "optimizer": "sgd", "momentum": 0.9},
    "step": {"schedule": "step", "step_size": 2},
    "plateau": {"schedule": "plateau", "warmup": 20, "learning_rate": 0.3},
    "ema": {"average": "ema", "average_decay": 0.9},
    "swa": {"average": "swa", "average_from": 2},
    "unfreeze": {"freeze_epochs": 2},
    "unfreeze early": {"freeze_epochs": 4},
    "all": {
        "schedule": "linear", "warmup": 3, "average": "ema", "freeze_epochs": 3, "accumulate": 4,
        "weight_decay": 0.1, "clip_norm": 0.5, "clip_value": 0.1, "label_smoothing": 0.1,
        "optimizer": "adamw", "class_weights": (0.5, 1.0, 2.0),
    },
}  # fmt: skip


@pytest.mark.parametrize("keep_best", [True, False])
@pytest.mark.parametrize("name", RESUMED)
def test_resumed_run_equals_an_uninterrupted_one(name, keep_best, tmp_path):
    recipe = Recipe(
        **{"learning_rate": 0.02, "epochs": 6, "patience": None, "keep_best": keep_best}
        | RESUMED[name]
    )

    def fresh(seed, **options):
        mg.manual_seed(seed)
        return Trainer.from_recipe(recipe, Words(dropout=0.3), 6, **options)

    class Interrupted(Exception):
        pass

    class Interrupts:
        def step_done(self, epoch, step, steps, loss):
            if (epoch, step) == (4, 3):
                raise Interrupted

        def epoch_done(self, epoch, best):
            pass

    whole = fresh(5)
    whole.fit(data(), data(seed=1), 6)
    part = fresh(5, folder=tmp_path, progress=Interrupts())
    with pytest.raises(Interrupted):
        part.fit(data(), data(seed=1), 6)
    rest = fresh(99)
    rest.resume(tmp_path / "last.safetensors")
    assert len(rest.history.epochs) == 3
    rest.fit(data(), data(seed=1), 6)
    for ours, theirs in zip(rest.history.epochs, whole.history.epochs, strict=True):
        assert ours.train_loss == theirs.train_loss and ours.valid_loss == theirs.valid_loss
        assert ours.learning_rate == theirs.learning_rate
    assert_same(weights_of(whole), weights_of(rest))
    rates = [epoch.learning_rate for epoch in whole.history.epochs]
    assert len(set(rates)) > 1 or recipe.schedule == "constant"


def test_a_text_classifier_is_resumed_exactly(tmp_path):
    from minigrad.train.classification.classifier import train_text_classifier
    from minigrad.train.classification.models import settings_for

    rng = numpy.random.default_rng(0)
    words = "warm funny fine dull long cold".split()
    pairs = [(" ".join(rng.choice(words[3 * y : 3 * y + 3], 4)), y) for y in (0, 1) * 40]
    settings = settings_for(
        "textcnn", embed_dim=6, num_filters=4, batch_size=16, epochs=4, patience=None, warmup=0.2,
        schedule="linear", average="ema", freeze_epochs=2, weight_decay=0.1, batch_norm=True,
        class_weights="balanced",
    )  # fmt: skip

    class Interrupts:
        def step_done(self, epoch, step, steps, loss):
            if (epoch, step) == (3, 2):
                raise KeyboardInterrupt

        def epoch_done(self, epoch, best):
            pass

    parts = ["bad", "good"], pairs, pairs[:20], pairs[20:50], settings
    whole = train_text_classifier(*parts)
    with pytest.raises(KeyboardInterrupt):
        train_text_classifier(*parts, folder=tmp_path, progress=Interrupts())
    rest = train_text_classifier(*parts, resume=tmp_path / "last.safetensors")
    assert len(rest.trainer.history.epochs) == 4
    assert_same(weights_of(whole.trainer), weights_of(rest.trainer))
    assert whole.test_loss == rest.test_loss


def test_a_checkpoint_of_another_recipe_is_refused(tmp_path):
    trained(Recipe(epochs=1), folder=tmp_path)
    last = tmp_path / "last.safetensors"
    with pytest.raises(ValueError, match="a run with no average of weights; this one has an"):
        Trainer.from_recipe(Recipe(average="ema"), Words(), 6).resume(last)
    with pytest.raises(ValueError, match="another schedule of learning rates"):
        Trainer.from_recipe(Recipe(schedule="cosine"), Words(), 6).resume(last)


# -- the command line ----------------------------------------------------------------------------


def test_options_of_the_command_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("typer")
    pytest.importorskip("matplotlib")
    import json
    from dataclasses import fields

    from minigrad import cli
    from minigrad.cli.options import HELP, read_options
    from minigrad.text import datasets

    assert set(HELP) == {field.name for field in fields(Recipe)} - {"multilabel"}
    pairs = [("warm funny film", 1), ("dull long film", 0)] * 20
    tiny = datasets.TextDataset("tiny", ["bad", "good"], pairs, pairs, pairs)
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda: tiny)

    def run(*options):
        arguments = ["train", "average", "--data", "tiny", "--out", str(tmp_path), "--epochs", "2"]
        monkeypatch.setattr("sys.argv", ["minigrad", *arguments, *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr()

    code, _ = run(
        "--optimizer", "adamw", "--weight-decay", "0.1", "--schedule", "linear", "--warmup", "0.1",
        "--class-weights", "1,2", "--batch-norm", "--average", "ema", "--patience", "0",
        "--freeze-epochs", "1", "--no-keep-best", "--label-smoothing", "0.1",
    )  # fmt: skip
    assert code == 0
    settings = json.loads((tmp_path / "settings.json").read_text())["settings"]
    wanted = {
        "optimizer": "adamw", "weight_decay": 0.1, "schedule": "linear", "warmup": 0.1,
        "class_weights": [1.0, 2.0], "batch_norm": True, "average": "ema", "patience": None,
        "freeze_epochs": 1, "keep_best": False, "label_smoothing": 0.1, "l2": 0.0, "epochs": 2,
    }  # fmt: skip
    assert {name: settings[name] for name in wanted} == wanted
    assert run("--optimizer", "adm")[0] == 2
    code, shown = run("--optimizer", "sgd", "--weight-decay", "0.1")
    assert code == 2 and "sgd has no decoupled weight_decay" in shown.err
    with pytest.raises(ValueError, match="'balanced' or numbers as 1,2.5, not '1,x'"):
        read_options({"class_weights": "1,x"})


def test_batch_norm_is_refused_where_there_is_none():
    from minigrad.train.classification.classifier import train_text_classifier
    from minigrad.train.classification.models import settings_for

    pairs = [("warm", 0), ("dull", 1)]
    with pytest.raises(ValueError, match="lstm has no batch norm"):
        train_text_classifier(
            ["a", "b"], pairs, pairs, pairs, settings_for("lstm", batch_norm=True)
        )

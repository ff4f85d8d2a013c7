"""The training loop: learning, early stopping, exact resume, saving, the command line."""

import numpy
import pytest

import minigrad as mg
from minigrad.models import TextCNN
from minigrad.train import EarlyStopping, TextClassifier, classification_report, confusion_matrix
from minigrad.train.classification.classifier import Settings, train_text_classifier
from minigrad.train.history import Epoch
from minigrad.train.loop import Loop

GOOD, BAD = "warm funny fine moving clever".split(), "dull long cold silly stale".split()
LABELS = ["negative", "positive"]
SETTINGS = Settings(
    embed_dim=16, num_filters=8, kernel_sizes=(2, 3), epochs=4, patience=4, batch_size=16, seed=3
)


def sentences(count, seed=0):
    rng = numpy.random.default_rng(seed)
    pairs = []
    for _ in range(count):
        label = int(rng.integers(2))
        words = rng.choice(GOOD if label else BAD, 3).tolist() + ["film", "a", "the"]
        pairs.append((" ".join(rng.permutation(words)), label))
    return pairs


PARTS = sentences(200), sentences(60, 1), sentences(60, 2)


def test_learns_saves_and_predicts(tmp_path):
    settings = Settings(**{**SETTINGS.__dict__, "epochs": 12, "learning_rate": 5e-3})
    result = train_text_classifier(LABELS, *PARTS, settings)
    assert result.test_accuracy > 0.95 and result.trainer.history.best.valid_accuracy > 0.95
    assert result.confusion.sum() == 60 and "accuracy" in result.report
    result.classifier.save(tmp_path)
    again = TextClassifier.load(tmp_path)
    texts = ["a warm funny film", "", "unseen words only", "dull dull"]
    assert again.predict(texts) == result.classifier.predict(texts)
    assert again.predict(["a warm funny film"])[0][0] == "positive"
    with pytest.raises(TypeError, match="list of texts"):
        again.predict("one text")
    (tmp_path / "vocab.json").unlink()
    with pytest.raises(FileNotFoundError, match="vocab.json is missing"):
        TextClassifier.load(tmp_path)


def test_resumed_run_equals_an_uninterrupted_one(tmp_path):
    whole = train_text_classifier(LABELS, *PARTS, SETTINGS)
    half = Settings(**{**SETTINGS.__dict__, "epochs": 2})
    train_text_classifier(LABELS, *PARTS, half, folder=tmp_path)
    mg.manual_seed(99)
    rest = train_text_classifier(LABELS, *PARTS, SETTINGS, resume=tmp_path / "last.safetensors")
    for ours, theirs in zip(rest.trainer.history.epochs, whole.trainer.history.epochs, strict=True):
        assert ours.train_loss == theirs.train_loss and ours.valid_loss == theirs.valid_loss
    first, second = (r.classifier.model.state_dict() for r in (whole, rest))
    assert all(mg.equal(first[k], second[k]) for k in first)


class Halving(Loop):
    """An epoch takes half of the weight away; the validation figure is given."""

    def fit(self, figures):
        return self.run(len(figures), lambda number: self._epoch(number, figures[number - 1]))

    def _epoch(self, number, figure):
        with mg.no_grad():
            self.model.weight.mul_(0.5)
        return self.epoch_done(Epoch(number, 1.0, 0.5, 1.0, figure, 0.1, 0.0), figure)


def halving(size=1, **options):
    model = mg.nn.Linear(size, 1, bias=False)
    with mg.no_grad():
        model.weight.fill_(1)
    return Halving(model, mg.optim.SGD(model.parameters(), 0.1, momentum=0.9), **options)


def test_loop_keeps_the_best_weights_and_stops_early(tmp_path):
    seen = []
    loop = halving(stopping=EarlyStopping(2), folder=tmp_path / "new" / "folder")
    loop.run(9, lambda n: loop._epoch(n, [1.0, 3.0, 2.0, 2.0, 9.0][n - 1]), seen.append)
    assert [epoch.number for epoch in seen] == [1, 2, 3, 4]  # the fifth is never reached
    assert loop.model.weight.item() == 0.25  # of the second epoch
    assert (tmp_path / "new" / "folder" / "last.safetensors").is_file()


def test_loop_without_patience_never_stops():
    loop = halving()
    loop.fit([5.0] + [1.0] * 50)
    assert len(loop.history.epochs) == 51 and loop.model.weight.item() == 0.5


def test_a_checkpoint_that_does_not_fit_changes_nothing(tmp_path):
    class Another(Halving):
        pass

    path = tmp_path / "last.safetensors"
    halving(folder=tmp_path).fit([1.0])
    another = halving(2)
    other_kind = Another(another.model, another.optimizer)
    with pytest.raises(ValueError, match="another kind of run"):
        other_kind.resume(path)
    loop, grown = halving(2), halving()
    loop.fit([1.0, 2.0])
    grown.optimizer.add_param_group({"params": [mg.nn.Parameter(mg.ones(1))]})
    mg.manual_seed(7)
    with pytest.raises(RuntimeError, match="weight"):
        loop.resume(path)  # whose model has another shape
    with pytest.raises(ValueError, match="parameter group"):
        grown.resume(path)  # whose model fits, but not the optimizer
    assert loop.model.weight.tolist() == [[0.25, 0.25]] and len(loop.history.epochs) == 2
    assert grown.model.weight.item() == 1 and grown.history.epochs == []
    stream = mg.Generator().manual_seed(7)
    assert mg.equal(mg.rand(3), mg.rand(3, generator=stream))


def test_early_stopping():
    stopping = EarlyStopping(patience=2, mode="min")
    assert [stopping.step(v) for v in (3, 2, 2.5, 2.2)] == [True, True, False, False]
    assert stopping.should_stop and stopping.best == 2
    with pytest.raises(ValueError, match="mode must be"):
        EarlyStopping(mode="x")


def test_bad_labels_and_empty_sets_are_refused():
    with pytest.raises(ValueError, match="the validation set is empty"):
        train_text_classifier(LABELS, PARTS[0], [], PARTS[2], SETTINGS)
    with pytest.raises(ValueError, match="label 2 of 'x' in the test set is none of the 2 labels"):
        train_text_classifier(LABELS, PARTS[0], PARTS[1], [("x", 2)], SETTINGS)


def test_report_equals_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = numpy.random.default_rng(0)
    truth, predicted = rng.integers(3, size=50), rng.integers(3, size=50)
    assert (
        confusion_matrix(truth, predicted, 3) == metrics.confusion_matrix(truth, predicted)
    ).all()
    report = classification_report(truth, predicted, ["a", "b", "c"])
    expected = metrics.classification_report(truth, predicted, output_dict=True)
    for i, label in enumerate("abc"):
        row = next(line for line in report.splitlines() if line.split()[:1] == [label]).split()
        want = expected[str(i)]
        figures = [want["precision"], want["recall"], want["f1-score"]]
        assert row[1:4] == [f"{v:.3f}" for v in figures]
    with pytest.raises(ValueError, match="2 true labels but 1 predictions"):
        confusion_matrix([0, 1], [0], 2)


def test_textcnn_equals_torch_and_finite_differences():
    torch = pytest.importorskip("torch")

    class Reference(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = torch.nn.Embedding(20, 6, padding_idx=0)
            self.convs = torch.nn.ModuleList(torch.nn.Conv1d(6, 4, k) for k in (2, 3))
            self.fc = torch.nn.Linear(8, 3)

        def forward(self, ids):
            x = self.embedding(ids).transpose(1, 2)
            pooled = [torch.relu(conv(x)).max(dim=2).values for conv in self.convs]
            return self.fc(torch.cat(pooled, 1))

    ours = TextCNN(20, 3, embed_dim=6, num_filters=4, kernel_sizes=(2, 3), dropout=0.0).double()
    theirs = Reference().double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    ids = numpy.random.default_rng(0).integers(0, 20, (5, 7))
    labels = [0, 1, 2, 1, 0]
    losses = []
    for t, model in ((torch, theirs), (mg, ours)):
        loss = t.nn.functional.cross_entropy(model(t.tensor(ids)), t.tensor(labels))
        loss.backward()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    reference = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        numpy.testing.assert_allclose(p.grad.numpy(), reference[name].grad.numpy(), atol=1e-12)

    parameters = list(ours.parameters())

    def loss_of(*values):
        for p, value in zip(parameters, values, strict=True):
            p.data = value.detach()
        names = [n for n, _ in ours.named_parameters()]
        state = dict(zip(names, values, strict=True))
        return functional_textcnn(state, mg.tensor(ids))

    def functional_textcnn(state, ids):
        f = mg.nn.functional
        x = f.embedding(ids, state["embedding.weight"]).transpose(1, 2)
        pooled = [
            f.relu(f.conv1d(x, state[f"convs.{i}.weight"], state[f"convs.{i}.bias"])).max(2).values
            for i in (0, 1)
        ]
        return f.cross_entropy(
            f.linear(mg.cat(pooled, 1), state["fc.weight"], state["fc.bias"]), mg.tensor(labels)
        )

    inputs = tuple(p.detach().clone().requires_grad_() for p in parameters)
    assert mg.autograd.gradcheck(loss_of, inputs, fast_mode=True)


def test_command_line(tmp_path, monkeypatch, capsys):
    pytest.importorskip("typer")
    pytest.importorskip("matplotlib")
    from minigrad import cli
    from minigrad.text import datasets

    tiny = datasets.TextDataset("tiny", LABELS, *PARTS)
    monkeypatch.setitem(datasets.DATASETS, "tiny", lambda: tiny)
    out = str(tmp_path / "run")
    arguments = [
        "train",
        "textcnn",
        "--data",
        "tiny",
        "--out",
        out,
        "--epochs",
        "2",
        "--embed-dim",
        "8",
    ]
    monkeypatch.setattr("sys.argv", ["minigrad", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    written = {path.name for path in (tmp_path / "run").iterdir()}
    assert written >= {
        "model.safetensors",
        "history.png",
        "confusion.png",
        "report.txt",
        "history.json",
    }
    assert "test accuracy" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["minigrad", "predict", "--model", out, "a warm film"])
    with pytest.raises(SystemExit):
        cli.main()
    assert "probability" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["minigrad", "predict", "--model", str(tmp_path), "x"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and "settings.json is missing" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["minigrad", "gradcheck", "--op", "tanh"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0

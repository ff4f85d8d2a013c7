"""Language models trained: corpora, columns and windows, schedules, checkpoints, saved folders."""

import gzip
import hashlib
import math

import numpy
import pytest

import minigrad
from minigrad.text import datasets
from minigrad.text.language import (
    CORPORA,
    Windows,
    batchify,
    corpus_from_texts,
    load_corpus,
    tokens_of,
    wikitext2,
)
from minigrad.train.language_loss import evaluate_language_model, window_loss
from minigrad.train.language_model import (
    LanguageEpoch,
    LanguageHistory,
    LanguageModelTrainer,
    train_language_model,
)
from minigrad.train.language_settings import LanguageModelSettings, characters, zaremba
from minigrad.train.saved_language_model import LanguageModel

RHYME = "the cat sat on the mat\nthe rat sat on the cat\nand that was that\n" * 12
SMALL = dict(embed_dim=12, hidden_size=12, num_layers=2, columns=4, steps=6, epochs=3)


def words(**changes):
    return corpus_from_texts("rhyme", "word", RHYME, RHYME[:200], RHYME[60:300], **changes)


def settings(**changes):
    return LanguageModelSettings(**{**SMALL, **changes})


# -- text -----------------------------------------------------------------------------------------


def test_words_have_an_end_of_line_and_characters_are_themselves():
    assert tokens_of(" a  b \n\nc", "word") == ["a", "b", "<eos>", "<eos>", "c", "<eos>"]
    assert tokens_of("a\nb", "character") == ["a", "\n", "b"]
    with pytest.raises(ValueError, match="'word' or 'character', not 'line'"):
        tokens_of("a", "line")


def test_words_that_only_other_parts_have_are_unknown():
    corpus = corpus_from_texts("two", "word", "a b\na b c\n", "a dog\n")
    assert corpus.vocab.lookup_tokens(corpus.valid) == ["a", "<unk>", "<eos>"]
    assert "c" in corpus.vocab
    assert "c" not in corpus_from_texts("two", "word", "a b\na b c\n", min_freq=2).vocab
    with pytest.raises(ValueError, match="empty: the training text is empty"):
        corpus_from_texts("empty", "word", "")


def test_columns_are_contiguous_text():
    columns = batchify(minigrad.arange(23), 4)
    assert columns.shape == (5, 4)  # 3 ids are left over
    assert columns[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert columns[:, 3].tolist() == [15, 16, 17, 18, 19]


@pytest.mark.parametrize("steps, lengths", [(2, [2, 2]), (3, [3, 1]), (4, [4]), (9, [4])])
def test_windows_cover_every_row_once(steps, lengths):
    windows = Windows(batchify(minigrad.arange(20), 4), steps)
    inputs, targets = zip(*windows, strict=True)
    assert [len(x) for x in inputs] == lengths
    assert len(windows) == len(lengths)
    assert minigrad.cat(targets)[:, 1].tolist() == [6, 7, 8, 9]
    assert all((x + 1 == y).all() for x, y in zip(inputs, targets, strict=True))


@pytest.mark.parametrize(
    "ids, columns, message",
    [
        ([], 2, "the corpus is empty"),
        ([1, 2, 3], 2, "3 ids are too few for 2 columns of at least 2"),
        ([1, 2, 3], 0, "at least one column, not 0"),
        ([[1, 2], [3, 4]], 1, r"expected ids of shape \(N,\), got \(2, 2\)"),
    ],
)
def test_bad_columns(ids, columns, message):
    with pytest.raises(ValueError, match=message):
        batchify(minigrad.tensor(ids, dtype=minigrad.int64), columns)


def test_bad_windows():
    with pytest.raises(ValueError, match="at least one step, not 0"):
        Windows(minigrad.zeros(4, 2), 0)
    with pytest.raises(ValueError, match=r"at least two rows, got \(1, 2\)"):
        Windows(minigrad.zeros(1, 2), 3)
    with pytest.raises(ValueError, match="no 'brown'; there are: ptb"):
        load_corpus("brown")


def test_data_files_may_be_packed(tmp_path, monkeypatch):
    digest = hashlib.sha256(b"a text").hexdigest()
    monkeypatch.setitem(datasets.FILES, "new/a.txt", ("https://localhost/a.txt", digest))
    monkeypatch.setenv("MINIGRAD_DATA", str(tmp_path))
    path = tmp_path / "new" / "a.txt.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(b"a text"))
    assert datasets.read_text("new/a.txt") == "a text"
    path.write_bytes(gzip.compress(b"another"))
    with pytest.raises(ValueError, match="a.txt.gz is damaged: its sha256"):
        datasets.read_text("new/a.txt")
    path.write_bytes(gzip.compress(b"a text")[:-9])
    with pytest.raises(ValueError, match="a.txt.gz is damaged"):
        datasets.read_text("new/a.txt")


def _there(name):
    probe = {"ptb": "ptb.train.txt", "tinyshakespeare": "input.txt", "wikitext2": "valid.txt"}
    path = datasets.data_home() / name / probe[name]
    return path.is_file() or path.with_name(path.name + ".gz").is_file()


@pytest.mark.parametrize("name", sorted(CORPORA))
def test_the_corpora_are_whole(name):
    if not _there(name):
        pytest.skip(f"{name} is not at hand")
    corpus = load_corpus(name)  # counts of tokens are checked as it loads
    assert len(corpus.vocab) == {"ptb": 10_000, "tinyshakespeare": 65, "wikitext2": 13_777}[name]
    if name == "wikitext2":
        other = wikitext2(words().vocab)
        assert other.vocab.lookup_tokens(other.valid[:2]) == ["<eos>", "<unk>"]
    start = {"ptb": "aer banknote", "tinyshakespeare": "F i", "wikitext2": ""}[name]
    assert " ".join(corpus.vocab.lookup_tokens(corpus.train[:2])) == start


# -- training -------------------------------------------------------------------------------------


def test_zarembas_schedule():
    small = zaremba()
    assert [small.rate(n) for n in (1, 4, 5, 6, 13)] == [1, 1, 0.5, 0.25, 2**-9]
    medium = zaremba("medium", epochs=2)
    assert (medium.hidden_size, medium.steps, medium.epochs, medium.dropout) == (650, 35, 2, 0.5)
    assert medium.rate(7) == pytest.approx(1 / 1.2)
    assert zaremba("large").max_norm == 10
    with pytest.raises(ValueError, match="no size 'huge'; there are: small, medium, large"):
        zaremba("huge")


def test_the_loss_in_one_is_that_of_the_plain_model():
    minigrad.manual_seed(0)
    model = LanguageModel(settings(), words().vocab, "word").model
    windows = list(Windows(batchify(words().train, 4), 6))
    found = []
    for plain in (False, True):
        model.zero_grad()
        state = None
        for inputs, targets in windows[:2]:
            if plain:
                logits, state = model(inputs, state)
                loss = minigrad.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            else:
                loss, state = window_loss(model, inputs, targets, state)
        loss.backward()
        found.append([loss.item(), *(p.grad.numpy().copy() for p in model.parameters())])
    for mine, other in zip(*found, strict=True):
        numpy.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-7)


def test_two_steps_of_training_are_torchs():
    """Zaremba's step: state carried, loss summed over time, norm clipped, SGD."""
    torch = pytest.importorskip("torch")
    from minigrad.benchmarks.lm_curve import torch_model

    chosen = settings(max_norm=0.5)
    minigrad.manual_seed(0)
    torch.manual_seed(0)
    corpus = words()
    model = LanguageModel(chosen, corpus.vocab, "word").model
    trainer = LanguageModelTrainer(model, chosen)
    theirs = torch_model(torch, len(corpus.vocab), 12, 12, 2, 0.1)
    optimizer = torch.optim.SGD(theirs.parameters(), lr=1.0)
    state = their_state = None
    for inputs, targets in list(Windows(batchify(corpus.train, 4), 6))[:4]:
        loss, state = trainer.step(inputs, targets, state and tuple(s.detach() for s in state))
        optimizer.zero_grad()
        x, y = (torch.tensor(ids.numpy()) for ids in (inputs, targets))
        logits, their_state = theirs(x, their_state and tuple(s.detach() for s in their_state))
        per_id = torch.nn.functional.cross_entropy(logits.transpose(1, 2), y, reduction="none")
        per_id.sum(0).mean().backward()
        torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
        optimizer.step()
        assert loss == pytest.approx(per_id.mean().item(), rel=1e-5)
    for ours, other in zip(model.parameters(), theirs.parameters(), strict=True):
        numpy.testing.assert_allclose(
            ours.detach().numpy(), other.detach().numpy(), rtol=1e-4, atol=1e-6
        )


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("optimizer, rate", [("sgd", 0.5), ("adam", 1e-2)])
def test_a_rhyme_is_learned(cell, optimizer, rate):
    corpus = corpus_from_texts("rhyme", "word", RHYME * 6, RHYME[:200], RHYME[60:300])
    chosen = settings(cell=cell, num_layers=1, optimizer=optimizer, learning_rate=rate, epochs=6)
    texts = []
    result = train_language_model(corpus, chosen, sample=texts.append, sample_length=5)
    epochs = result.history.epochs
    assert epochs[-1].valid_perplexity < epochs[0].valid_perplexity
    assert result.history.best.valid_perplexity < 1.6  # eleven words; two choices at most places
    assert result.test_perplexity < 2
    assert [epoch.learning_rate for epoch in epochs] == [rate] * 4 + [rate / 2, rate / 4]
    assert epochs[-1].tokens_per_second > 0
    assert len(texts) == 6
    again = evaluate_language_model(result.language_model.model, corpus.valid)
    assert again == pytest.approx(result.valid_loss, rel=1e-6)


def test_perplexity_of_a_model_that_knows_nothing():
    corpus = words()
    model = LanguageModel(settings(), corpus.vocab, "word")
    with minigrad.no_grad():
        for weight in model.model.parameters():
            weight.zero_()
    assert model.perplexity(corpus.test) == pytest.approx(len(corpus.vocab), rel=1e-5)


def test_one_column_is_read_whole():
    corpus = words()
    model = LanguageModel(settings(), corpus.vocab, "word").model.eval()
    logits, _ = model(corpus.valid[:-1].unsqueeze(1))
    whole = minigrad.nn.functional.cross_entropy(logits.squeeze(1), corpus.valid[1:]).item()
    assert evaluate_language_model(model, corpus.valid, 1, steps=7) == pytest.approx(whole, 1e-5)


def test_samples_leave_the_run_as_it_is():
    chosen = settings(dropout=0.3, epochs=2)
    quiet = train_language_model(words(), chosen)
    loud = train_language_model(words(), chosen, sample=lambda text: None)
    assert quiet.valid_loss == loud.valid_loss


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_resumed_run_is_the_same_run(optimizer, tmp_path):
    chosen = dict(optimizer=optimizer, dropout=0.3, learning_rate=0.1, steady_epochs=1)
    whole = train_language_model(words(), settings(**chosen, epochs=4))
    train_language_model(words(), settings(**chosen, epochs=2), folder=tmp_path)
    minigrad.rand(7)
    rest = train_language_model(
        words(), settings(**chosen, epochs=4), resume=tmp_path / "last.safetensors"
    )
    assert len(rest.history.epochs) == 4
    for a, b in zip(whole.history.epochs, rest.history.epochs, strict=True):
        assert (a.train_loss, a.valid_loss) == (b.train_loss, b.valid_loss)
    assert whole.test_loss == rest.test_loss
    weights = rest.language_model.model.state_dict()
    for key, value in whole.language_model.model.state_dict().items():
        assert (value == weights[key]).all(), key


def test_what_can_not_be_resumed(tmp_path):
    corpus = words()
    train_language_model(corpus, settings(epochs=1), folder=tmp_path)
    path = tmp_path / "last.safetensors"
    with pytest.raises(ValueError, match="was trained with hidden_size 12, not 24"):
        train_language_model(corpus, settings(hidden_size=24), resume=path)
    with pytest.raises(ValueError, match="was trained with optimizer sgd, not adam"):
        train_language_model(corpus, settings(optimizer="adam"), resume=path)
    from minigrad.train import save_checkpoint

    save_checkpoint(path, model={}, optimizer={})
    with pytest.raises(ValueError, match="checkpoint of another kind of run"):
        train_language_model(corpus, settings(), resume=path)


def test_bad_training():
    corpus = words()
    corpus.train = corpus.train[:5]
    with pytest.raises(ValueError, match="5 ids are too few for 4 columns"):
        train_language_model(corpus, settings())
    corpus.train = corpus.train[:0]
    with pytest.raises(ValueError, match="rhyme: the part 'train' is empty"):
        train_language_model(corpus, settings())
    with pytest.raises(ValueError, match="no optimizer 'lion'; there are: sgd, adam"):
        train_language_model(words(), settings(optimizer="lion"))
    with pytest.raises(RuntimeError, match="epoch 1, step .*the loss is .*a lower learning rate"):
        train_language_model(words(), settings(learning_rate=1e39))


# -- the trained model ----------------------------------------------------------------------------


def test_a_saved_model_writes_the_same(tmp_path):
    model = train_language_model(words(), settings(epochs=6)).language_model
    model.save(tmp_path / "lm")
    loaded = LanguageModel.load(tmp_path / "lm")
    for options in (dict(greedy=True), dict(temperature=0.8, top_k=5), dict(top_p=0.9)):
        text = model.generate("the cat", 12, seed=4, **options)
        assert loaded.generate("the cat", 12, seed=4, **options) == text
        assert set(text.split()) <= set(RHYME.split())
    assert model.generate("the", 30, seed=1) != model.generate("the", 30, seed=2)
    (tmp_path / "lm" / "vocab.json").unlink()
    with pytest.raises(FileNotFoundError, match="holds no language model: vocab.json is missing"):
        LanguageModel.load(tmp_path / "lm")


def test_a_folder_of_another_kind(tmp_path):
    model = LanguageModel(settings(), words().vocab, "word")
    model.save(tmp_path)
    (tmp_path / "settings.json").write_text('{"labels": [], "settings": {}}')
    with pytest.raises(ValueError, match="settings.json: it describes no language model"):
        LanguageModel.load(tmp_path)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match="settings.json is no JSON"):
        LanguageModel.load(tmp_path)


def test_texts_by_word_and_by_character():
    corpus = words()
    model = LanguageModel(settings(), corpus.vocab, "word")
    ids = model.encode("the cat\nsat")
    assert corpus.vocab.lookup_tokens(ids) == ["the", "cat", "<eos>", "sat"]
    assert model.decode(ids) == "the cat\nsat"
    assert model.decode(model.encode("")) == "\n"
    with pytest.raises(ValueError, match=r"words .*: 'dog', 'runs'; write <unk> in their place"):
        model.generate("the dog runs runs", 3)
    shakespeare = corpus_from_texts("s", "character", RHYME)
    model = LanguageModel(characters(embed_dim=4, hidden_size=4), shakespeare.vocab, "character")
    assert model.decode(model.encode("the mat\n")) == "the mat\n"
    assert len(model.generate("", 17, seed=0)) == 17
    with pytest.raises(ValueError, match="characters that the model does not know: 'Z'$"):
        model.generate("aZ", 3)
    with pytest.raises(ValueError, match="temperature must be above 0"):
        model.generate("a", 3, temperature=0)


def test_the_history_knows_its_best(tmp_path):
    losses = [2.0, 1.0, 1.5]
    history = LanguageHistory(
        [LanguageEpoch(n, 3.0, loss, 1.0, 1.0, 10.0) for n, loss in enumerate(losses, 1)]
    )
    assert history.best.number == 2
    assert history.best.valid_perplexity == pytest.approx(math.e)
    assert LanguageHistory.from_state_dict(history.state_dict()) == history
    history.save(tmp_path / "history.json")
    assert "valid_loss" in (tmp_path / "history.json").read_text()
    assert LanguageHistory().best is None


def test_progress_and_plot(tmp_path):
    pytest.importorskip("rich")
    pytest.importorskip("matplotlib")
    import io

    from rich.console import Console

    from minigrad.train.plots import plot_language_history
    from minigrad.train.progress import LanguageProgress

    lines = io.StringIO()
    with LanguageProgress(Console(file=lines, width=80), tokens_per_step=24) as progress:
        result = train_language_model(words(), settings(epochs=2), progress=progress)
    rows = [line for line in lines.getvalue().splitlines() if line.strip()]
    assert rows[0].split() == ("epoch train loss valid loss perplexity lr tokens/s seconds".split())
    assert f"{result.history.epochs[1].valid_perplexity:.2f}" in rows[2]
    assert len(rows) == 3
    for perplexity in (True, False):
        path = tmp_path / "history.png"
        plot_language_history(result.history, path, "rhyme", perplexity)
        assert path.read_bytes().startswith(b"\x89PNG")
        path.unlink()


def test_the_command_goes_on_with_a_text(tmp_path, capsys, monkeypatch):
    pytest.importorskip("typer")
    from minigrad import cli

    train_language_model(words(), settings(epochs=2)).language_model.save(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["minigrad", "generate", str(tmp_path), *arguments])
        with pytest.raises(SystemExit) as end:
            cli.main()
        return end.value.code

    assert run("--prompt", "the cat", "--length", "5", "--top-p", "0.9") == 0
    assert capsys.readouterr().out.startswith("the cat ")
    assert run("--prompt", "the dog") == 2
    assert "words that the model does not know: 'dog'" in capsys.readouterr().err
    assert run("--temperature", "0") == 2
    assert "temperature must be above 0" in capsys.readouterr().err


def test_the_loss_curves_of_both_libraries(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("matplotlib")
    from minigrad.benchmarks import lm_curve

    ids = words().train[: 20 * 11].repeat(2)
    sizes = dict(embed_dim=6, hidden_size=6, num_layers=2, init_range=0.1, dropout=0.0)
    for schedule, control in (("adam", False), ("zaremba", True)):
        curves = lm_curve.run(
            ids, 30, 3, schedule, control=control, sizes=sizes, say=lambda line: None
        )
        assert curves.first_weights == 0
        assert len(curves.ours.losses) == 2  # 22 rows: windows of 20 steps and of 1
        assert curves.gap(curves.ours).max() < 1e-5
        assert max(curves.ours.norm_errors) < 1e-6
        path = lm_curve.write(curves, tmp_path, whole=2)
    page = path.read_text()
    assert page.count("\n## ") == 2
    assert page.index("## Adam") < page.index("## SGD")
    lm_curve.write(curves, tmp_path, whole=2)
    assert path.read_text() == page

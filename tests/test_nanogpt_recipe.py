"""nanoGPT's recipe: rates, batches, decay, the same curve as in torch, exact resuming, saved folders."""

import json
import math

import numpy
import pytest
from model_checks import on_torch

import minigrad
from minigrad.models import GPT2Config, GPT2LMHeadModel
from minigrad.models.gpt import GPT
from minigrad.text.language import characters_of_file, corpus_from_texts
from minigrad.train.causal_lm import (
    CausalSettings,
    CausalTrainer,
    causal_loss,
    decay_groups,
    estimate_loss,
    random_batch,
    text_loss,
)
from minigrad.train.gpt import GPTLanguageModel, GPTSettings, load_language_model, train_gpt
from minigrad.train.language_settings import LanguageModelSettings
from minigrad.train.plots import plot_language_history
from minigrad.train.progress import UpdateProgress
from minigrad.train.saved_language_model import LanguageModel

RHYME = "the cat sat on the mat\nthe rat sat on the cat\nand that was that\n" * 20
CORPUS = corpus_from_texts("rhyme", "character", RHYME, RHYME[:300], RHYME[60:300])
SMALL = dict(
    block_size=8, batch_size=4, n_layer=2, n_head=2, n_embd=16, max_iters=30, lr_decay_iters=30,
    warmup_iters=5, eval_interval=10, eval_iters=3, learning_rate=1e-2, min_lr=1e-3,
)  # fmt: skip


def settings(**changes):
    return GPTSettings(**SMALL | changes)


def model_of(chosen, seed=0):
    minigrad.manual_seed(seed)
    return GPT(chosen.config(len(CORPUS.vocab)))


def test_the_rate_rises_and_falls():
    chosen = CausalSettings()
    rates = [chosen.rate(t) for t in range(2200)]
    assert rates[0] == pytest.approx(1e-3 / 101)
    assert rates[99] == pytest.approx(1e-3 * 100 / 101)
    assert rates[100] == pytest.approx(1e-3) == max(rates)
    middle = 100 + 1900 // 2
    assert rates[middle] == pytest.approx((1e-3 + 1e-4) / 2)
    assert rates[2000:] == pytest.approx([1e-4] * 200)
    assert all(a > b for a, b in zip(rates[100:2000], rates[101:2001], strict=True))


def test_batches_are_windows_of_the_text():
    ids = minigrad.arange(30)
    minigrad.manual_seed(0)
    starts = set()
    for _ in range(40):
        inputs, targets = random_batch(ids, 5, 6)
        assert inputs.shape == targets.shape == (5, 6)
        assert (inputs[:, 1:] == inputs[:, :-1] + 1).all()
        assert (targets == inputs + 1).all()
        starts |= set(inputs[:, 0].tolist())
    assert starts == set(range(24))  # the last target may be the last id
    with pytest.raises(ValueError, match="6 ids are too few for a window of 6"):
        random_batch(ids[:6], 5, 6)


@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_seed_gives_nanogpts_run(accumulate):
    """Its train.py, in short: what is drawn when, and what is estimated when."""
    torch = pytest.importorskip("torch")
    chosen = settings(gradient_accumulation_steps=accumulate, max_iters=20)
    minigrad.manual_seed(1337)
    ours = GPT(chosen.config(len(CORPUS.vocab))).double()
    history = CausalTrainer(ours, chosen).fit(CORPUS.train, CORPUS.valid)
    torch.manual_seed(1337)
    module = on_torch("gpt")
    model = module.GPT(module.GPTConfig(**vars(chosen.config(len(CORPUS.vocab))))).double()
    texts = [torch.tensor(ids.numpy()) for ids in (CORPUS.train, CORPUS.valid)]
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99))

    def get_batch(ids):
        ix = torch.randint(len(ids) - 8, (4,))
        return [torch.stack([ids[i + k : i + k + 8] for i in ix]) for k in (0, 1)]

    expected = []
    x, y = get_batch(texts[0])
    for update in range(21):
        for group in optimizer.param_groups:
            group["lr"] = chosen.rate(update)
        if update % 10 == 0:
            with torch.no_grad():
                means = [
                    sum(model(*get_batch(ids))[1].item() for _ in range(3)) / 3 for ids in texts
                ]
            expected.append(means)
        for _ in range(accumulate):
            loss = model(x, y)[1] / accumulate
            x, y = get_batch(texts[0])
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    found = [[e.train_loss, e.valid_loss] for e in history.epochs]
    assert [e.number for e in history.epochs] == [0, 10, 20]
    # the first weights, drawn in float32, agree but for the last bit
    numpy.testing.assert_allclose(found, expected, rtol=1e-6)


def test_matrices_alone_decay():
    model = model_of(settings(bias=True))
    decayed, spared = decay_groups(model, 0.1)
    names = {id(w): name for name, w in model.named_parameters()}
    assert all(
        names[id(w)].endswith("weight") and "ln_" not in names[id(w)] for w in decayed["params"]
    )
    assert {names[id(w)].split(".")[-2:][0][:3] for w in spared["params"]} >= {"ln_", "c_f"}
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.1, 0.0)
    assert len(decayed["params"]) + len(spared["params"]) == len(names)
    weight, shift = model.transformer.h[0].mlp.c_fc.weight, model.transformer.ln_f.weight
    before = weight.detach().clone(), shift.detach().clone()
    trainer = CausalTrainer(model, settings(weight_decay=0.5, bias=True))
    trainer.set_rate(0.1)
    for parameter in model.parameters():
        parameter.grad = minigrad.zeros_like(parameter)
    trainer.optimizer.step()
    numpy.testing.assert_allclose(weight.detach().numpy(), before[0].numpy() * 0.95, rtol=1e-6)
    assert (shift == before[1]).all()


def test_one_update_of_three_batches_is_one_of_a_batch_three_times_as_large():
    losses = []
    for size, accumulate in ((12, 1), (4, 3)):
        chosen = settings(batch_size=size, gradient_accumulation_steps=accumulate)
        model = model_of(chosen).double()
        trainer = CausalTrainer(model, chosen)
        minigrad.manual_seed(1)
        losses.append([trainer.step(update, CORPUS.train) for update in range(4)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-9)


def test_training_learns_and_resumes_exactly(tmp_path):
    whole = train_gpt(CORPUS, settings(dropout=0.1), tmp_path / "whole")
    assert [e.number for e in whole.history.epochs] == [0, 10, 20, 30]
    assert whole.history.epochs[-1].valid_loss < 2.6 < math.log(len(CORPUS.vocab))
    train_gpt(CORPUS, settings(dropout=0.1, max_iters=20), tmp_path / "parts")
    parts = train_gpt(
        CORPUS, settings(dropout=0.1), tmp_path / "parts",
        resume=tmp_path / "parts" / "last.safetensors",
    )  # fmt: skip
    assert parts.valid_loss == whole.valid_loss
    figures = [
        [(e.number, e.train_loss, e.valid_loss) for e in run.history.epochs]
        for run in (parts, whole)
    ]
    assert figures[0] == figures[1]
    weights = [run.language_model.model.state_dict() for run in (parts, whole)]
    assert all((weights[0][name] == weights[1][name]).all() for name in weights[0])
    with pytest.raises(ValueError, match="was trained with n_embd 16, not 8"):
        train_gpt(
            CORPUS, settings(dropout=0.1, n_embd=8), resume=tmp_path / "parts/last.safetensors"
        )


def test_samples_leave_the_random_stream_alone():
    samples = []
    with_samples = train_gpt(CORPUS, settings(), sample=samples.append, sample_length=20)
    assert [len(text) for text in samples] == [20] * 4
    assert with_samples.valid_loss == train_gpt(CORPUS, settings()).valid_loss
    model = model_of(settings(dropout=0.5)).train()
    minigrad.manual_seed(1)
    first = estimate_loss(model, CORPUS.valid, settings())
    minigrad.manual_seed(1)
    assert estimate_loss(model, CORPUS.valid, settings()) == first  # there is no dropout
    assert model.training


def test_the_loss_of_the_whole_text():
    model = model_of(settings()).double().eval()
    ids = CORPUS.valid[:29]  # 3 blocks of 8 and one of 4
    total = sum(
        causal_loss(model, ids[None, i : i + 8][:, : len(ids) - 1 - i], ids[None, i + 1 : i + 9])
        * min(8, 28 - i)
        for i in range(0, 28, 8)
    )
    assert text_loss(model, ids, 8) == pytest.approx(float(total) / 28, rel=1e-12)


def test_estimates_come_near_the_whole_text():
    chosen = settings(eval_iters=200)
    model = model_of(chosen)
    with minigrad.no_grad():
        for weight in model.parameters():
            weight.mul_(3)
    ids = minigrad.tensor(numpy.random.default_rng(0).integers(0, len(CORPUS.vocab), 2000))
    assert estimate_loss(model, ids, chosen) == pytest.approx(text_loss(model, ids, 8), rel=0.02)


def test_any_causal_model_can_be_trained():
    minigrad.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(CORPUS.vocab), n_positions=8, n_embd=16, n_layer=1, n_head=2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    minigrad.manual_seed(0)
    history = CausalTrainer(model, settings(max_iters=20)).fit(CORPUS.train, CORPUS.valid)
    assert history.best.valid_loss < 2.7


def test_saved_folders(tmp_path):
    result = train_gpt(CORPUS, settings(max_iters=10), progress=None)
    model = result.language_model
    model.save(tmp_path / "gpt")
    found = load_language_model(tmp_path / "gpt")
    assert isinstance(found, GPTLanguageModel) and found.settings == model.settings
    text = model.generate("the ", 12, seed=1, top_k=3)
    assert len(text) == 12 and found.generate("the ", 12, seed=1, top_k=3) == text
    assert found.perplexity(CORPUS.test) == model.perplexity(CORPUS.test) > 1
    with pytest.raises(ValueError, match="characters that the model does not know: 'q'"):
        found.generate("q", 2)
    sizes = LanguageModelSettings(embed_dim=4, hidden_size=4)
    LanguageModel(sizes, CORPUS.vocab, "character").save(tmp_path / "lstm")
    assert type(load_language_model(tmp_path / "lstm")) is LanguageModel
    with pytest.raises(ValueError, match="describes a 'language model', not a 'gpt'"):
        GPTLanguageModel.load(tmp_path / "lstm")
    for text, message in (
        ("[]", "a list"),
        ("{", "no JSON"),
        ("{}", "no language"),
        ('{"kind": 3}', "a 3"),
    ):
        (tmp_path / "lstm" / "settings.json").write_text(text)
        with pytest.raises(ValueError, match=f"settings.json.*{message}"):
            load_language_model(tmp_path / "lstm")
    with pytest.raises(FileNotFoundError, match="settings.json is missing"):
        load_language_model(tmp_path)


def test_pictures_and_progress(tmp_path):
    console = pytest.importorskip("rich.console").Console(record=True, width=100)
    pytest.importorskip("matplotlib")
    with UpdateProgress(console, 32) as progress:
        result = train_gpt(CORPUS, settings(), tmp_path, progress)
    lines = console.export_text()
    assert "update  train loss" in lines and f"{result.history.best.valid_loss:.4f}" in lines
    plot_language_history(result.history, tmp_path / "h.png", "a", False, "update")
    assert (tmp_path / "h.png").read_bytes()[:4] == b"\x89PNG"
    result.history.save(tmp_path / "h.json")
    assert len(json.loads((tmp_path / "h.json").read_text())) == 4


def test_a_file_of_ones_own(tmp_path):
    (tmp_path / "rhyme.txt").write_text(RHYME, encoding="utf-8")
    corpus = characters_of_file(tmp_path / "rhyme.txt")
    assert (corpus.name, corpus.level) == ("rhyme", "character")
    assert len(corpus.train) == int(0.9 * len(RHYME)) and len(corpus.test) == 0
    both = [*corpus.train.tolist(), *corpus.valid.tolist()]
    assert "".join(corpus.vocab.lookup_tokens(both)) == RHYME


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(batch_size=0), "batch_size must be at least 1, not 0"),
        (dict(learning_rate=-1.0), "learning_rate must be 0 or greater, not -1.0"),
        (dict(grad_clip=math.inf), "grad_clip must be 0 or greater, not inf"),
        (dict(warmup_iters=30), "a warm-up of 30 updates leaves none of 30"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        settings(**changes)


def test_what_goes_wrong_in_training_is_told():
    with pytest.raises(ValueError, match="8 ids are too few for windows of 8"):
        CausalTrainer(model_of(settings()), settings()).fit(CORPUS.train, CORPUS.valid[:8])
    chosen = settings(learning_rate=1e30, min_lr=1e30, grad_clip=0)
    with pytest.raises(RuntimeError, match=r"update \d+: the loss is (nan|inf)"):
        CausalTrainer(model_of(chosen), chosen).fit(CORPUS.train, CORPUS.valid)


def test_both_sides_of_the_benchmark(tmp_path):
    pytest.importorskip("torch")
    from minigrad.benchmarks import nanogpt
    from minigrad.benchmarks.nanogpt_side import Side

    nanogpt.prepare(tmp_path, CORPUS, settings(), 6)
    sides = [Side(name, tmp_path) for name in ("minigrad", "torch")]
    first = model_of(settings(), settings().seed).state_dict()
    for side in sides:  # the warm-up leaves nothing behind
        for name, weight in side.model.state_dict().items():
            assert (weight.numpy() == first[name].numpy()).all()
    found = [side.train(0, 6) for side in sides]
    assert found[0]["losses"] == pytest.approx(found[1]["losses"], rel=1e-4)
    assert found[0]["losses"][-1] < found[0]["losses"][0]
    estimates = [side.estimate(1) for side in sides]
    assert estimates[0]["valid"] == pytest.approx(estimates[1]["valid"], rel=1e-4)
    ids = CORPUS.valid[: (len(CORPUS.valid) - 1) // 8 * 8 + 1]
    expected = text_loss(sides[0].model, ids, 8)
    assert [side.text()["loss"] for side in sides] == pytest.approx([expected] * 2, rel=1e-4)


def test_commands(tmp_path):
    testing = pytest.importorskip("typer.testing")
    from minigrad.cli import _app

    (tmp_path / "rhyme.txt").write_text(RHYME, encoding="utf-8")
    run = lambda *words: testing.CliRunner().invoke(_app(), [str(word) for word in words])
    small = "--updates 12 --layers 1 --heads 2 --width 8 --context 8 --batch-size 4".split()
    done = run("lm", tmp_path / "rhyme.txt", "--out", tmp_path / "gpt", *small)
    assert done.exit_code == 0 and "validation loss, whole text" in done.output
    assert (tmp_path / "gpt" / "history.png").is_file()
    again = run("lm", tmp_path / "rhyme.txt", "--out", tmp_path / "gpt", *small, "--resume")
    assert again.exit_code == 0  # nothing is left to do
    written = run("generate", tmp_path / "gpt", "--prompt", "the ", "--length", 5)
    assert written.exit_code == 0 and len(written.output) == len("the ") + 5 + 1
    for option in ("--int8", "--beams=2", "--min-p=0.1", "--stop=x", "--repetition-penalty=2"):
        refused = run("generate", tmp_path / "gpt", "--prompt", "the ", option)
        assert isinstance(refused.exception, ValueError)
        assert f"{option.split('=')[0]} is for published models" in str(refused.exception)


def test_a_text_longer_than_names_of_files_is_no_folder(monkeypatch):
    testing = pytest.importorskip("typer.testing")
    from minigrad import cli

    def load(model, int8):
        raise LookupError(f"model {model}")

    monkeypatch.setattr(cli.generate, "load", load)
    written = testing.CliRunner().invoke(cli._app(), ["generate", "the " * 200])
    assert isinstance(written.exception, LookupError) and str(written.exception) == "model None"

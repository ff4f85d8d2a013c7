"""GloVe: the model against torch, counts against the plain definition, the loop against autograd."""

import json
import math
import os
import subprocess
import sys

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minigrad.kernels import cooccurrence as pairs_kernel
from minigrad.kernels import glove as kernel
from minigrad.kernels.kernel import REFERENCE_ONLY
from model_checks import check_model

import minigrad
from minigrad import optim
from minigrad.models import GloVe
from minigrad.text import cooccurrence
from minigrad.text.cooccurrence import Cooccurrence, count_cooccurrences
from minigrad.text.encoded import encode
from minigrad.train.vectors.glove import GloveTraining, train_glove

TEXT = [line.split() for line in ("a b a c", "b c", "a a a", "", "d", "c b a b c a a b")]


def test_model_equals_torch():
    draw = numpy.random.default_rng(0)
    i, j, x = draw.integers(0, 6, 20), draw.integers(0, 6, 20), draw.uniform(0.1, 200, 20)

    def loss(model, library, tensor):
        ids = library.tensor(i), library.tensor(j)
        return model(*ids, tensor(x)), (model.vectors(), model.weight(tensor(x)))

    check_model("glove", lambda models, library: models.GloVe(6, 4), loss)


def test_weight_is_the_paper_s():
    found = GloVe(3, 4).weight(minigrad.tensor([1.0, 50.0, 100.0, 1000.0])).tolist()
    assert found == pytest.approx([0.01**0.75, 0.5**0.75, 1, 1])


def plainly(sentences, words, window, symmetric, harmonic):
    """The definition: a matrix, filled pair by pair."""
    index = {word: i for i, word in enumerate(words)}
    out = numpy.zeros((len(words), len(words)))
    for sentence in sentences:
        ids = [index[word] for word in sentence if word in index]
        for p, here in enumerate(ids):
            for q in range(max(0, p - window), p):
                value = 1 / (p - q) if harmonic else 1
                out[here, ids[q]] += value
                if symmetric:
                    out[ids[q], here] += value
    return out


sentences = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=12), min_size=1, max_size=12)


@given(
    sentences, st.integers(1, 12), st.booleans(), st.booleans(), st.sampled_from([4096, 1 << 20])
)
@settings(deadline=None, max_examples=60)
def test_counts_equal_the_definition(text, window, symmetric, harmonic, memory):
    text = [*text, ["a", "b"]]
    found = count_cooccurrences(
        text, window, 1, symmetric=symmetric, harmonic=harmonic, memory=memory
    )
    expected = plainly(text, found.words, window, symmetric, harmonic)
    numpy.testing.assert_allclose(found.dense(), expected, rtol=1e-6)
    assert found.rows.dtype == found.columns.dtype == numpy.int32
    assert found.values.dtype == numpy.float32
    keys = found.rows.astype(int) * len(found.words) + found.columns
    assert (numpy.diff(keys) > 0).all()
    if symmetric:
        assert (found.rows <= found.columns).all()


def much(seed=0, size=300, length=4000):
    draw = numpy.random.default_rng(seed)
    ids = numpy.minimum(draw.zipf(1.3, length), size)
    words = [f"w{i}" for i in ids]
    return [words[k : k + 40] for k in range(0, length, 40)]


def test_counts_through_many_runs_on_disk_are_the_same(monkeypatch, tmp_path):
    text = much()
    expected = count_cooccurrences(text, min_count=2)
    monkeypatch.setattr(cooccurrence, "ENTRIES", 64)
    monkeypatch.setattr(cooccurrence, "SAMPLE", 16)
    runs = []
    spill = cooccurrence._Table.spill
    monkeypatch.setattr(cooccurrence._Table, "spill", lambda t: (runs.append(t.used), spill(t)))
    few = count_cooccurrences(text, min_count=2, memory=1 << 14)
    assert len(runs) > 5
    on_disk = count_cooccurrences(text, min_count=2, memory=1 << 14, folder=tmp_path / "counts")
    for found in (few, on_disk):
        assert found.words == expected.words
        for name in ("rows", "columns", "counts"):
            numpy.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
        numpy.testing.assert_allclose(found.values, expected.values, rtol=1e-6)
    assert isinstance(on_disk.values, numpy.memmap)
    assert sorted(p.name for p in (tmp_path / "counts").iterdir()) == [
        "columns.npy", "rows.npy", "values.npy", "words.json",
    ]  # fmt: skip
    one, other = (train_glove(counts, dim=4, epochs=1) for counts in (few, on_disk))
    numpy.testing.assert_array_equal(one.vectors, other.vectors)


def test_counts_are_saved_and_read(tmp_path):
    counts = count_cooccurrences(TEXT, 3, 1, symmetric=False)
    counts.save(tmp_path / "counts")
    found = Cooccurrence.load(tmp_path / "counts")
    assert found.words == counts.words == ["a", "b", "c", "d"]
    assert found.counts.tolist() == [8, 5, 4, 1]
    assert found.symmetric is False
    numpy.testing.assert_array_equal(found.dense(), counts.dense())
    (tmp_path / "counts" / "words.json").write_text(json.dumps({"words": ["a"]}))
    with pytest.raises(ValueError, match="holds no counts"):
        Cooccurrence.load(tmp_path / "counts")


@pytest.mark.parametrize("symmetric", [True, False])
def test_pairs_in_both_orders_make_the_matrix(symmetric):
    counts = count_cooccurrences(much(), 5, 2, symmetric=symmetric)
    rows, columns, values = counts.pairs()
    assert (rows.dtype, columns.dtype, values.dtype) == ("int64", "int64", "float32")
    matrix = numpy.zeros_like(counts.dense())
    matrix[rows, columns] = values
    numpy.testing.assert_array_equal(matrix, counts.dense())
    assert len(rows) == numpy.count_nonzero(matrix)


def test_rare_words_are_out_before_distances_count():
    counts = count_cooccurrences([["a", "x", "b"], ["a", "y", "b"]], 1, 2)
    assert counts.words == ["a", "b"]
    assert counts.dense().tolist() == [[0, 2], [2, 0]]
    assert count_cooccurrences(TEXT, 2, 1, max_words=2).words == ["a", "b"]
    assert repr(counts) == "Cooccurrence(2 words, 1 pairs)"


def test_a_corpus_may_be_files_or_encoded(tmp_path):
    (tmp_path / "text").write_text("\n".join(" ".join(line) for line in TEXT))
    expected = count_cooccurrences(TEXT, 3, 2)
    for corpus in (tmp_path / "text", encode(TEXT, 2), iter(TEXT)):
        found = count_cooccurrences(corpus, 3, 2)
        assert found.words == expected.words
        numpy.testing.assert_array_equal(found.dense(), expected.dense())


def test_wrong_arguments():
    with pytest.raises(ValueError, match="window must be at least 1"):
        count_cooccurrences(TEXT, 0)
    with pytest.raises(ValueError, match="occurs 100 times"):
        count_cooccurrences(TEXT, min_count=100)
    with pytest.raises(ValueError, match="too few for window 5000"):
        count_cooccurrences(TEXT, 5000, 1, memory=4096)
    with pytest.raises(ValueError, match="don't go together"):
        Cooccurrence(["a"], [1], [0], [0], [])
    with pytest.raises(ValueError, match="dim must be greater than 0"):
        train_glove(TEXT, dim=0)
    with pytest.raises(ValueError, match="no two words"):
        train_glove([["a"], ["a"]], min_count=1)


@given(st.lists(st.integers(-1, 9), max_size=80), st.integers(1, 6), st.booleans(), st.booleans())
@settings(deadline=None, max_examples=60)
def test_count_pairs_equals_its_reference(ids, window, symmetric, harmonic):
    ids = numpy.array(ids, numpy.int64)
    results = []
    for count in (pairs_kernel.count_pairs.reference, pairs_kernel.count_pairs[numpy]):
        keys, sums = numpy.full(64, -1), numpy.zeros(64)
        begin = used = 0
        emptied = []
        for _ in range(1 + len(ids)):
            begin, used = count(ids, begin, window, 10, symmetric, harmonic, keys, sums, used)
            emptied.append((begin, used, keys.copy(), sums.copy()))
            if begin == len(ids):
                break
            keys[:], sums[:], used = -1, 0, 0
        assert begin == len(ids)
        results.append(emptied)
    for one, other in zip(*results, strict=True):
        assert one[:2] == other[:2]
        numpy.testing.assert_array_equal(one[2], other[2])
        numpy.testing.assert_allclose(one[3], other[3], rtol=1e-12)


@pytest.mark.parametrize("symmetric", [True, False])
def test_blocks_hold_every_pair_once(symmetric):
    counts = count_cooccurrences(much(), min_count=2, symmetric=symmetric)
    expected = counts.dense()
    for blocks in (kernel.glove_blocks.reference, kernel.glove_blocks[numpy]):
        rows, columns, values, starts = blocks(
            counts.rows, counts.columns, counts.values, symmetric, 7
        )
        matrix = numpy.zeros_like(expected)
        numpy.add.at(matrix, (rows, columns), values)
        numpy.testing.assert_array_equal(matrix, expected)
        assert len(rows) == numpy.count_nonzero(expected) == starts[-1]
        for number in range(kernel.STRIPES**2):
            part = slice(starts[number], starts[number + 1])
            shift, stripe = divmod(number, kernel.STRIPES)
            assert (rows[part] % kernel.STRIPES == stripe).all()
            assert (columns[part] % kernel.STRIPES == (stripe + shift) % kernel.STRIPES).all()
        assert (numpy.diff(rows[: starts[1]]) < 0).any(), "the pairs are still in order"


def test_round_equals_its_reference():
    counts = count_cooccurrences(much(), min_count=2)
    found = []
    for choose in (lambda k: k.reference, lambda k: k[numpy]):
        training = GloveTraining(counts, 6, seed=3)
        tables = training.word, training.squares[0], training.context, training.squares[1]
        loss = sum(
            choose(kernel.glove_round)(
                k * kernel.STRIPES, training.starts, training.rows, training.columns,
                training.weights, training.logs, tables, 0.05,
            )
            for k in range(kernel.STRIPES)
        )  # fmt: skip
        found.append((loss, *tables))
    for one, other in zip(*found, strict=True):
        numpy.testing.assert_allclose(one, other, rtol=2e-4, atol=2e-6)


def test_a_step_is_half_of_autograd_s_gradient():
    """The loop's steps, one pair after another, against the model's gradient in float64."""
    counts = count_cooccurrences(TEXT, 4, 1)
    dim, lr = 5, 0.1
    training = GloveTraining(counts, dim, lr=lr, x_max=2.0)
    training.word, training.context = training.word.astype("f8"), training.context.astype("f8")
    training.squares = tuple(x.astype("f8") for x in training.squares)
    model = GloVe(len(counts.words), dim, x_max=2.0).double()
    model.word.weight.data = minigrad.tensor(training.word[:, :-1].copy())
    model.context.weight.data = minigrad.tensor(training.context[:, :-1].copy())
    model.word_bias.weight.data = minigrad.tensor(training.word[:, -1:].copy())
    model.context_bias.weight.data = minigrad.tensor(training.context[:, -1:].copy())
    squares = {name: numpy.ones(p.shape) for name, p in model.named_parameters()}
    dense = counts.dense()
    losses = []
    # only one round's blocks may run together: go through them in the loop's order
    order = GloveTraining(counts, dim, lr=lr, x_max=2.0).draw.permutation(kernel.STRIPES).tolist()
    for number in order:
        first = number * kernel.STRIPES
        begin, end = training.starts[first], training.starts[first + kernel.STRIPES]
        for k in range(begin, end):
            i, j = int(training.rows[k]), int(training.columns[k])
            model.zero_grad()
            loss = model(
                minigrad.tensor([i]),
                minigrad.tensor([j]),
                minigrad.tensor([float(dense[i, j])]).double(),
            )
            loss.backward()
            losses.append(loss.item())
            for name, parameter in model.named_parameters():
                step = lr * parameter.grad.numpy() / 2
                parameter.data -= minigrad.tensor(step / numpy.sqrt(squares[name]))
                squares[name] += step**2
    loss = training.epoch()
    assert loss == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    found = model.state_dict()
    for table, name in ((training.word, "word"), (training.context, "context")):
        for part, key in ((table[:, :-1], name), (table[:, -1:], f"{name}_bias")):
            numpy.testing.assert_allclose(
                found[f"{key}.weight"].numpy(), part, rtol=1e-6, atol=1e-9
            )


def test_an_optimizer_of_the_library_trains_the_model_too():
    counts = count_cooccurrences(TEXT, 4, 1)
    i, j, x = map(minigrad.as_tensor, counts.pairs())
    minigrad.manual_seed(0)
    model = GloVe(4, 8, x_max=2.0)
    optimizer = optim.Adagrad(model.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = model(i, j, x)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.01 * losses[0]


def test_training_lowers_the_loss_and_finds_neighbours():
    draw = numpy.random.default_rng(0)
    themes = ["cat dog pet fur tail".split(), "bread cheese wine cake soup".split()]
    text = [draw.choice(themes[k % 2], 8).tolist() for k in range(300)]
    losses = []
    vectors = train_glove(text, 10, 30, min_count=1, each_epoch=lambda n, x: losses.append((n, x)))
    assert [n for n, _ in losses] == list(range(1, 31))
    assert losses[-1][1] < 0.02 * losses[0][1]
    assert all(math.isfinite(x) for _, x in losses)
    for word in ("cat", "wine"):
        theme = next(t for t in themes if word in t)
        assert {near for near, _ in vectors.nearest(word, 4)} == set(theme) - {word}


def test_the_same_bits_for_any_number_of_threads_and_on_every_run():
    counts = count_cooccurrences(much(), min_count=2)
    threads = minigrad.get_num_threads()
    found = []
    try:
        for n in (1, 2, 2, 3):
            minigrad.set_num_threads(n)
            found.append(train_glove(counts, 7, 2, seed=4).vectors)
    finally:
        minigrad.set_num_threads(threads)
    for other in found[1:]:
        numpy.testing.assert_array_equal(found[0], other)
    assert (train_glove(counts, 7, 2, seed=5).vectors != found[0]).any()


def test_a_rate_that_is_too_great_is_told():
    with pytest.raises(RuntimeError, match="lr 1e\\+30 is too great"):
        train_glove(TEXT, 3, 5, lr=1e30, min_count=1)


@pytest.mark.cpu_only(reason="a process of its own, in which the CPU is the default")
@pytest.mark.skipif(REFERENCE_ONLY, reason="the references are what runs already")
def test_it_all_works_on_the_references():
    program = (
        "from minigrad.train.vectors.glove import train_glove\n"
        "text = [['a', 'b', 'c', 'a']] * 9\n"
        "print(train_glove(text, 3, 2, min_count=1))"
    )
    environment = os.environ | {"MINIGRAD_KERNELS": "reference"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert "WordVectors(3 words, 3 numbers each)" in done.stdout

"""save and load: both ways with torch, refusing code, surviving damage."""

import collections
import io
import os
import pickle

import numpy
import pytest

import minigrad as mg

torch = pytest.importorskip("torch")


def to_torch(obj):
    buffer = io.BytesIO()
    mg.save(obj, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True, map_location="cpu")


def from_torch(obj, **options):
    buffer = io.BytesIO()
    torch.save(obj, buffer, **options)
    buffer.seek(0)
    return mg.load(buffer)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(
    "make", ["Linear(3, 4)", "LSTM(3, 4, 2, bidirectional=True)", "BatchNorm1d(5)"]
)
def test_state_dicts_go_both_ways(make, legacy):
    theirs, ours = (eval(f"t.nn.{make}", {"t": t}) for t in (torch, mg))
    theirs.load_state_dict(to_torch(ours.state_dict()))
    for name, value in theirs.state_dict().items():
        assert numpy.array_equal(value.numpy(), ours.state_dict()[name].numpy())
    fresh = eval(f"torch.nn.{make}", {"torch": torch})
    ours.load_state_dict(from_torch(fresh.state_dict(), _use_new_zipfile_serialization=not legacy))
    for name, value in fresh.state_dict().items():
        assert numpy.array_equal(value.numpy(), ours.state_dict()[name].numpy())


def test_optimizer_state():
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    ours = mg.optim.Adam(mg.nn.Linear(2, 2).parameters())
    ours.load_state_dict(from_torch(optimizer.state_dict()))
    again = to_torch(ours.state_dict())
    assert torch.equal(again["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])


DTYPES = "bool uint8 int8 int16 int32 int64 float16 float32 float64 bfloat16".split()


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(dtype):
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    x = mg.tensor([1, 0, 1]).to(getattr(mg, dtype))
    theirs = to_torch(x)
    assert str(theirs.dtype) == f"torch.{dtype}" and theirs.tolist() == x.tolist()
    back = from_torch(theirs)
    assert back.dtype == x.dtype and back.tolist() == x.tolist()


def test_views_sharing_and_containers():
    x = mg.arange(6.0).reshape(2, 3)
    saved = {
        "t": x.T, "row": x[1], "e": mg.zeros(0, 3), "s": mg.tensor(2.5), "wide": x[0].expand(2, 3),
        "p": mg.nn.Parameter(mg.ones(2)), "list": [1, 2.5, None, "s", (True, b"x"), {3}],
        "size": x.shape, "dtype": mg.float16, "device": mg.device("cpu"),
        "order": collections.OrderedDict(a=1), "np": numpy.float64(2.5),
    }  # fmt: skip
    theirs = to_torch(saved)
    assert torch.equal(theirs["t"], torch.arange(6.0).reshape(2, 3).T)
    theirs["t"][2, 1] = 50
    assert theirs["row"][2] == 50  # they share one memory, as they did here
    assert isinstance(theirs["p"], torch.nn.Parameter) and theirs["list"] == saved["list"]
    assert theirs["dtype"] == torch.float16 and theirs["np"] == 2.5
    ours = from_torch(theirs)
    ours["row"][2] = 9
    assert ours["t"][2, 1].item() == 9 and ours["wide"].tolist() == [[0.0, 1.0, 2.0]] * 2
    assert isinstance(ours["p"], mg.nn.Parameter) or ours["p"].requires_grad
    assert from_torch({"n": numpy.float64(2.5), "c": collections.Counter("aab")})["c"]["a"] == 2


class Evil:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


ATTACKS = {
    "system": Evil(os.system, ("echo attacked > attacked",)),
    "eval": Evil(eval, ("open('attacked', 'w')",)),
    "getattr": Evil(getattr, (Evil(__import__, ("os",)), "system")),
    "nested": {"state": [Evil(exec, ("open('attacked', 'w')",))]},
}


@pytest.mark.parametrize("name", ATTACKS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_code_is_refused(name, wrapped, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    payload = pickle.dumps(ATTACKS[name], protocol=2)
    if wrapped:
        buffer = io.BytesIO()
        torch.save(ATTACKS[name], buffer)
        payload = buffer.getvalue()
    with pytest.raises(pickle.UnpicklingError, match="not on the list|no checkpoint"):
        mg.load(io.BytesIO(payload))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_truncated_anywhere(legacy):
    buffer = io.BytesIO()
    torch.save({"a": torch.ones(50)}, buffer, _use_new_zipfile_serialization=not legacy)
    raw = buffer.getvalue()
    for end in range(0, len(raw) - 1, 17):
        with pytest.raises((RuntimeError, pickle.UnpicklingError)):
            mg.load(io.BytesIO(raw[:end]))


def test_sizes_are_checked_against_the_memory():
    class Lying:
        def __reduce__(self):
            storage = torch.ones(3).untyped_storage()
            return torch._utils._rebuild_tensor_v2, (
                torch.storage.TypedStorage(wrap_storage=storage, dtype=torch.float32, _internal=True),
                0, (1000,), (1,), False, collections.OrderedDict(),
            )  # fmt: skip

    buffer = io.BytesIO()
    torch.save(Lying(), buffer)
    buffer.seek(0)
    with pytest.raises(RuntimeError, match="reaches beyond its storage of 3 numbers"):
        mg.load(buffer)


def test_what_cannot_be_saved_is_named(tmp_path):
    with pytest.raises(TypeError, match=r"the object\['m'\] is a Linear.*state_dict\(\)"):
        mg.save({"m": mg.nn.Linear(1, 1)}, tmp_path / "x.pt")
    with pytest.raises(TypeError, match=r"\['f'\]\[1\] is a function"):
        mg.save({"f": [1, len.__class__ and (lambda: 0)]}, tmp_path / "x.pt")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.safetensors"
    mg.save({"a": mg.ones(2)}, path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match="'b' is a int"):
        mg.save({"a": mg.zeros(2), "b": 1}, path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    assert mg.load(path)["a"].tolist() == [1.0, 1.0]
    path.write_bytes(before[:-3])
    with pytest.raises(RuntimeError, match="truncated or corrupt"):
        mg.load(path)


def test_a_failed_load_leaves_the_model(tmp_path):
    model = mg.nn.Sequential(mg.nn.Linear(2, 3), mg.nn.Linear(3, 1))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    wrong = {**before, "1.weight": mg.zeros(1, 4)}
    wrong["0.weight"] = mg.zeros(3, 2)
    with pytest.raises(RuntimeError, match=r"size mismatch for 1.weight"):
        model.load_state_dict(wrong)
    assert all(mg.equal(v, before[k]) for k, v in model.state_dict().items())

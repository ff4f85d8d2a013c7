"""The stand-in for CuPy is as strict as CuPy, and has nothing that CuPy hasn't."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from stand_in import FOLDER, cuda  # noqa: F401

RECORDED = json.loads((FOLDER / "cupy" / "recorded.json").read_text())
HOST = numpy.arange(6.0).reshape(2, 3)


@pytest.fixture
def x(cuda):  # noqa: F811
    return cuda.asarray(HOST)


REFUSED = {
    "asarray": lambda cupy, x: numpy.asarray(x),
    "numpy's exp": lambda cupy, x: numpy.exp(x),
    "numpy's add": lambda cupy, x: numpy.add(x, 1),
    "numpy's where": lambda cupy, x: numpy.where(x > 0, x, 0),
    "numpy's sum": lambda cupy, x: numpy.sum(x),
    "array + numpy": lambda cupy, x: x + HOST,
    "numpy + array": lambda cupy, x: HOST + x,
    "a number in a NumPy array": lambda cupy, x: x * numpy.asarray(2.0),
    "array @ numpy": lambda cupy, x: x @ HOST.T,
    "array == numpy": lambda cupy, x: x == HOST,
    "array += numpy": lambda cupy, x: x.__iadd__(HOST),
    "cupy.exp of numpy": lambda cupy, x: cupy.exp(HOST),
    "cupy.sum of numpy": lambda cupy, x: cupy.sum(HOST),
    "cupy.concatenate with numpy": lambda cupy, x: cupy.concatenate([x, HOST]),
    "cupy.where with numpy": lambda cupy, x: cupy.where(x > 0, x, HOST),
    "a list": lambda cupy, x: x + [1, 2, 3],
    "assignment from numpy": lambda cupy, x: x.__setitem__(0, HOST[0]),
    "into numpy": lambda cupy, x: HOST.copy().__setitem__(..., x),
    "as an index of a list": lambda cupy, x: [1, 2][cupy.asarray(1)],
    "as a range": lambda cupy, x: range(cupy.asarray(3)),
    "hash": lambda cupy, x: hash(x),
    "where=": lambda cupy, x: x.sum(where=x > 1),
    "initial=": lambda cupy, x: cupy.max(x, initial=2.0),
    "keyword that isn't there": lambda cupy, x: cupy.take(x, cupy.asarray([0]), mode="clip"),
    "bool minus bool": lambda cupy, x: (x > 0) - (x > 1),
    "float shift": lambda cupy, x: x << 1,
    "float into int": lambda cupy, x: x.astype(int).__iadd__(x),
    "scatter_add of int64": lambda cupy, x: cupy.add.at(
        x.astype("int64"), cupy.asarray([0]), cupy.asarray(1)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_with_a_type_error(cuda, x, name):  # noqa: F811
    with pytest.raises(TypeError):
        REFUSED[name](cuda, x)
    assert (x.get() == HOST).all()


def test_names_that_cupy_has_not(cuda, x):  # noqa: F811
    for name in ("ctypes", "writeable", "__index__", "__contains__", "setflags", "resize"):
        assert not hasattr(x, name)
    assert not hasattr(x.flags, "writeable")
    for name in ("vectorize", "errstate", "object_", "nditer", "apply_over_axes_", "testing_"):
        with pytest.raises(AttributeError):
            getattr(cuda, name)


def test_operations_that_cupy_has_not(cuda, x):  # noqa: F811
    for call in (
        lambda: cuda.multiply.at(x, (0,), 2.0),
        lambda: cuda.logaddexp.accumulate(x),
        lambda: cuda.maximum.reduce(x),
    ):
        with pytest.raises(NotImplementedError):
            call()
    with pytest.raises(ValueError, match="Unsupported dtype"):
        cuda.array([None])
    with pytest.raises(AttributeError):
        cuda.where(True, x, x)
    with pytest.raises(IndexError):
        x[HOST[0].astype(int)]


def test_results_are_arrays_and_views_share_memory(cuda, x):  # noqa: F811
    for result in (x.sum(), x[0, 0], cuda.max(x), x.mean(axis=0), -x, x == 1, cuda.sqrt(x[1, 1])):
        assert type(result) is cuda.ndarray
    row = x[1]
    row += 10
    x.T[0, 0] = -1
    assert x.tolist() == [[-1, 1, 2], [13, 14, 15]]
    assert row.base is x and x.base is None and x.reshape(3, 2).base is x
    assert row.data.ptr - x.data.ptr == 24 and row.data.mem is x.data.mem
    assert cuda.may_share_memory(x, row) and not cuda.may_share_memory(x, x.copy())
    assert x[0].flags.c_contiguous and not x.T.flags.c_contiguous and x.strides == (24, 8)
    assert (x.get() is not x.get()) and x.device.id == 0


def test_dtypes_are_those_of_cupy(cuda, x):  # noqa: F811
    single, whole = x.astype("float32"), cuda.arange(3)
    assert (single * 2.5).dtype == single.dtype == (numpy.float32(2) * single).dtype
    assert (numpy.float64(2) * single).dtype == "float64"
    assert (whole / 2).dtype == (whole * 2.5).dtype == "float64"
    assert cuda.exp(cuda.arange(3, dtype="int8")).dtype == "float16"
    assert (whole == 1).dtype == bool and (whole.astype("int32") + whole).dtype == "int64"


def test_an_index_array_wraps_around_and_new_memory_is_odd(cuda, x):  # noqa: F811
    assert x[cuda.asarray([2, -3])].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert cuda.take(x, cuda.asarray([7])).tolist() == [1]
    with pytest.raises(IndexError):
        x[2]
    assert numpy.isnan(cuda.empty(3).get()).all() and cuda.empty(2, int)[0] > 1 << 60
    unstable = cuda.linalg.cholesky(-cuda.eye(2))
    assert numpy.isnan(unstable.get()).all()


def test_arrays_of_another_device_are_refused(cuda):  # noqa: F811
    if cuda.cuda.runtime.getDeviceCount() < 2:
        pytest.skip("needs two devices")
    with cuda.cuda.Device(1):
        there = cuda.ones(3)
    for call in (lambda: there + 1, lambda: cuda.exp(there), lambda: there.sum()):
        with pytest.raises(ValueError, match="array device = 1 while current = 0"):
            call()
    assert cuda.array(there).device.id == 0 and there.get().sum() == 3


def test_a_launch_checks_its_arguments(cuda, x):  # noqa: F811
    with pytest.raises(TypeError, match="tuple"):
        cuda.RawModule(code="", options="-DT=float")
    with pytest.raises(TypeError, match="Exactly one"):
        cuda.RawModule()
    from cupy._raw import _argument, _defines

    assert _defines(("-DT=float", "-DFAST", "--std=c++17")) == {"T": "float", "FAST": "1"}
    assert _argument(x) is x._host and _argument(2).dtype == "int64"
    assert _argument(0.5).dtype == "float64" and _argument(numpy.float32(1)).dtype == "float32"
    for wrong in (HOST, [1], "1"):
        with pytest.raises(TypeError, match="Unsupported type"):
            _argument(wrong)


# -- against the real package ------------------------------------------------------------------------

REAL = os.environ.get("MINIGRAD_REAL_CUPY", "")  # a folder that `pip install --target` made


def run_with_real_cupy(script):
    """What a script prints where `import cupy` finds the real package; skips where there is none."""
    path = os.pathsep.join([p for p in (REAL, os.environ.get("PYTHONPATH", "")) if p])
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
        cwd=Path(__file__).parent / "cuda",
    )
    if "No module named 'cupy'" in done.stderr:
        pytest.skip("CuPy is not installed (pip install cupy-cuda13x; no GPU needed)")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_what_was_recorded_is_true():
    found = run_with_real_cupy("import json, record_cupy; print(json.dumps(record_cupy.record()))")
    assert found == RECORDED


def names_of(module, depth=0):
    """The public names of the stand-in's module, dotted, with those of its classes and submodules."""
    names = []
    for name in dir(module):
        value = getattr(module, name)
        if name.startswith("_"):
            continue
        names.append(name)
        inside = isinstance(value, type) and value.__module__.startswith("cupy")
        package = getattr(value, "__package__", None) or ""
        inside |= type(value) is type(module) and package.startswith("cupy")
        if inside and depth < 2:
            names += [f"{name}.{inner}" for inner in names_of(value, depth + 1)]
    return names


def test_every_name_of_the_stand_in_exists_in_cupy(cuda):  # noqa: F811
    import cupyx

    script = """
import json, sys
import cupy, cupyx, cupyx.scipy.special
missing = []
for name in json.loads(%r):
    found = {"cupy": cupy, "cupyx": cupyx}
    found, *parts = name.split(".")
    found = {"cupy": cupy, "cupyx": cupyx}[found]
    for part in parts:
        if not hasattr(found, part):
            missing.append(name)
            break
        found = getattr(found, part)
print(json.dumps(missing))
"""
    names = [f"cupy.{name}" for name in names_of(cuda)]
    names += [f"cupyx.{name}" for name in ("errstate", "scatter_add", "scatter_max", "scatter_min")]
    names += ["cupyx.scipy.special.erf"]
    assert len(names) > 400 and hasattr(cupyx, "errstate")
    missing = run_with_real_cupy(script % json.dumps(names))
    assert missing == []


def test_signatures_and_loops_are_checked_for_what_minigrad_calls():
    """Every xp function that the package's sources name is one that CuPy has."""
    import re

    root = FOLDER.parents[2]
    used = set()
    for folder in ("minigrad", "kernels"):
        for file in (root / folder).rglob("*.py"):
            used |= set(re.findall(r"\bxp\.((?:linalg\.|lib\.)?[a-z_0-9.]+)\(", file.read_text()))
    known = {*RECORDED["functions"], *RECORDED["ufuncs"]}
    known |= {f"{name}.at" for name, facts in RECORDED["ufuncs"].items() if facts["at"]}
    guarded = {"multiply.at", "logaddexp.accumulate"}  # on NumPy alone
    assert used - known - guarded <= {"ndarray", "finfo", "iinfo", "ndindex", "__name__"}

"""save and load: torch's own .pt files, written and read as data, and safetensors.

A .pt file is a zip archive: `data.pkl`, a pickle in which every tensor's memory is a reference, and
the memories as files `data/0`, `data/1`, ... Pickles are programs, so reading goes through
`unpickle.Machine`, which can call the few names listed here and nothing else.
"""

import io
import json
import os
import pickle
import struct
import sys
from collections import Counter, OrderedDict, defaultdict
from pickle import UnpicklingError

import numpy

from . import dtypes
from .backend import (
    array_module,
    cuda_is_available,
    device,
    device_of,
    native_device,
    to_device,
)
from .files import atomic
from .op import wrap
from .size import Size
from .tensor import TYPE_NAMES, Tensor
from .unpickle import Call, Machine, Source

STORAGE_NAMES = {name: legacy.replace("Tensor", "Storage") for name, legacy in TYPE_NAMES.items()}
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
PLAIN = (type(None), bool, int, float, str, bytes)


# -- saving ------------------------------------------------------------------------------------


class _Global:
    """A name of torch's, written into the pickle without importing torch."""

    def __init__(self, module: str, name: str):
        self.module = module
        self.name = name

    def __call__(self, *args):
        raise TypeError(f"{self.module}.{self.name} stands for a name in a file")


_REBUILD_TENSOR = _Global("torch._utils", "_rebuild_tensor_v2")
_REBUILD_PARAMETER = _Global("torch._utils", "_rebuild_parameter")
_SIZE = _Global("torch", "Size")
_DEVICE = _Global("torch", "device")


class _Memory:
    """The memory that one or several tensors lie in, as a flat array."""

    def __init__(self, key: str, flat, where: str):
        self.key = key
        self.flat = flat
        self.where = where


class _Writer(pickle._Pickler):
    """Pickles tensors in torch's way: as views of numbered memories kept outside the pickle."""

    dispatch = pickle._Pickler.dispatch.copy()

    def __init__(self, file):
        super().__init__(file, protocol=2)
        self.memories: dict[int, _Memory] = {}
        self.hosts = {}  # copies of the memory on GPUs, by its address
        self.keep = []  # arrays whose id or address is a key must stay alive

    def save_global_name(self, obj):
        self.write(b"c" + f"{obj.module}\n{obj.name}\n".encode())
        self.memoize(obj)

    dispatch[_Global] = save_global_name

    def persistent_id(self, obj):
        if not isinstance(obj, _Memory):
            return None
        kind = _Global("torch", STORAGE_NAMES[dtypes.of(obj.flat).name])
        return ("storage", kind, obj.key, obj.where, obj.flat.size)

    def reducer_override(self, obj):
        if isinstance(obj, Tensor):
            return self._reduce_tensor(obj)
        if isinstance(obj, Size):
            return _SIZE, (tuple(obj),)
        if isinstance(obj, device):
            return _DEVICE, (obj.type,) if obj.index is None else (obj.type, obj.index)
        return NotImplemented

    def save(self, obj, save_persistent_id=True):
        if isinstance(obj, dtypes.dtype):
            obj = self._dtype_global(obj)
        return super().save(obj, save_persistent_id)

    def _dtype_global(self, obj):
        found = _Global("torch", obj.name)
        self.keep.append(found)
        return found

    def _reduce_tensor(self, tensor):
        memory, offset, array = self._memory(self._on_host(tensor.array), str(tensor.device))
        strides = tuple(s // array.itemsize for s in array.strides)
        is_parameter = type(tensor).__name__ == "Parameter"
        requires_grad = tensor.requires_grad and tensor.is_leaf and not is_parameter
        args = (memory, offset, array.shape, strides, requires_grad, OrderedDict())
        if not is_parameter:
            return _REBUILD_TENSOR, args
        data = wrap(tensor.array)
        self.keep.append(data)
        return _REBUILD_PARAMETER, (data, tensor.requires_grad, OrderedDict())

    def _on_host(self, array):
        """A NumPy array like this one; arrays that share a GPU's memory share it here, too."""
        if isinstance(array, numpy.ndarray):
            return array
        root = array if array.base is None else array.base
        dense = root.flags.c_contiguous or root.flags.f_contiguous
        if root.dtype != array.dtype or not dense or not array.size:
            return array.get()
        self.keep.append(root)
        copied = self.hosts.get(root.data.ptr)
        if copied is None or copied.size < root.size:
            order = "C" if root.flags.c_contiguous else "F"
            copied = self.hosts[root.data.ptr] = root.get(order=order).reshape(-1, order=order)
        begin = array.data.ptr - root.data.ptr
        return numpy.ndarray(array.shape, array.dtype, copied, begin, array.strides)

    def _memory(self, array, where):
        """The memory an array lies in, where it begins there, and the array."""
        root = array
        while isinstance(root.base, numpy.ndarray):
            root = root.base
        dense = root.flags.c_contiguous or root.flags.f_contiguous
        if root.dtype != array.dtype or not dense or any(s < 0 for s in array.strides):
            root = array = numpy.ascontiguousarray(array).reshape(array.shape)
        self.keep.append(root)
        memory = self.memories.get(id(root))
        if memory is None:
            memory = _Memory(str(len(self.memories)), root.reshape(-1, order="A"), where)
            self.memories[id(root)] = memory
        offset = (array.ctypes.data - root.ctypes.data) // array.itemsize if array.size else 0
        return memory, offset, array


def _check(obj, path, seen):
    """TypeError, with the place, for what a checkpoint can't hold."""
    if isinstance(obj, numpy.generic):  # numpy.float64 is a float too, but pickles as code
        return obj.item()
    if isinstance(obj, (Tensor, Size, dtypes.dtype, device, *PLAIN)):
        if isinstance(obj, Tensor) and dtypes.of(obj.array).name not in STORAGE_NAMES:
            raise TypeError(f"save: {path} has dtype {obj.dtype}, which .pt files can't hold")
        return obj
    if id(obj) in seen:
        raise TypeError(f"save: {path} contains itself")
    seen = seen | {id(obj)}
    if isinstance(obj, (dict, OrderedDict, defaultdict, Counter)):
        for key in obj:
            if not isinstance(key, (*PLAIN, tuple)):
                raise TypeError(f"save: a key of {path} is a {type(key).__name__}")
        items = [(key, _check(value, f"{path}[{key!r}]", seen)) for key, value in obj.items()]
        if isinstance(obj, Counter):
            return Counter(dict(items))
        kept = OrderedDict(items) if isinstance(obj, OrderedDict) else dict(items)
        if hasattr(obj, "_metadata"):
            kept._metadata = obj._metadata
        return kept
    if isinstance(obj, (list, tuple, set, frozenset)):
        items = [_check(value, f"{path}[{i}]", seen) for i, value in enumerate(obj)]
        kind = next(k for k in (list, tuple, set, frozenset) if isinstance(obj, k))
        return kind(items)
    remedy = "save numbers, text, containers and tensors"
    if hasattr(obj, "state_dict"):
        remedy = "save its state_dict(), and build the object anew before load_state_dict()"
    elif isinstance(obj, numpy.ndarray):
        remedy = "wrap it with from_numpy()"
    raise TypeError(
        f"save: {path} is a {type(obj).__name__}, which would need code to load; {remedy}"
    )


def save(
    obj, f, pickle_module=None, pickle_protocol=2, _use_new_zipfile_serialization=True
) -> None:
    """Write tensors, and containers of them, to a path or a file, as torch.save does.

    torch.load(f, weights_only=True) reads the result. A path that ends in .safetensors takes a flat
    dict of tensors, in that format. A file at a path is replaced whole or not at all. Modules and
    other objects that only code could rebuild are refused, naming the place: TypeError.
    """
    is_path = isinstance(f, (str, os.PathLike))
    if is_path and str(f).endswith(".safetensors"):
        save_safetensors(obj, f)
        return
    obj = _check(obj, "the object", frozenset())
    buffer = io.BytesIO()
    writer = _Writer(buffer)
    writer.dump(obj)
    if is_path:
        with atomic(f) as file:
            _write_zip(file, _stem(f), buffer.getvalue(), writer.memories)
    else:
        whole = io.BytesIO()
        _write_zip(whole, "archive", buffer.getvalue(), writer.memories)
        f.write(whole.getvalue())


def _stem(path):
    """The name of a file without folder and ending: the folder inside the archive."""
    return os.path.splitext(os.path.basename(os.fspath(path)))[0] or "archive"


def _write_zip(file, root, pickled, memories):
    import zipfile  # slow to import, and most programs write no checkpoint

    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(f"{root}/data.pkl", pickled)
        archive.writestr(f"{root}/byteorder", sys.byteorder)
        for memory in memories.values():
            archive.writestr(f"{root}/data/{memory.key}", memory.flat.tobytes())
        archive.writestr(f"{root}/version", "3\n")


# -- loading -----------------------------------------------------------------------------------


class _StorageKind:
    """A storage type such as torch.FloatStorage: which numbers a memory holds."""

    def __init__(self, dtype: dtypes.dtype | None):
        self.dtype = dtype


class _Loaded:
    """A memory that was read: a flat array, and the version counter its tensors share."""

    def __init__(self, flat, where: str):
        self.flat = flat
        self.where = where
        self.placed = None  # the flat array where map_location wants it
        self.version = [0]


class _NumpyDtype:
    """numpy.dtype in a pickle: a kind of number, completed by a state that says the byte order."""

    def __init__(self, name, align=False, copy=True):
        self.dtype = numpy.dtype(str(name))
        if self.dtype.kind not in "biuf":
            raise UnpicklingError(f"load: numpy dtype {name!r} is not a number type")


def _numpy_scalar(kind, raw):
    if not isinstance(kind, _NumpyDtype):
        raise UnpicklingError("load: a numpy scalar without a dtype")
    return numpy.frombuffer(raw, kind.dtype, 1)[0]


def _latin1(text, encoding):
    """Bytes as pickles of protocol 2 write them."""
    if encoding != "latin1":
        raise UnpicklingError(f"load: bytes in the encoding {encoding!r}")
    return text.encode("latin1")


def _order_state(ordered, state):
    """state_dict() keeps its layers' versions in the attribute `_metadata`; nothing else is set."""
    if not isinstance(state, dict) or set(state) - {"_metadata"}:
        raise UnpicklingError("load: an OrderedDict with attributes other than _metadata")
    ordered.__dict__.update(state)


BUILD = {OrderedDict: _order_state, _NumpyDtype: lambda kind, state: None}


def _default_dict(factory=None, *items):
    name = getattr(factory, "name", None)
    kinds = {"builtins.dict": dict, "builtins.list": list, "builtins.int": int, "builtins.set": set}
    if factory is not None and name not in kinds:
        raise UnpicklingError("load: a defaultdict with an unknown factory")
    return defaultdict(kinds.get(name), *items)


class _Reader:
    """Turns the names of a checkpoint's pickle into tensors."""

    def __init__(self, name: str, map_location):
        self.name = name
        self.map_location = map_location
        self.names = self._names()

    def _names(self):
        calls = {
            "torch._utils._rebuild_tensor": self.rebuild,
            "torch._utils._rebuild_tensor_v2": self.rebuild,
            "torch._utils._rebuild_parameter": self.rebuild_parameter,
            "torch.Size": Size,
            "torch.device": device,
            "collections.OrderedDict": OrderedDict,
            "collections.defaultdict": _default_dict,
            "collections.Counter": Counter,
            "_codecs.encode": _latin1,
            "numpy.dtype": _NumpyDtype,
            "numpy.core.multiarray.scalar": _numpy_scalar,
            "numpy._core.multiarray.scalar": _numpy_scalar,
        }
        for kind in (set, frozenset, dict, list, tuple, int, float, bool, bytes, bytearray):
            calls[f"builtins.{kind.__name__}"] = calls[f"__builtin__.{kind.__name__}"] = kind
        names = {name: Call(name, function) for name, function in calls.items()}
        for name, storage in STORAGE_NAMES.items():
            names[f"torch.{storage}"] = _StorageKind(_dtype(name))
        names["torch.storage.UntypedStorage"] = _StorageKind(dtypes.uint8)
        for name in STORAGE_NAMES:
            names[f"torch.{name}"] = _dtype(name)
        return names

    def find(self, name):
        found = self.names[name]
        if found is None or (isinstance(found, _StorageKind) and found.dtype is None):
            raise UnpicklingError(
                f"load: {self.name} holds {name}: bfloat16 needs the ml_dtypes package: pip install "
                "'minigrad[bf16]'"
            )
        return found

    def rebuild(self, storage, offset, size, stride, requires_grad=False, hooks=None, extra=None):
        """A tensor as a view of a memory, once it is certain that it stays inside."""
        if not isinstance(storage, _Loaded):
            raise UnpicklingError(f"load: {self.name} builds a tensor without a storage")
        size, stride = tuple(size), tuple(stride)
        flat = storage.flat
        numbers = (offset, *size, *stride)
        if len(size) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
            raise RuntimeError(f"load: {self.name} is corrupt: size {size}, stride {stride}")
        last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
        if 0 not in size and last >= flat.size:
            raise RuntimeError(
                f"load: {self.name} is corrupt: a tensor of size {size} and stride {stride} at "
                f"{offset} reaches beyond its storage of {flat.size} numbers"
            )
        step = flat.itemsize
        if storage.placed is None:
            storage.placed = self.place(wrap(flat), storage.where).array
        flat = storage.placed
        with native_device(flat):
            array = array_module(flat).lib.stride_tricks.as_strided(
                flat[offset:] if 0 not in size else flat[:0], size, tuple(s * step for s in stride)
            )
        tensor = wrap(array)
        tensor._version = storage.version
        return tensor.requires_grad_() if requires_grad else tensor

    def rebuild_parameter(self, data, requires_grad, hooks):
        if not isinstance(data, Tensor):
            raise UnpicklingError(f"load: {self.name} builds a parameter without a tensor")
        return data.detach().requires_grad_(bool(requires_grad))

    def place(self, tensor, where):
        """The tensor on the device that map_location chooses."""
        chosen = self.map_location
        if isinstance(chosen, dict):
            chosen = chosen.get(where, where)
        elif callable(chosen):
            moved = chosen(tensor, where)
            return tensor if moved is None else moved
        chosen = device(where if chosen is None else chosen)
        if chosen.type == "cuda" and not cuda_is_available():
            raise RuntimeError(
                f"load: Attempting to deserialize object on a CUDA device ({chosen}) but "
                "cuda.is_available() is False: pass map_location='cpu'"
            )
        return tensor.to(chosen)


def _dtype(name):
    if name != "bfloat16":
        return dtypes.BY_NAME[name]
    try:
        return dtypes.bfloat16
    except AttributeError:
        return None


def load(f, map_location=None, pickle_module=None, *, weights_only=True, mmap=None):
    """Read what torch.save or minigrad.save wrote (zip or pre-1.6 format), or a safetensors file.

    The file's pickle is read as data: only tensors, numbers, text and containers can come out of it,
    and any other name is refused, nothing executed (pickle.UnpicklingError). weights_only=False
    changes nothing: there is no mode that runs code. Corrupt and truncated files: RuntimeError.
    map_location: a device, a dict of them, or a function, for tensors saved on another device.
    """
    if isinstance(f, (str, os.PathLike)):
        with open(f, "rb") as file:
            return _load(file, str(f), map_location)
    return _load(f, getattr(f, "name", None) or "the file object", map_location)


def _load(file, name, map_location):
    begin = file.tell()
    head = file.read(16)
    file.seek(begin)
    reader = _Reader(str(name), map_location)
    if not head:
        raise RuntimeError(f"load: {name} is empty")
    if head.startswith(b"PK\x03\x04"):
        return _load_zip(file, reader)
    if len(head) > 9 and head[8:9] == b"{" and struct.unpack("<Q", head[:8])[0] < 100_000_000:
        found = _parse_safetensors(file.read(), name)[0]
        if map_location is None:
            return found
        return {key: reader.place(tensor, "cpu") for key, tensor in found.items()}
    return _load_legacy(file, reader)


def _load_zip(file, reader):
    import zipfile
    import zlib

    try:
        archive = zipfile.ZipFile(file)
        names = archive.namelist()
        pickles = [n for n in names if n.endswith("/data.pkl") or n == "data.pkl"]
        if len(pickles) != 1:
            raise RuntimeError(
                f"load: {reader.name} is a zip file, but not a checkpoint (no data.pkl)"
            )
        root = pickles[0][: -len("data.pkl")]
        order = (
            archive.read(f"{root}byteorder").decode() if f"{root}byteorder" in names else "little"
        )
        sizes = {info.filename: info for info in archive.infolist()}
        loaded: dict[str, _Loaded] = {}

        def memory(pid):
            if type(pid) is not tuple or len(pid) != 5 or pid[0] != "storage":
                raise UnpicklingError(
                    f"load: {reader.name} refers to something other than a storage"
                )
            _, kind, key, where, count = pid
            if not isinstance(kind, _StorageKind) or type(key) is not str or type(count) is not int:
                raise UnpicklingError(f"load: {reader.name} has a storage of unknown type")
            if key not in loaded:
                info = sizes.get(f"{root}data/{key}")
                wanted = count * kind.dtype.itemsize
                if (
                    info is None
                    or info.compress_type != zipfile.ZIP_STORED
                    or info.file_size != wanted
                ):
                    got = "is missing" if info is None else f"has {info.file_size} bytes"
                    raise RuntimeError(
                        f"load: {reader.name} is corrupt: storage {key} {got}, not {wanted} as its "
                        "pickle says"
                    )
                raw = bytearray(archive.read(info))
                loaded[key] = _Loaded(_numbers(raw, kind.dtype, order), str(where))
            return loaded[key]

        source = Source(io.BytesIO(archive.read(pickles[0])), reader.name)
        return Machine(source, reader.find, memory, BUILD).run()
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        EOFError,
        NotImplementedError,
        zlib.error,
    ) as error:
        raise RuntimeError(f"load: {reader.name} is truncated or corrupt: {error}") from error
    except (KeyError, OSError, struct.error, ValueError) as error:
        raise RuntimeError(f"load: {reader.name} is truncated or corrupt: {error}") from error


def _numbers(raw, dtype, order):
    flat = numpy.frombuffer(raw, dtype.numpy)
    return flat.byteswap() if order != sys.byteorder else flat


def _load_legacy(file, reader):
    """Before 1.6: five pickles (magic, protocol, system, the object, storage keys), then memories."""
    source = Source(file, reader.name)

    def plain():
        return Machine(source, reader.find).run()

    try:
        magic = plain()
    except (RuntimeError, UnpicklingError) as error:
        raise UnpicklingError(
            f"load: {reader.name} is no checkpoint of torch.save or minigrad.save: {error}"
        ) from error
    if magic != LEGACY_MAGIC:
        raise UnpicklingError(
            f"load: {reader.name} is a pickle, but no checkpoint of torch.save; it was not executed"
        )
    plain()
    plain()
    loaded: dict[str, _Loaded] = {}
    kinds: dict[str, dtypes.dtype] = {}

    def memory(pid):
        if type(pid) is not tuple or len(pid) != 6 or pid[0] != "storage" or pid[5] is not None:
            raise UnpicklingError(f"load: {reader.name} refers to something other than a storage")
        _, kind, key, where, count, _ = pid
        if not isinstance(kind, _StorageKind) or type(count) is not int:
            raise UnpicklingError(f"load: {reader.name} has a storage of unknown type")
        if key not in loaded:
            source.require(count * kind.dtype.itemsize, f"storage {key}")
            loaded[key] = _Loaded(numpy.empty(count, kind.dtype.numpy), str(where))
            kinds[key] = kind.dtype
        return loaded[key]

    result = Machine(source, reader.find, memory, BUILD).run()
    keys = plain()
    if not isinstance(keys, list) or set(keys) != set(loaded):
        raise RuntimeError(
            f"load: {reader.name} is corrupt: its storages are not those it refers to"
        )
    for key in keys:
        (count,) = struct.unpack("<q", source.read(8, f"the size of storage {key}"))
        flat = loaded[key].flat
        if count != flat.size:
            raise RuntimeError(
                f"load: {reader.name} is corrupt: storage {key} has {count} numbers, not {flat.size}"
            )
        source.read_into(memoryview(flat).cast("B"), f"storage {key}")
        placed = loaded[key].placed
        if placed is not None and not isinstance(placed, numpy.ndarray):
            placed[...] = to_device(flat, device_of(placed))
    return result


# -- safetensors ---------------------------------------------------------------------------------


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "safetensors files need the safetensors package: pip install 'minigrad[train]'"
        ) from error
    return safetensors


def save_safetensors(
    tensors: dict[str, Tensor], path, metadata: dict[str, str] | None = None
) -> None:
    """Write named tensors as a safetensors file, whole or not at all.

    Raises TypeError for a value that is not a Tensor or a name that is not text.
    """
    arrays = {}
    if not isinstance(tensors, dict):
        raise TypeError(f"save_safetensors takes a dict of tensors, not a {type(tensors).__name__}")
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise TypeError(
                f"save_safetensors: {name!r} is a {type(tensor).__name__}; the format holds named "
                "tensors only (save_checkpoint, or a .pt file, holds more)"
            )
        arrays[name] = numpy.ascontiguousarray(tensor.detach().cpu().array).reshape(tensor.shape)
    data = _safetensors().numpy.save(arrays, metadata)
    with atomic(path) as file:
        file.write(data)


def load_safetensors(path, with_metadata: bool = False):
    """The named tensors of a safetensors file (and its metadata, if asked for)."""
    with open(path, "rb") as file:
        tensors, metadata = _parse_safetensors(file.read(), path)
    return (tensors, metadata) if with_metadata else tensors


def _parse_safetensors(data, name):
    package = _safetensors()
    try:
        arrays = package.numpy.load(data)
        (length,) = struct.unpack("<Q", data[:8])
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__", {})
    except (package.SafetensorError, ValueError, KeyError, struct.error) as error:
        raise RuntimeError(f"load: {name} is truncated or corrupt: {error}") from error
    return {key: wrap(numpy.array(array)) for key, array in arrays.items()}, metadata

"""Compiles CUDA C sources for the CPU and runs their kernels there: a GPU to test with.

    module = build("kernels/norm.cu", {"T": "float"})
    module.kernel("normalise_rows")(grid=4, block=128, args=(x, y, numpy.int64(12)), seed=1)

Arguments are NumPy arrays, of which the kernel gets the address, and NumPy scalars, passed by value.
Their types must be those of the kernel's parameters: a real GPU would take any bytes. A kernel that
does what it must not raises CudaError; runtime.cpp and access.cpp say what that is. `sanitize`:

    False      barriers and warp operations are watched
    "races"    each access too: bounds, alignment, races, shared memory that was never written
    "address"  (or True) under AddressSanitizer and UndefinedBehaviorSanitizer, which end the process
               at the first error; it must have been started with them: `sanitizer_environment()`
"""

import ctypes
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

import numpy

HERE = pathlib.Path(__file__).parent
KERNELS = HERE.parents[2] / "kernels"
GXX = shutil.which("g++")
BLOCK_LIMIT, GRID_LIMIT = (1024, 1024, 64), (2**31 - 1, 65535, 65535)
SHARED_LIMIT = 48 << 10  # bytes, unless a kernel asks for more
OPTIONS = ["-std=c++17", "-O1", "-g1", "-fPIC", "-shared", "-ffp-contract=off", "-Wall", "-Werror"]
OPTIONS += ["-fno-strict-aliasing"]  # a float is read as part of a Pack, as GPUs allow
OPTIONS += ["-Wno-unknown-pragmas", "-Wno-unused-function", "-Wno-unused-variable"]
OPTIONS += ["-Wno-unused-but-set-variable"]
SANITIZE = {
    False: [],
    "races": ["-fsanitize=thread", "--param=tsan-instrument-func-entry-exit=0"],
    "address": ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    + ["-fsanitize-sections=cuda_shared"],
}


class CudaError(RuntimeError):
    """A kernel did what a GPU would not survive, or was called with arguments that don't fit it."""


class CompileError(RuntimeError):
    """The source is not valid."""


def build(source, defines=(), sanitize=False) -> "Module":
    """The module of a .cu file (a path, or the source itself), macros defined as with -D."""
    sanitize = "address" if sanitize is True else sanitize
    defines = dict(defines)
    if isinstance(source, pathlib.Path) or "\n" not in source:
        path = pathlib.Path(source).resolve()
        source = path.read_text()
    else:
        path = pathlib.Path("source.cu")
    return _build(source, str(path), tuple(sorted(defines.items())), sanitize)


@functools.lru_cache(256)
def _build(source, path, defines, sanitize):
    macros = "".join(f"#define {name} {value}\n" for name, value in defines)  # not for our headers
    names = _kernels(macros + source)
    text = f'#include "cuda_shim.h"\n#include "exports.h"\n{macros}namespace {{\n#line 1 "{path}"\n'
    text += _dynamic_shared(source) + "\n}\n"
    exports = " ".join(f"SHIM_KERNEL({name})" for name in names)
    text += f"SHIM_EXPORTS({exports})\n"
    runtime = _runtime(sanitize)
    return Module(_compile(text, SANITIZE[sanitize], runtime, "cu"), sanitize, runtime)


def _kernels(source):
    """The names of a source's kernels; the preprocessor must run first where macros write some."""
    if re.search(r"#define(.*\\\n)*.*__global__", source):
        command = [GXX, "-E", "-P", "-x", "c++", f"-I{HERE}", f"-I{KERNELS}", "-"]
        source = subprocess.run(command, input=source, capture_output=True, text=True).stdout
    bounds = r"(?:__launch_bounds__\s*\([^)]*\)\s*)?"
    return re.findall(rf"__global__\s+void\s+{bounds}(\w+)\s*\(", source)


def _dynamic_shared(source):
    """`extern __shared__ T name[];` as a pointer to where the block's dynamic memory is."""
    return re.sub(
        r"extern\s+__shared__\s+(?:__align__\s*\(\d+\)\s*)?([^;]+?)\s*\b(\w+)\s*\[\s*\]\s*;",
        r"\1* const \2 = reinterpret_cast<\1*>(shim::shim_state.dynamic);",
        source,
    )


def _runtime(sanitize):
    """The library that plays the GPU; one for all modules that are watched alike."""
    files = [HERE / "runtime.cpp", HERE / "access.cpp"]
    text = "".join(f'#include "{file}"\n' for file in files)
    flags = SANITIZE["address"][:2] if sanitize == "address" else ()
    return _compile(text, ["-O2", *flags], None, "runtime")


@functools.cache
def _headers():
    return b"".join(file.read_bytes() for file in sorted([*HERE.glob("*.h"), *HERE.glob("*.cpp")]))


def cache_folder() -> pathlib.Path:
    """Where compiled modules are kept: $MINIGRAD_SHIM_CACHE, or a folder for temporary files."""
    name = os.environ.get("MINIGRAD_SHIM_CACHE")
    folder = pathlib.Path(name or f"{tempfile.gettempdir()}/minigrad-shim-{os.getuid()}")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _compile(text, flags, library, kind):
    """The path of the shared library made from a C++ text; kept by the hash of all that goes in."""
    if GXX is None:
        raise CompileError("g++ is not installed")
    key = hashlib.sha256(_headers())
    key.update(repr((text, list(flags), library, OPTIONS, platform_stamp())).encode())
    for header in sorted(KERNELS.glob("*.cuh")) if library else ():
        key.update(header.read_bytes())
    done = cache_folder() / f"{kind}-{key.hexdigest()[:24]}.so"
    if done.exists():
        return done
    with tempfile.TemporaryDirectory(dir=done.parent) as folder:
        file, made = pathlib.Path(folder) / "source.cpp", pathlib.Path(folder) / "made.so"
        file.write_text(text)
        command = [GXX, *OPTIONS, *flags, f"-I{HERE}", f"-I{KERNELS}", str(file), "-o", str(made)]
        if (
            "-fsanitize=thread" in flags
        ):  # compiled for it, but its library stays out: access.cpp answers
            objects = str(made.with_suffix(".o"))
            _run([x for x in command[:-2] if x != "-shared"] + ["-c", "-o", objects])
            command = [GXX, "-shared", objects, "-o", str(made)]
        if library:
            command += [str(library), f"-Wl,-rpath,{library.parent}"]
        _run(command)
        made.replace(done)
    return done


def _run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        raise CompileError(f"{' '.join(command)}\n{result.stderr[:6000]}")


@functools.cache
def platform_stamp():
    """The compiler's version and the machine's kind."""
    version = subprocess.run([GXX, "--version"], capture_output=True, text=True).stdout
    return version.splitlines()[0], os.uname().machine


def sanitizer_environment() -> dict:
    """The environment of a process that can load modules built with sanitize="address"."""
    found = subprocess.run([GXX, "-print-file-name=libasan.so"], capture_output=True, text=True)
    options = "detect_leaks=0:abort_on_error=0:exitcode=77:detect_stack_use_after_return=0"
    return {
        **os.environ,
        "LD_PRELOAD": found.stdout.strip(),
        "ASAN_OPTIONS": options,
        "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=78",
    }


# -- running ---------------------------------------------------------------------------------------


class _Exported(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("parameters", ctypes.CFUNCTYPE(ctypes.c_char_p)),
    ]


class _Range(ctypes.Structure):
    _fields_ = [
        *[("begin", ctypes.c_void_p), ("end", ctypes.c_void_p)],
        *[("argument", ctypes.c_int), ("unit", ctypes.c_int)],
    ]


class _Launch(ctypes.Structure):
    _fields_ = [
        *[("grid", ctypes.c_uint * 3), ("block", ctypes.c_uint * 3)],
        *[("shared_bytes", ctypes.c_uint64), ("seed", ctypes.c_uint64)],
        *[("statics", ctypes.c_void_p), ("statics_end", ctypes.c_void_p)],
        *[("image", ctypes.c_void_p), ("image_end", ctypes.c_void_p)],
        *[("ranges", ctypes.POINTER(_Range)), ("range_count", ctypes.c_int)],
        ("checked", ctypes.c_int),
    ]


_one_at_a_time = threading.Lock()


class Module:
    """A compiled .cu file."""

    def __init__(self, path, sanitize, runtime):
        self.sanitize = sanitize
        self.path = path
        if sanitize == "address" and "libasan" not in os.environ.get("LD_PRELOAD", ""):
            raise RuntimeError("sanitize='address' needs a process with sanitizer_environment()")
        self.library = ctypes.CDLL(str(path))
        self.runtime = ctypes.CDLL(str(runtime))
        self.runtime.shim_launch.restype = ctypes.c_char_p
        self.statics = ctypes.c_void_p(), ctypes.c_void_p()
        self.library.shim_statics(*map(ctypes.byref, self.statics))
        self.library.shim_exports.restype = ctypes.POINTER(_Exported)
        self.kernels = {}
        for one in self.library.shim_exports():
            if one.name is None:
                break
            name = one.name.decode()
            self.kernels[name] = Kernel(self, name, one.call, one.parameters().decode().split())

    def kernel(self, name: str) -> "Kernel":
        """The kernel of that name."""
        if name not in self.kernels:
            raise CudaError(f"no kernel {name}: there are {', '.join(self.kernels)}")
        return self.kernels[name]

    @functools.cached_property
    def image(self):
        """Where the module lies in memory: its first address and the one after its last."""
        with open("/proc/self/maps") as maps:
            lines = [line.split()[0] for line in maps if line.rstrip().endswith(str(self.path))]
        places = [int(x, 16) for line in lines for x in line.split("-")]
        return min(places), max(places)

    def where(self, message: str) -> str:
        """A message with addresses of the module, [+0x12], as lines of the source."""

        def line(found):
            command = ["addr2line", "-s", "-e", str(self.path), found[1]]
            return "at " + subprocess.run(command, capture_output=True, text=True).stdout.strip()

        return re.sub(r"\+(0x[0-9a-f]+)", line, message)


def _triple(size, limit, what):
    size = (size,) if isinstance(size, int | numpy.integer) else tuple(size)
    size = (*map(int, size), 1, 1)[:3]
    if any(not 1 <= n <= most for n, most in zip(size, limit, strict=True)):
        raise CudaError(f"{what} {size} must be from 1 to {limit}")
    return size


class Kernel:
    """A kernel of a module: call it to run it."""

    def __init__(self, module, name, call, parameters):
        self.module, self.name, self.call, self.parameters = module, name, call, parameters
        self.max_dynamic_shared_size_bytes = SHARED_LIMIT

    def __call__(self, grid, block, args, shared_mem=0, seed=0, reach=()):
        """Run it over a grid of blocks. reach: arrays whose addresses lie in other arrays."""
        grid, block = _triple(grid, GRID_LIMIT, "grid"), _triple(block, BLOCK_LIMIT, "block")
        if block[0] * block[1] * block[2] > BLOCK_LIMIT[0]:
            raise CudaError(f"{self.name}: a block of {block} has more than 1024 threads")
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise CudaError(f"{self.name}: {shared_mem} bytes of shared memory are too many")
        if len(args) != len(self.parameters):
            raise CudaError(
                f"{self.name}: {len(args)} arguments for {len(self.parameters)} parameters"
            )
        values = [self._value(i, x) for i, x in enumerate(args)]
        pointers = (ctypes.c_void_p * len(values))(*[v.ctypes.data for v in values])
        arrays = [(i, x) for i, x in enumerate(args) if isinstance(x, numpy.ndarray) and x.size]
        arrays += [(len(args) + i, x) for i, x in enumerate(reach)]
        places = {numpy.lib.array_utils.byte_bounds(x): (i, x.itemsize) for i, x in arrays[::-1]}
        ranges = (_Range * len(places))(*[(*ends, *what) for ends, what in places.items()])
        checked = self.module.sanitize == "races"
        launch = _Launch(
            grid, block, shared_mem, seed & (2**64 - 1), *[x.value for x in self.module.statics],
            *self.module.image, ranges, len(ranges), checked,
        )  # fmt: skip
        with _one_at_a_time:
            message = self.module.runtime.shim_launch(
                ctypes.c_void_p(self.call), pointers, ctypes.byref(launch), self.name.encode()
            )
        if message:
            raise CudaError(self.module.where(message.decode()))

    def _value(self, i, given):
        """The bytes of an argument as an array of one element, if its type is the parameter's."""
        wanted = self.parameters[i]
        if isinstance(given, numpy.ndarray):
            if wanted not in (f"p{_letter(given.dtype)}", "pv0"):
                self._refuse(i, f"an array of {given.dtype}")
            return numpy.array([given.ctypes.data], numpy.uintp)
        if not isinstance(given, numpy.generic):
            self._refuse(i, f"{given!r}: arrays and NumPy scalars are arguments")
        if wanted.startswith("p"):
            if given.dtype.kind not in "iu" or given.itemsize != 8:
                self._refuse(i, f"{given!r}")
        elif (
            wanted[0] != "s" and wanted != _letter(given.dtype) or given.itemsize != int(wanted[1:])
        ):
            self._refuse(i, f"{given!r} ({given.dtype})")
        return numpy.array([given])

    def _refuse(self, i, given):
        raise CudaError(
            f"{self.name}: argument {i} is {given}, the parameter's type is {self.parameters[i]} "
            "(kind and bytes; p: a pointer to it)"
        )


def _letter(dtype):
    """A dtype as exports.h describes types."""
    if dtype.name in ("float16", "bfloat16"):
        return {"float16": "h2", "bfloat16": "b2"}[dtype.name]
    return {"b": "u"}.get(dtype.kind, dtype.kind) + str(dtype.itemsize)


if __name__ == "__main__":  # compile one file: python builder.py kernels/norm.cu T=float races
    options = [x for x in sys.argv[2:] if "=" not in x]
    build(sys.argv[1], [x.split("=") for x in sys.argv[2:] if "=" in x], *options)

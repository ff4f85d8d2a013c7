"""Kernel: one computation, its definition in plain array code, and faster ways to do it.

    scatter_add_rows = Kernel(reference)
    scatter_add_rows[xp](...)

`kernel[xp]` is the implementation for an array module: the one registered for it, or else the
reference, which is slow and obvious and what the others are tested against. The environment variable
MINIGRAD_KERNELS=reference makes every kernel use its reference.

Loops are compiled by Numba, when they are first called, and kept on disk:

    @compiled
    def scale(begin, end, x, out):          # a part of the rows: see threads.share
        for i in range(begin, end): ...

They may call `@inlined` scalar functions and `by_dtype` ones. Without numba the references answer.
"""

import functools
import importlib
import os
import pathlib
import sys
import threading
import types

import numpy

FLOATS = numpy.dtype("float32"), numpy.dtype("float64")  # what loops are compiled for
FAST = {"contract", "reassoc", "nsz", "arcp", "afn"}  # no nnan, no ninf: both stay what they are
EXACT = {"contract", "nsz", "arcp"}  # without reassociation, for code that relies on rounding


class Kernel:
    """One computation with several implementations, chosen by array module."""

    def __init__(self, reference):
        self.reference = reference
        self.name = reference.__name__
        self.__doc__ = reference.__doc__
        self.implementations = {}
        REGISTRY[self.name] = self

    def implement(self, module_name: str):
        """Decorator: the function it stands over is this kernel for "numpy" or "cupy" arrays.

        It gives NotImplemented, having done nothing, for arguments that are the reference's business.
        """

        def register(function):
            self.implementations[module_name] = function
            return function

        return register

    def __getitem__(self, xp):
        if REFERENCE_ONLY or (xp.__name__ == "numpy" and numba() is None):
            return self.reference
        return self.implementations.get(xp.__name__, self.reference)


REGISTRY: dict[str, Kernel] = {}
_compiling = threading.RLock()
REFERENCE_ONLY = os.environ.get("MINIGRAD_KERNELS") == "reference"


@functools.cache
def numba():
    """The numba module, or None where it can't be imported (then the references answer)."""
    try:
        import numba
    except ImportError:
        return None
    _defer_scipy()
    return numba


class Loop:
    """A function that Numba compiles when it is first called."""

    def __init__(self, function, fastmath, inline=False):
        self.function = function
        self.options = {"nogil": True, "error_model": "numpy", "fastmath": fastmath}
        if inline:
            self.options["forceinline"] = True
        self.keep = not inline
        self.dispatcher = None
        self.launcher = None
        self.ready = set()  # the types of arguments that it has been compiled for
        functools.update_wrapper(self, function)

    def __call__(self, *arguments):
        return self.prepared(self.jitted, arguments, arguments)(*arguments)

    def launch(self, job, place, pieces, count, spins, arguments):
        """The loop over a whole range on several threads: see `launch.py`."""
        options = job, place, pieces, count, spins
        launch = self.prepared(self.launching, arguments, (*options, arguments))
        return launch(*options, arguments)

    def prepared(self, make, telling, arguments):
        """The compiled function, for arguments of these types; one thread compiles at a time.

        telling: the arguments whose types may differ from call to call.
        """
        kinds = (make.__name__, *[getattr(x, "dtype", type(x)) for x in telling])
        if kinds not in self.ready:
            with _compiling:
                dispatcher = make()
                dispatcher.compile(tuple(map(dispatcher.typeof_pyval, arguments)))
            self.ready.add(kinds)
        return make()

    def jitted(self):
        """Numba's dispatcher for it; the compiled functions whose names it mentions come along."""
        if self.dispatcher is None:
            function = self.function
            names = dict(function.__globals__)
            for name in function.__code__.co_names:
                if isinstance(names.get(name), (Loop, ByDtype, Late)):
                    names[name] = names[name].jitted()
            copy = types.FunctionType(
                function.__code__, names, function.__name__, function.__defaults__
            )
            copy.__module__, copy.__qualname__ = function.__module__, function.__qualname__
            dispatcher = numba().njit(**self.options)(copy)
            if self.keep:
                _keep_on_disk(dispatcher, copy)
            self.dispatcher = dispatcher
        return self.dispatcher

    def launching(self):
        """Numba's dispatcher for `launch`."""
        if self.launcher is None:
            dispatcher = self.jitted()
            from . import launch

            name = f"{self.__module__.rpartition('.')[2]}.{self.__name__}"
            launcher, copy = launch.launcher(name, dispatcher)
            _keep_on_disk(launcher, copy)
            self.launcher = launcher
        return self.launcher


def compiled(function):
    """A loop that Numba compiles when it is first called, and keeps on disk."""
    return Loop(function, FAST)


def inlined(function):
    """A scalar function for use in compiled loops; rounding is as written."""
    return Loop(function, EXACT, inline=True)


class ByDtype:
    """A scalar function with a version for each floating dtype, for use in compiled loops."""

    def __init__(self, name, float32, float64):
        self.name, self.versions = name, {"float32": float32, "float64": float64}
        self.stub = None

    def jitted(self):
        """The function that stands for all versions in compiled code."""
        if self.stub is None:
            from numba.extending import overload

            def stub(x):
                raise TypeError("only compiled code can call this")

            stub.__name__ = stub.__qualname__ = self.name
            versions = {name: loop.jitted() for name, loop in self.versions.items()}
            narrow, wide = versions["float32"], versions["float64"]

            @overload(stub, jit_options={"forceinline": True, "fastmath": EXACT}, strict=False)
            def choose(x):
                if str(x) == "float32":
                    return lambda x: narrow(x)
                return lambda x: wide(x)

            self.stub = stub
        return self.stub


class Late:
    """A function of compiled code that lives in a module of this folder that imports numba."""

    def __init__(self, module: str, name: str):
        self.module, self.name = module, name

    def jitted(self):
        """The function itself."""
        return getattr(importlib.import_module("." + self.module, __package__), self.name)


def _keep_on_disk(dispatcher, function):
    """Numba's cache, with two differences.

    It is out of date as soon as any file of this folder changes (Numba looks at one file only, but a
    loop holds code from several), and it says so when a loop must be compiled.
    """
    from numba.core.caching import FunctionCache, IndexDataCacheFile

    class Cache(FunctionCache):
        def load_overload(self, signature, target):
            found = FunctionCache.load_overload(self, signature, target)
            if found is None:
                name = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
                print(f"minigrad: compiling {name}, once for this machine ...", file=sys.stderr)
            return found

    cache = Cache(function)
    cache._cache_file = IndexDataCacheFile(
        cache_path=cache._cache_path,
        filename_base=cache._impl.filename_base,
        source_stamp=(cache._impl.locator.get_source_stamp(), _sources()),
    )
    dispatcher._cache = cache


@functools.cache
def _sources():
    """What tells whether a file of this folder has changed."""
    files = sorted(pathlib.Path(__file__).parent.glob("*.py"))
    return tuple((file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files)


@functools.cache
def _defer_scipy():
    """Let Numba not import scipy.linalg, a tenth of a second, before a program asks for it.

    Numba does that when it loads, to learn whether it may compile numpy.dot; later it asks again.
    """
    import importlib.util

    import numba.np.linalg

    if importlib.util.find_spec("scipy") is None or "numba.np.arraymath" in sys.modules:
        return
    ask = numba.np.linalg.ensure_blas
    numba.np.linalg.ensure_blas = lambda: None
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        numba.np.linalg.ensure_blas = ask

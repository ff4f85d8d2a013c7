"""How compiled loops are run on several threads. Imported late: it needs numba at once.

A loop is a compiled function of (begin, end, *arguments). `launch` leaves the arguments where all
threads can read them, and posts the job: so many pieces of a range. Then it does pieces, one after
another, as workers do who notice: each piece is claimed by an atomic step of one counter. When all
are claimed it waits for those that others are still doing. A worker that sleeps, or that the machine
gave no time, so costs nothing; and all is done outside the GIL, for a worker that had to ask for the
GIL would be put to sleep, and to wake it takes 100 times as long as a piece.

A job, in an array of int64 numbers:
"""

import types

import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

NEXT = 0  # the ticket: generation << 32 | number of pieces << 16 | the next piece to do
DONE = 8  # how many pieces are done; in another cache line than the ticket
LOOP = 16  # address of the loop's trampoline
PLACE = 17  # address of its arguments
COUNT = 18  # the whole range
STEP = 19  # of which a piece has so many
JOB = 24
ROOM = 512  # int64 numbers for the arguments: an array of n dimensions takes 5 + 2 n

_int64 = ir.IntType(64)
_trampoline = ir.FunctionType(ir.VoidType(), [_int64, _int64, _int64])


def _pointer(target, builder, array_type, array, place):
    data = target.make_array(array_type)(target, builder, array).data
    return builder.gep(data, [place])


@intrinsic
def load(context, flags, place):
    """flags[place], and what the other thread wrote before it set that."""

    def generate(target, builder, signature, values):
        pointer = _pointer(target, builder, signature.args[0], *values)
        return builder.load_atomic(pointer, "acquire", 8)

    return numba.int64(flags, place), generate


@intrinsic
def store(context, flags, place, value):
    """flags[place] = value, after everything that this thread wrote before."""

    def generate(target, builder, signature, values):
        pointer = _pointer(target, builder, signature.args[0], *values[:2])
        builder.store_atomic(values[2], pointer, "release", 8)
        return target.get_dummy_value()

    return numba.void(flags, place, value), generate


@intrinsic
def add(context, flags, place, value):
    """flags[place] += value, in one step."""

    def generate(target, builder, signature, values):
        pointer = _pointer(target, builder, signature.args[0], *values[:2])
        return builder.atomic_rmw("add", pointer, values[2], "acq_rel")

    return numba.int64(flags, place, value), generate


@intrinsic
def replace(context, flags, place, old, new):
    """Set flags[place] to `new` if it is `old`, in one step; True if it was."""

    def generate(target, builder, signature, values):
        pointer = _pointer(target, builder, signature.args[0], *values[:2])
        result = builder.cmpxchg(pointer, *values[2:], "acq_rel", "acquire")
        return builder.extract_value(result, 1)

    return numba.boolean(flags, place, old, new), generate


@intrinsic
def leave(context, place, arguments):
    """Write a tuple of arguments, as compiled code holds them, to the memory of the array `place`."""

    def generate(target, builder, signature, values):
        if target.get_abi_sizeof(values[1].type) > 8 * ROOM:
            raise ValueError(f"launch: {arguments} need more than {8 * ROOM} bytes: raise ROOM")
        pointer = _pointer(target, builder, signature.args[0], values[0], _int64(0))
        builder.store(values[1], builder.bitcast(pointer, values[1].type.as_pointer()), align=8)
        return builder.ptrtoint(pointer, _int64)

    return numba.int64(place, arguments), generate


@intrinsic
def trampoline(context, loop, arguments):
    """The address of a function (address of arguments, begin, end) that takes them up and runs the loop."""
    kinds = (numba.int64, numba.int64, *arguments.types)
    signature = context.resolve_function_type(loop, kinds, {})

    def generate(target, builder, _, values):
        result = loop.dispatcher.get_compile_result(signature)
        target.active_code_library.add_linking_library(result.library)
        name = f"trampoline.{result.fndesc.mangled_name}"
        function = ir.Function(builder.module, _trampoline, name)
        function.linkage = "internal"
        inside = ir.IRBuilder(function.append_basic_block())
        kind = target.get_value_type(arguments)
        place, begin, end = function.args
        packed = inside.load(inside.inttoptr(place, kind.as_pointer()), align=8)
        items = cgutils.unpack_tuple(inside, packed, len(arguments.types))
        target.call_internal_no_propagate(inside, result.fndesc, signature, [begin, end, *items])
        inside.ret_void()
        return builder.ptrtoint(function, _int64)

    return numba.int64(loop, arguments), generate


@intrinsic
def call(context, address, place, begin, end):
    """Run the trampoline at an address."""

    def generate(target, builder, signature, values):
        function = builder.inttoptr(values[0], _trampoline.as_pointer())
        builder.call(function, values[1:])
        return target.get_dummy_value()

    return numba.void(address, place, begin, end), generate


@numba.njit(nogil=True, cache=True)
def work(job, ticket):
    """Do a piece, if nobody was faster to claim it."""
    loop, place, count, step = job[LOOP], job[PLACE], job[COUNT], job[STEP]
    if replace(job, NEXT, ticket, ticket + 1):  # so the job is the one that those four belong to
        begin = (ticket & 0xFFFF) * step
        call(loop, place, begin, min(begin + step, count))
        add(job, DONE, 1)


@numba.njit(nogil=True, cache=True)
def serve(job, spins):
    """A worker's life: pieces as they are posted; back after `spins` looks without one."""
    looks = 0
    while looks < spins:
        ticket = load(job, NEXT)
        if (ticket & 0xFFFF) < (ticket >> 16 & 0xFFFF):
            work(job, ticket)
            looks = 0
        looks += 1


@numba.njit(nogil=True, cache=True)
def wait(job, pieces, spins):
    """True when all pieces are done; False after looking `spins` times."""
    for _ in range(spins):  # noqa: SIM110
        if load(job, DONE) == pieces:
            return True
    return False


def _launch(job, place, pieces, count, spins, arguments):
    if pieces < 2:
        loop(0, count, *arguments)  # noqa: F821
        return True
    job[LOOP] = trampoline(loop, arguments)  # noqa: F821
    job[PLACE] = leave(place, arguments)
    job[COUNT] = count
    job[STEP] = step = -(-count // pieces)
    pieces = -(-count // step)
    store(job, DONE, 0)
    ticket = ((load(job, NEXT) >> 32) + 1 & 0x7FFFFFF) << 32 | pieces << 16
    store(job, NEXT, ticket)
    for piece in range(pieces):
        begin = piece * step
        if replace(job, NEXT, ticket + piece, ticket + piece + 1):
            loop(begin, min(begin + step, count), *arguments)  # noqa: F821
            add(job, DONE, 1)
    return wait(job, pieces, spins)


def launcher(name, dispatcher):
    """launch(job, place, pieces, count, spins, arguments) for one loop; True when all is done."""
    names = dict(globals(), loop=dispatcher)
    copy = types.FunctionType(_launch.__code__, names, "launch")
    copy.__module__, copy.__qualname__ = __name__, f"launch.{name}"
    return numba.njit(nogil=True)(copy), copy

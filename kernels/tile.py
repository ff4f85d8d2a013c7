"""A few rows times a packed panel of columns, with all sums in registers. Imported late: needs numba.

BLAS copies its operands into an order that it likes at every call. That pays for large matrices; but
the 16 rows of a recurrent layer's state meet the same weights at every time step, and the copy of the
weights costs more than the product. Here the weights are packed once (see recurrent.py): a panel is
WIDTH bytes of columns, so that one row of it is two vectors of 64 bytes.
"""

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

WIDTH = 128  # bytes of one row of a panel
VECTORS = 2  # a row of a panel is so many vectors
# How many rows at once: 16 sums fill the registers of AVX-512, 6 sums those of AVX2 or NEON.
ROWS = 8 if llvmlite.binding.get_host_cpu_features().get("avx512f") else 3

_int64 = ir.IntType(64)


def _kernel(module, scalar, rows):
    """The function (more, k, a, lda, step, panel, c, ldc) that `tile` calls for so many rows."""
    name = f"minigrad.tile.{scalar}.{rows}"
    if name in module.globals:
        return module.globals[name]
    kind = ir.FloatType() if scalar == numba.float32 else ir.DoubleType()
    size = 4 if scalar == numba.float32 else 8
    lanes = WIDTH // VECTORS // size
    vector = ir.VectorType(kind, lanes)
    function = ir.Function(
        module, ir.FunctionType(ir.VoidType(), [ir.IntType(1)] + [_int64] * 7), name
    )
    function.linkage = "internal"
    function.attributes.add("noinline")
    more, k, a, lda, step, panel, c, ldc = function.args
    entry, loop, done = (function.append_basic_block(label) for label in ("entry", "loop", "done"))

    def at(builder, base, offset, target):
        place = builder.add(base, builder.mul(offset, _int64(size)))
        return builder.inttoptr(place, target.as_pointer())

    def spread(builder, x):
        first = builder.insert_element(ir.Constant(vector, ir.Undefined), x, ir.IntType(32)(0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
        return builder.shuffle_vector(first, ir.Constant(vector, ir.Undefined), mask)

    start = ir.IRBuilder(entry)
    firsts = [at(start, a, start.mul(lda, _int64(r)), kind) for r in range(rows)]
    weights = start.inttoptr(panel, vector.as_pointer())
    into = [
        start.bitcast(at(start, c, start.mul(ldc, _int64(r)), kind), vector.as_pointer())
        for r in range(rows)
    ]
    into = [[start.gep(row, [_int64(v)]) for v in range(VECTORS)] for row in into]
    zero = ir.Constant(vector, [0.0] * lanes)
    before = [
        [start.select(more, start.load(place, align=size), zero) for place in row] for row in into
    ]
    start.branch(loop)

    body = ir.IRBuilder(loop)
    i = body.phi(_int64)
    sums = [[body.phi(vector) for _ in range(VECTORS)] for _ in range(rows)]
    row = body.mul(i, _int64(VECTORS))
    ws = [
        body.load(body.gep(weights, [body.add(row, _int64(v))]), align=size) for v in range(VECTORS)
    ]
    column = body.mul(i, step)
    following = body.add(i, _int64(1))
    i.add_incoming(_int64(0), entry)
    i.add_incoming(following, loop)
    end = ir.IRBuilder(done)
    for r in range(rows):
        x = spread(body, body.load(body.gep(firsts[r], [column]), align=size))
        for v in range(VECTORS):
            term = body.fmul(x, ws[v], flags=["contract"])
            total = body.fadd(sums[r][v], term, flags=["contract"])
            sums[r][v].add_incoming(before[r][v], entry)
            sums[r][v].add_incoming(total, loop)
            end.store(total, into[r][v], align=size)
    body.cbranch(body.icmp_signed("<", following, k), loop, done)
    end.ret_void()
    return function


@intrinsic
def tile(context, zero, rows, more, k, a, lda, step, panel, c, ldc):
    """C (rows, one panel) = A (rows, k) times the panel, plus C if `more`; in the dtype of zero.

    a, panel, c: addresses. A's number (r, i) is at a + r lda + i step. 1 <= rows <= ROWS, k >= 1.
    """

    def generate(target, builder, signature, values):
        wanted, arguments = values[1], values[2:]
        after = builder.append_basic_block("tiled")
        choice = builder.switch(wanted, after)
        for rows in range(1, ROWS + 1):
            block = builder.append_basic_block(f"rows{rows}")
            choice.add_case(_int64(rows), block)
            with builder.goto_block(block):
                function = _kernel(builder.module, signature.args[0], rows)
                builder.call(function, arguments)
                builder.branch(after)
        builder.position_at_end(after)
        return target.get_dummy_value()

    number = numba.int64
    return numba.void(zero, number, numba.boolean, *[number] * 7), generate


@intrinsic
def turn(context, zero, rows, lda, into, ldc):
    """Transpose a square of SIDE by SIDE numbers (64 bytes), from address to address, in zero's dtype.

    Interleaving the first half of the rows with the second, log2(SIDE) times, transposes a square.
    """
    size = 4 if zero == numba.float32 else 8
    side = 64 // size

    def generate(target, builder, signature, values):
        _, rows, lda, into, ldc = values
        kind = ir.FloatType() if size == 4 else ir.DoubleType()
        pointer = ir.VectorType(kind, side).as_pointer()

        def place(base, step, i):
            offset = builder.mul(step, _int64(i * size))
            return builder.inttoptr(builder.add(base, offset), pointer)

        halves = [range(side // 2), range(side // 2, side)]
        masks = [
            ir.Constant(
                ir.VectorType(ir.IntType(32), side), [i for k in half for i in (k, side + k)]
            )
            for half in halves
        ]
        square = [builder.load(place(rows, lda, i), align=size) for i in range(side)]
        for _ in range(side.bit_length() - 1):
            square = [
                builder.shuffle_vector(square[i], square[i + side // 2], mask)
                for i in range(side // 2)
                for mask in masks
            ]
        for i in range(side):
            builder.store(square[i], place(into, ldc, i), align=size)
        return target.get_dummy_value()

    number = numba.int64
    return numba.void(zero, number, number, number, number), generate


@intrinsic
def fetch(context, array, i):
    """Ask for the cache line of array[i], to write it soon: a store that waits holds up the others."""

    def generate(target, builder, signature, values):
        data = target.make_array(signature.args[0])(target, builder, values[0]).data
        place = builder.bitcast(builder.gep(data, [values[1]]), ir.IntType(8).as_pointer())
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [place.type, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [place, flag(1), flag(3), flag(1)])
        return target.get_dummy_value()

    return numba.void(array, i), generate

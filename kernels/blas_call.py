"""BLAS's matrix product as a function that compiled loops can call. Imported late: it needs numba."""

import numba
from llvmlite import ir
from numba.extending import intrinsic

_ROW_MAJOR, _PLAIN, _TRANSPOSED = 101, 111, 112
_int32, _int64 = ir.IntType(32), ir.IntType(64)


def _definition(scalar):
    """(signature, code) of the product in one dtype: cblas_?gemm by its address, matrices by theirs."""
    kind = ir.FloatType() if scalar == numba.float32 else ir.DoubleType()
    function_type = ir.FunctionType(
        ir.VoidType(),
        [_int32] * 3 + [_int64] * 3 + [kind, _int64, _int64, _int64, _int64, kind, _int64, _int64],
    )

    def generate(target, builder, signature, values):
        blas, a_t, b_t, m, n, k, a, lda, b, ldb, beta, c, ldc = values
        function = builder.inttoptr(blas, function_type.as_pointer())
        flags = [builder.select(flag, _int32(_TRANSPOSED), _int32(_PLAIN)) for flag in (a_t, b_t)]
        one = ir.Constant(kind, 1.0)
        order = _int32(_ROW_MAJOR)
        builder.call(function, [order, *flags, m, n, k, one, a, lda, b, ldb, beta, c, ldc])
        return target.get_dummy_value()

    flag, number = numba.boolean, numba.int64
    signature = numba.void(
        number, flag, flag, number, number, number,
        number, number, number, number, scalar, number, number,
    )  # fmt: skip
    return signature, generate


@intrinsic
def gemm(context, blas, a_t, b_t, m, n, k, a, lda, b, ldb, beta, c, ldc):
    """C = A B + beta C, row-major; the dtype is beta's, and `blas` the address of its function."""
    return _definition(beta)


@intrinsic
def address(context, array):
    """Where the numbers of an array begin."""

    def generate(target, builder, signature, values):
        data = target.make_array(signature.args[0])(target, builder, values[0]).data
        return builder.ptrtoint(data, _int64)

    return numba.int64(array), generate

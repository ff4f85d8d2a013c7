"""Arrays by their address, in compiled loops that work on many arrays at once. Imported late: needs numba."""

import numba
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

_int64 = ir.IntType(64)


@intrinsic
def array_at(context, place, size, like):
    """The `size` numbers that begin at the address `place`, of the dtype of the array `like`."""
    kind = types.Array(like.dtype, 1, "C")

    def generate(target, builder, signature, values):
        place, size, _ = values
        array = target.make_array(kind)(target, builder)
        number = target.get_data_type(kind.dtype)
        width = _int64(target.get_abi_sizeof(number))
        populate_array(
            array,
            data=builder.inttoptr(place, number.as_pointer()),
            shape=[size],
            strides=[width],
            itemsize=width,
            meminfo=None,
        )
        return array._getvalue()

    return kind(numba.int64, numba.int64, like), generate

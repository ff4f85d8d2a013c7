"""Write down what the real CuPy offers, for the stand-in to go by: `python record_cupy.py`.

Needs the cupy package, no GPU and no driver. The names to look for stand in NAMES; what is written
to fake_cupy/cupy/recorded.json are names, signatures and tables of dtypes, as the installed CuPy tells them.
"""

import inspect
import json
import pathlib

NAMES = """
    abs absolute add all allclose amax amin angle any append arange arccos arccosh arcsin arcsinh
    arctan arctan2 arctanh argmax argmin argpartition argsort argwhere around array array_equal
    array_split asarray ascontiguousarray asfortranarray asnumpy atleast_1d atleast_2d average
    bincount bitwise_and bitwise_or bitwise_xor broadcast_arrays broadcast_shapes broadcast_to
    can_cast cbrt ceil clip column_stack concatenate copy copysign copyto cos cosh count_nonzero
    cross cumprod cumsum deg2rad diag diagflat diagonal diff digitize divide divmod dot einsum
    empty empty_like equal exp exp2 expand_dims expm1 eye fill_diagonal finfo flatnonzero flip
    fliplr flipud float_power floor floor_divide fmax fmin fmod frexp full full_like
    get_array_module greater greater_equal histogram hstack hypot identity iinfo indices inner
    interp invert isclose isfinite isin isinf isnan isneginf isposinf isscalar kron ldexp
    left_shift less less_equal lexsort linspace log log10 log1p log2 logaddexp logaddexp2
    logical_and logical_not logical_or logical_xor logspace matmul max maximum may_share_memory
    mean median meshgrid min minimum mod modf moveaxis msort multiply nan_to_num nanargmax
    nancumprod nancumsum nanmax nanmean nanmedian nanmin nanprod nanstd nansum nanvar ndim negative
    nextafter nonzero not_equal ones ones_like outer packbits pad partition percentile permute_dims
    place positive power prod promote_types ptp put put_along_axis putmask quantile rad2deg ravel
    ravel_multi_index reciprocal remainder repeat reshape resize result_type right_shift rint roll
    rollaxis rot90 round searchsorted select shape shares_memory sign signbit sin sinc sinh size
    sort split sqrt square squeeze stack std subtract sum swapaxes take take_along_axis tan tanh
    tensordot tile trace transpose trapezoid tri tril tril_indices tril_indices_from trim_zeros triu
    triu_indices trunc unique unravel_index unwrap vander var vdot vstack where zeros zeros_like
    ndindex linalg.cholesky linalg.det linalg.eigh linalg.eigvalsh linalg.inv linalg.lstsq
    linalg.matrix_norm linalg.matrix_power linalg.matrix_rank linalg.norm linalg.pinv linalg.qr
    linalg.slogdet linalg.solve linalg.svd lib.stride_tricks.as_strided
    lib.stride_tricks.sliding_window_view
""".split()
METHODS = """
    all any argmax argmin argpartition argsort astype choose clip compress copy cumprod cumsum
    diagonal dot fill flatten get item max mean min nonzero partition prod put ravel repeat reshape
    round scatter_add scatter_max scatter_min searchsorted set sort squeeze std sum swapaxes take
    tobytes tolist trace transpose var view
""".split()
ATTRIBUTES = "T mT base data device dtype flags itemsize nbytes ndim shape size strides".split()


def record() -> dict:
    """The facts of the cupy that `import cupy` finds, for those of the names that it has."""
    import cupy

    functions, ufuncs = {}, {}
    for name in NAMES:
        found = cupy
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, cupy.ufunc):
            ufuncs[name] = {"types": found.types, "at": found._scatter_op, "nin": found.nin}
        elif found is not None and not inspect.isclass(found):
            functions[name] = _plain(found)
    methods = {}
    for name in METHODS:
        text = (getattr(cupy.ndarray, name).__doc__ or "").partition("\n")[0]
        methods[name] = text[text.index("(") :].partition(" ->")[0].replace("_ndarray_base ", "")
    return {
        "version": cupy.__version__,
        "functions": functions,
        "ufuncs": ufuncs,
        "methods": methods,
        "attributes": [name for name in ATTRIBUTES if hasattr(cupy.ndarray, name)],
    }


def _plain(function):
    """A signature as text without annotations; "(*args, **kwargs)" where compiled code hides it."""
    try:
        signature = inspect.signature(function)
    except ValueError:
        return "(*args, **kwargs)"
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    parameters = [
        p.replace(default=p.default.__name__) if p.default in (float, int) else p
        for p in parameters
    ]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


if __name__ == "__main__":
    target = pathlib.Path(__file__).parent / "fake_cupy" / "cupy" / "recorded.json"
    target.write_text(json.dumps(record(), indent=1) + "\n")

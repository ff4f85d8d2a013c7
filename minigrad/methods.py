"""The tables that make Tensor's methods out of the operations, and `add_` out of `add`."""

from . import dtypes, ops
from .tensor import Tensor

# Functions whose first parameter is the tensor: they become methods as they are.
METHODS = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr allclose all amax amin aminmax
any arccos arccosh arcsin arcsinh arctan arctan2 arctanh argmax argmin argsort argwhere as_strided
asin asinh atan atan2 atanh baddbmm bernoulli bincount bitwise_and bitwise_left_shift bitwise_not
bitwise_or bitwise_right_shift bitwise_xor bmm broadcast_to ceil chunk clamp clamp_max clamp_min
clip clone contiguous copysign cos cosh count_nonzero cross cummax cummin cumprod cumsum deg2rad
det diag diag_embed diagflat diagonal diff digamma div divide dot dsplit eq equal erf erfc erfinv exp
exp2 expand expand_as expm1 fix flatten flip fliplr flipud float_power floor floor_divide fmax fmin
fmod frac gather ge ger greater greater_equal gt heaviside histc hsplit hypot i0 index_add index_copy
index_fill index_put index_select inner inverse isclose isfinite isin isinf isnan isneginf isposinf
isreal kron kthvalue ldexp le lerp less less_equal lgamma log log10 log1p log2 logaddexp logaddexp2
logcumsumexp logical_and logical_not logical_or logical_xor logit logsumexp lt masked_fill
masked_scatter masked_select matmul matrix_power max maximum mean median min minimum mm mode
moveaxis movedim msort mul multinomial multiply mv nan_to_num nanmean nanmedian nansum narrow ne neg
negative nonzero norm not_equal numel outer permute positive pow prod
quantile rad2deg ravel reciprocal remainder repeat repeat_interleave reshape reshape_as roll rot90
round rsqrt scatter scatter_add scatter_reduce select sgn sigmoid sign signbit sin sinc sinh slogdet
sort split sqrt square squeeze std sub subtract sum swapaxes swapdims t take take_along_dim tan tanh
tensor_split tile topk trace transpose tril triu true_divide trunc unbind unflatten unfold unique
unique_consecutive unsqueeze var vdot view view_as vsplit xlogy
new_empty new_full new_ones new_tensor new_zeros
softmax log_softmax relu
uniform_ normal_ random_ bernoulli_ exponential_ log_normal_ cauchy_ geometric_
""".split()

# In-place methods: computed as the operation of that name, written over the tensor's own memory.
IN_PLACE = """
abs absolute acos acosh add addbmm addcdiv addcmul addmm addmv addr asin asinh atan atan2 atanh
baddbmm bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil
clamp clamp_max clamp_min clip copysign cos cosh cumprod cumsum deg2rad digamma div divide eq erf
erfc erfinv exp exp2 expm1 fix float_power floor floor_divide fmod frac ge greater greater_equal gt
heaviside hypot i0 index_add index_copy index_fill index_put ldexp le lerp less less_equal lgamma
log log10 log1p log2 logical_and logical_not logical_or logical_xor logit lt masked_fill
masked_scatter mul multiply nan_to_num ne neg negative not_equal pow rad2deg reciprocal relu
remainder round rsqrt scatter scatter_add scatter_reduce sgn sigmoid sign sin sinc sinh sqrt square
sub subtract tan tanh tril triu true_divide trunc xlogy
""".split()

# In-place methods that change how the memory is read, not the numbers in it.
RESHAPED_IN_PLACE = "t transpose squeeze unsqueeze swapaxes swapdims".split()

# dtype changes: x.float() and so on.
CASTS = {
    "bfloat16": "bfloat16",
    "bool": "bool",
    "byte": "uint8",
    "char": "int8",
    "double": "float64",
    "float": "float32",
    "half": "float16",
    "int": "int32",
    "long": "int64",
    "short": "int16",
}

OPERATORS = {
    "__iadd__": "add_",
    "__isub__": "sub_",
    "__imul__": "mul_",
    "__itruediv__": "div_",
    "__ifloordiv__": "floor_divide_",
    "__imod__": "remainder_",
    "__ipow__": "pow_",
    "__iand__": "bitwise_and_",
    "__ior__": "bitwise_or_",
    "__ixor__": "bitwise_xor_",
    "__ilshift__": "bitwise_left_shift_",
    "__irshift__": "bitwise_right_shift_",
}


def _in_place(name, function):
    method_name = name + "_"

    def method(self, *args, **kwargs):
        self._check_in_place(method_name)
        return self._assign(function(self, *args, **kwargs), method_name)

    method.__name__ = method.__qualname__ = method_name
    method.__doc__ = f"`{name}` in place: the result is written into this tensor's own memory."
    return method


def _reshaped_in_place(name, function):
    def method(self, *args):
        self._check_in_place(name + "_")
        view = function(self, *args)
        self.array = view.array
        if view._requires_grad:
            self._node, self._index, self._requires_grad = view._node, view._index, True
        if self._base is not None:
            self._view = view._view
        return self

    method.__name__ = method.__qualname__ = name + "_"
    method.__doc__ = f"`{name}` in place: the same memory, read in another order or shape."
    return method


def _cast(name, dtype_name):
    def method(self, memory_format=None):
        return self.to(getattr(dtypes, dtype_name))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"The numbers as {dtype_name}; the tensor itself if they are already."
    return method


def bind() -> None:
    """Give Tensor its methods; called once, when minigrad is imported."""
    functions = ops.public_functions()
    for name in METHODS:
        if name not in Tensor.__dict__:
            setattr(Tensor, name, functions[name])
    for name in IN_PLACE:
        setattr(Tensor, name + "_", _in_place(name, functions[name]))
    for name in RESHAPED_IN_PLACE:
        setattr(Tensor, name + "_", _reshaped_in_place(name, functions[name]))
    for name, dtype_name in CASTS.items():
        setattr(Tensor, name, _cast(name, dtype_name))
    Tensor.__getitem__ = ops.index.getitem
    # torch's functions of these names take the tensor second
    Tensor.polygamma = lambda self, n: functions["polygamma"](n, self)
    Tensor.where = lambda self, condition, other: functions["where"](condition, self, other)
    for operator, name in OPERATORS.items():
        setattr(Tensor, operator, getattr(Tensor, name))


bind()

"""Convolutions: over sequences, the transpose of that, and over two dimensions."""

import math
from collections.abc import Sequence

from ..ops.creation import empty
from ..tensor import Tensor
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


def tuple_of(value, count: int) -> tuple[int, ...]:
    """A number as a tuple of `count` of it; a sequence as a tuple."""
    return tuple(value) if isinstance(value, Sequence) else (value,) * count


class _Conv(Module):
    """What the convolutions share: options, parameters and their printing."""

    dims = 1

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride,
        padding,
        dilation,
        output_padding,
        groups,
        bias,
        padding_mode,
        weight_channels,
        device,
        dtype,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = tuple_of(kernel_size, self.dims)
        self.stride = tuple_of(stride, self.dims)
        self.padding = padding if isinstance(padding, str) else tuple_of(padding, self.dims)
        self.dilation = tuple_of(dilation, self.dims)
        self.output_padding = tuple_of(output_padding, self.dims)
        self.groups = groups
        self.padding_mode = padding_mode
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            if padding not in ("same", "valid"):
                raise ValueError(
                    f"Invalid padding string {padding!r}, should be one of {{'same', 'valid'}}"
                )
            if padding == "same" and set(self.stride) != {1}:
                raise ValueError("padding='same' is not supported for strided convolutions")
        if padding_mode not in PADDING_MODES:
            raise ValueError(
                f"padding_mode must be one of {PADDING_MODES}, "
                f"but got padding_mode='{padding_mode}'"
            )
        shape = (*weight_channels, *self.kernel_size)
        self.weight = Parameter(empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(empty((out_channels,), device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias from U(-a, a), a = 1/sqrt(fan in)."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
            init.uniform_(self.bias, -bound, bound)

    def _convolve(self, conv, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros" and padding != "valid":
            sides = []  # of the last dimension first, as `pad` takes them
            for d in reversed(range(self.dims)):
                if padding == "same":
                    total = self.dilation[d] * (self.kernel_size[d] - 1)
                    sides += [total // 2, total - total // 2]
                else:
                    sides += [padding[d]] * 2
            input = F.pad(input, sides, mode=self.padding_mode)
            padding = 0
        return conv(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        text = (
            f"{self.in_channels}, {self.out_channels}, "
            f"kernel_size={self.kernel_size}, stride={self.stride}"
        )
        if self.padding != (0,) * self.dims:
            text += f", padding={self.padding}"
        if self.dilation != (1,) * self.dims:
            text += f", dilation={self.dilation}"
        if self.output_padding != (0,) * self.dims:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text


class Conv1d(_Conv):
    """y[b, o, t] = bias[o] + sum over c, k of weight[o, c, k] x[b, c, stride t + dilation k].

    x (B, in_channels, T) or (in_channels, T) -> (B, out_channels, T') or (out_channels, T'),
    T' = floor((T + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.
    weight (out_channels, in_channels / groups, kernel_size).
    padding: a number, "valid" (none) or "same" (T' = T). padding_mode: what stands in the padding.
    groups: channels are cut into this many groups that don't see each other.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] | str = 0,
        dilation: int | tuple[int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            (out_channels, in_channels // groups if groups > 0 else 0),
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        return self._convolve(F.conv1d, input)


class Conv2d(_Conv):
    """Conv1d over two dimensions: x (B, in_channels, H, W) -> (B, out_channels, H', W').

    weight (out_channels, in_channels / groups, *kernel_size). Text CNNs written with it have one
    channel and kernels as wide as the embedding: (B, 1, T, E) -> (B, out_channels, T', 1).
    """

    dims = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            0,
            groups,
            bias,
            padding_mode,
            (out_channels, in_channels // groups if groups > 0 else 0),
            device,
            dtype,
        )

    def forward(self, input: Tensor) -> Tensor:
        return self._convolve(F.conv2d, input)


class ConvTranspose1d(_Conv):
    """The transpose of Conv1d: its gradient with respect to its input, used as a layer.

    x (B, in_channels, T) -> (B, out_channels, T'),
    T' = (T - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1.
    weight (in_channels, out_channels / groups, kernel_size).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int],
        stride: int | tuple[int] = 1,
        padding: int | tuple[int] = 0,
        output_padding: int | tuple[int] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int] = 1,
        padding_mode: str = "zeros",
        device=None,
        dtype=None,
    ):
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            output_padding,
            groups,
            bias,
            padding_mode,
            (in_channels, out_channels // groups if groups > 0 else 0),
            device,
            dtype,
        )

    def forward(self, input: Tensor, output_size: Sequence[int] | None = None) -> Tensor:
        output_padding = self.output_padding
        if output_size is not None:
            output_padding = (self._padding_for(input, tuple(output_size)),)
        return F.conv_transpose1d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            output_padding,
            self.groups,
            self.dilation,
        )

    def _padding_for(self, input, output_size):
        """The output padding that gives the asked-for length, among the `stride` possible ones."""
        leading = input.dim() - 1
        if len(output_size) == leading + 1:
            output_size = output_size[leading:]
        if len(output_size) != 1:
            raise ValueError(
                f"ConvTranspose1D: for {input.dim()}D input, output_size must have 1 or "
                f"{leading + 1} elements (got {len(output_size)})"
            )
        reach = self.dilation[0] * (self.kernel_size[0] - 1) + 1
        shortest = (input.shape[-1] - 1) * self.stride[0] - 2 * self.padding[0] + reach
        longest = shortest + self.stride[0] - 1
        if not shortest <= output_size[0] <= longest:
            raise ValueError(
                f"requested an output size of {list(output_size)}, but valid sizes range from "
                f"{[shortest]} to {[longest]} (for an input of {input.shape[2:]})"
            )
        return output_size[0] - shortest

"""Random numbers on arrays, drawn as PyTorch's CPU generator draws them.

The source is the Mersenne twister MT19937 (Matsumoto & Nishimura 1998), 32 random bits a draw; NumPy
runs it. What makes the numbers equal torch's is how draws become numbers, and that is written here:

uniform   float32: the low 24 bits of one draw / 2^24; float64: the low 53 bits of two draws / 2^53
integers  draw mod range (two draws where the range passes 2^28)
normal    Box-Muller: r = sqrt(-2 log(1 - u)), angle 2 pi v gives r cos and r sin. 16 numbers or more
          are made in blocks of 16 (8 u's, then 8 v's); fewer one by one in float64
permute   Fisher-Yates with draw mod (n - i)
"""

import math
import secrets
import struct

import numpy

from .backend import device as Device

DEFAULT_SEED = 67280421310721  # torch's default_rng_seed_val
_STATE_BYTES = 5056


class Generator:
    """A stream of random numbers with a state of its own, as torch.Generator."""

    def __init__(self, device="cpu"):
        self.device = Device(device)
        self._bits = numpy.random.MT19937()
        self.manual_seed(DEFAULT_SEED)

    # -- the state -------------------------------------------------------------------------------

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream that belongs to a seed."""
        seed = int(seed)
        if not -(2**63) <= seed < 2**64:
            raise RuntimeError(f"manual_seed expected a 64-bit integer, but got {seed}")
        self._seed = seed % 2**64
        legacy = numpy.random.RandomState(self._seed & 0xFFFFFFFF).get_state(legacy=False)
        self._bits.state = {"bit_generator": "MT19937", "state": legacy["state"]}
        self._spare = None  # the second normal of a Box-Muller pair
        return self

    def seed(self) -> int:
        """Start a stream from a seed that the operating system chooses, and return the seed."""
        seed = secrets.randbits(64)
        self.manual_seed(seed)
        return seed

    def initial_seed(self) -> int:
        """The seed that the stream started from."""
        return self._seed

    def state_bytes(self) -> numpy.ndarray:
        """The state, in the 5,056 bytes that torch's get_rng_state() has."""
        state = self._bits.state["state"]
        position = int(state["pos"])
        left = 1 if position == 624 else 624 - position + 1
        spare = 0.0 if self._spare is None else self._spare
        head = struct.pack("<QiiQ", self._seed, left, 1, position)
        words = state["key"].astype("<u8").tobytes()
        tail = struct.pack("<dddi4xf?3x", 0.0, spare, 0.0, self._spare is not None, 0.0, False)
        return numpy.frombuffer(head + words + tail, numpy.uint8).copy()

    def set_state_bytes(self, state: numpy.ndarray) -> None:
        """Continue from a state, ours or torch's."""
        raw = numpy.asarray(state)
        if raw.dtype != numpy.uint8:
            raise TypeError(f"expected a ByteTensor of state, got {raw.dtype}")
        if raw.size != _STATE_BYTES:
            raise RuntimeError(
                f"Expected a CPU generator state of {_STATE_BYTES} bytes, but found {raw.size}"
            )
        raw = raw.tobytes()
        seed, left, _, position = struct.unpack_from("<QiiQ", raw)
        key = numpy.frombuffer(raw, "<u8", 624, 24).astype(numpy.uint32)
        _, spare, _, has_spare = struct.unpack_from("<dddi", raw, 24 + 624 * 8)
        if position > 624:
            raise RuntimeError("the generator state is corrupt: its position is past its end")
        self._seed = seed
        position = 624 if left == 1 else position
        self._bits.state = {"bit_generator": "MT19937", "state": {"key": key, "pos": position}}
        self._spare = spare if has_spare else None

    def get_state(self):
        """The state as a ByteTensor."""
        return self._wrap(self.state_bytes())

    def set_state(self, new_state) -> None:
        """Continue from a ByteTensor of state."""
        self.set_state_bytes(getattr(new_state, "array", new_state))

    _wrap = staticmethod(lambda array: array)  # becomes `op.wrap` where Tensors exist

    def clone_state(self) -> "Generator":
        """A generator that will give the same numbers as this one."""
        other = Generator(self.device)
        other.set_state_bytes(self.state_bytes())
        return other

    # -- draws -------------------------------------------------------------------------------------

    def words(self, count: int) -> numpy.ndarray:
        """`count` draws of 32 bits, as uint64."""
        return self._bits.random_raw(count)

    def long_words(self, count: int) -> numpy.ndarray:
        """`count` draws of 64 bits: of each two words the first is the high half."""
        pairs = self._bits.random_raw(2 * count)
        return (pairs[0::2] << numpy.uint64(32)) | pairs[1::2]

    def uniform(self, count: int, dtype, low=0.0, high=1.0) -> numpy.ndarray:
        """Uniform on [low, high) in float16, float32 or float64."""
        dtype = numpy.dtype(dtype)
        if dtype == numpy.float64:
            unit = (self.long_words(count) & numpy.uint64(2**53 - 1)) * 2.0**-53
            return unit * (high - low) + low
        digits = {"float32": 24, "float16": 11, "bfloat16": 8}[dtype.name]
        bits = (self.words(count) & numpy.uint64(2**digits - 1)).astype(numpy.float32)
        unit = bits * numpy.float32(2.0**-digits)
        if (low, high) != (0.0, 1.0):  # rounded once, as by a fused multiply-add
            span = float(numpy.float32(high - low))
            unit = (unit.astype(numpy.float64) * span + float(numpy.float32(low))).astype(dtype)
        return unit.astype(dtype, copy=False)

    def normal(self, count: int, dtype, mean=0.0, std=1.0) -> numpy.ndarray:
        """Normal numbers in a floating dtype."""
        dtype = numpy.dtype(dtype)
        if count < 16:
            return numpy.array([self.one_normal() * std + mean for _ in range(count)], dtype)
        work = dtype if dtype in (numpy.float32, numpy.float64) else numpy.dtype(numpy.float32)
        whole = count // 16 * 16
        uniform = self.uniform(count, work)
        out = numpy.empty(count, work)
        out[:whole] = _box_muller(uniform[:whole], mean, std)
        if whole < count:  # the last 16 are drawn afresh, over the end of the last block
            out[-16:] = _box_muller(self.uniform(16, work), mean, std)
        return out.astype(dtype, copy=False)

    def one_normal(self) -> float:
        """One standard normal in float64; its twin is kept for the next call."""
        if self._spare is not None:
            value, self._spare = self._spare, None
            return value
        u, v = self.uniform(2, numpy.float64).tolist()
        radius = math.sqrt(-2.0 * math.log1p(-v))
        self._spare = radius * math.sin(2.0 * math.pi * u)
        return radius * math.cos(2.0 * math.pi * u)

    def integers(self, count: int, low: int, high: int) -> numpy.ndarray:
        """Integers of [low, high), as int64."""
        span = high - low
        words = self.words(count) if span < 2**28 else self.long_words(count)
        if span < 2**64:
            words = words % numpy.uint64(span)
        return (words.astype(numpy.int64) + numpy.int64(low)).astype(numpy.int64)

    def permutation(self, n: int) -> numpy.ndarray:
        """The numbers 0 .. n-1 in random order, as int64."""
        if n < 2:
            return numpy.arange(n)
        draws = self.words(n - 1) if n < (2**32 - 1) // 20 else self.long_words(n - 1)
        places = (draws % numpy.arange(n, 1, -1, dtype=numpy.uint64)).astype(numpy.int64)
        order = list(range(n))
        for i, offset in enumerate(places.tolist()):
            j = i + offset
            order[i], order[j] = order[j], order[i]
        return numpy.array(order, numpy.int64)

    def exponential(self, count: int, rate=1.0) -> numpy.ndarray:
        """Exponential numbers of that rate, in float64: -log(1 - u) / rate."""
        return -numpy.log1p(-self.uniform(count, numpy.float64)) / rate

    def numpy_generator(self) -> numpy.random.Generator:
        """A NumPy generator seeded from this stream, for distributions that torch draws otherwise."""
        return numpy.random.Generator(numpy.random.PCG64(self.words(4).tolist()))


def _box_muller(uniform, mean, std):
    """Blocks of 16 uniforms (8 radii, 8 angles) to blocks of 16 normals (8 cosines, 8 sines)."""
    blocks = uniform.reshape(-1, 2, 8)
    kind = uniform.dtype.type
    radius = numpy.sqrt(kind(-2) * numpy.log(kind(1) - blocks[:, 0]))
    angle = kind(2 * math.pi) * blocks[:, 1]
    out = numpy.empty_like(blocks)
    out[:, 0] = radius * numpy.cos(angle) * kind(std) + kind(mean)
    out[:, 1] = radius * numpy.sin(angle) * kind(std) + kind(mean)
    return out.reshape(-1)


default_generator = Generator()

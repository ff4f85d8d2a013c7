"""Random numbers on arrays, drawn as PyTorch's CPU generator draws them.

The source is the Mersenne twister MT19937 (Matsumoto & Nishimura 1998), 32 random bits a draw;
NumPy runs it. What makes the numbers equal torch's is how draws become numbers, written here:

uniform   float32: the low 24 bits of a draw / 2^24; float64: the low 53 bits of two draws / 2^53
integers  draw mod range (two draws where the range reaches 2^28)
normal    Box-Muller: r = sqrt(-2 log(1 - u)), angle 2 pi v gives r cos and r sin. From 16 on
          in blocks of 16 (8 u's, then 8 v's); fewer are made one by one in float64
permute   Fisher-Yates with draw mod (n - i)

On Intel processors torch leaves bernoulli_(p) and exponential_() to Intel's MKL, whose streams
differ; elsewhere, and for all other functions everywhere, the numbers here are torch's.
"""

import math
import os
import struct

import numpy

from .backend import device as Device
from .backend import host

DEFAULT_SEED = 67280421310721  # torch's default_rng_seed_val
_STATE_BYTES = 5056
_HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)
_SPLIT = 2.0**27 + 1  # cuts a float64 into two halves of 26 bits


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
        seed = int.from_bytes(os.urandom(8), "little")
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
        state = getattr(new_state, "array", new_state)
        self.set_state_bytes(host(state) if hasattr(state, "dtype") else state)

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
        """Uniform on [low, high) in float16, bfloat16, float32 or float64."""
        dtype = numpy.dtype(dtype)
        if dtype == numpy.float64:
            unit = (self.long_words(count) & numpy.uint64(2**53 - 1)) * 2.0**-53
        else:
            bits = (self.words(count) & numpy.uint64(2**24 - 1)).astype(numpy.float32)
            unit = bits * numpy.float32(2.0**-24)
        if (low, high) != (0.0, 1.0):
            unit = _stretch(unit, low, high)
        elif dtype.itemsize >= 4:
            return unit
        out = unit.astype(dtype, copy=False)
        end = dtype.type(high)
        out[out == end] = low  # rounding reached `high`, which is excluded
        return out

    def normal(self, count: int, dtype, mean=0.0, std=1.0) -> numpy.ndarray:
        """Normal numbers in a floating dtype."""
        dtype = numpy.dtype(dtype)
        if count < 16:
            return self.normals_singly(count, mean, std).astype(dtype)
        work = dtype if dtype.itemsize >= 4 else numpy.dtype(numpy.float32)
        whole = count // 16 * 16
        # 16-bit types draw for the whole blocks alone, the others for every place
        uniform = self.uniform(count if work == dtype else whole, work)
        out = numpy.empty(count, work)
        out[:whole] = _box_muller(uniform[:whole], mean, std)
        if whole < count:  # the last 16 are drawn afresh, over the end of the last block
            out[-16:] = _box_muller(self.uniform(16, work), mean, std)
        return out.astype(dtype, copy=False)

    def normals_singly(self, count: int, mean=0.0, std=1.0) -> numpy.ndarray:
        """float64 normals from pairs (r cos, r sin); an odd one out waits for the next call."""
        out = numpy.empty(count)
        first = 0
        if count and self._spare is not None:
            out[0], self._spare = self._spare, None
            first = 1
        pairs = (count - first + 1) // 2
        angle, u = self.uniform(2 * pairs, numpy.float64).reshape(pairs, 2).T
        radius = numpy.sqrt(-2.0 * numpy.log1p(-u))
        both = numpy.empty((pairs, 2))
        both[:, 0] = radius * numpy.cos(2.0 * math.pi * angle)
        both[:, 1] = radius * numpy.sin(2.0 * math.pi * angle)
        both = both.reshape(-1)
        if len(both) > count - first:
            self._spare = float(both[-1])
        out[first:] = both[: count - first]
        return out * std + mean

    def integers(self, count: int, low: int, high: int) -> numpy.ndarray:
        """Integers of [low, high), as int64."""
        span = high - low
        words = self.words(count) if span < 2**28 else self.long_words(count)
        if span == 2**64:  # every int64: the bits are the number
            return words.view(numpy.int64)
        return (words % numpy.uint64(span)).astype(numpy.int64) + low

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

    def _unit(self) -> float:
        """One uniform number of [0, 1) in float64."""
        word = (self._bits.random_raw() << 32) | self._bits.random_raw()
        return (word & (2**53 - 1)) * 2.0**-53

    def poisson(self, rate: float) -> int:
        """One Poisson count.

        Small rates multiply uniforms until the product passes e^-rate (Knuth 1969); from 10 on,
        transformed rejection PTRS (Hoermann 1993, "The transformed rejection method for generating
        Poisson random variables").
        """
        if rate == 0:
            return 0
        if rate < 10:
            count, product, end = 0, self._unit(), math.exp(-rate)
            while product > end:
                count += 1
                product *= self._unit()
            return count
        root, log_rate = math.sqrt(rate), math.log(rate)
        b = 0.931 + 2.53 * root
        a = -0.059 + 0.02483 * b
        inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
        sure = 0.9277 - 3.6224 / (b - 2)
        while True:
            u = self._unit() - 0.5
            v = self._unit()
            edge = 0.5 - abs(u)
            count = math.floor((2 * a / edge + b) * u + rate + 0.43)
            if edge >= 0.07 and v <= sure:
                return count
            if count < 0 or (edge < 0.013 and v > edge):
                continue
            density = -rate + count * log_rate - math.lgamma(count + 1)
            if math.log(v * inverse_alpha / (a / edge**2 + b)) <= density:
                return count

    def binomial(self, trials: float, chance: float) -> float:
        """Successes among `trials`, each with that chance: counted from the rarer outcome."""
        if math.isnan(trials) or math.isnan(chance):
            return math.nan
        if trials <= 0 or chance <= 0:
            return 0.0
        if chance >= 1:
            return trials
        rarer = min(chance, 1 - chance)
        if trials * rarer >= 10:
            found = self._binomial_by_rejection(trials, rarer)
        else:
            found, passed = 0, 0.0
            while True:  # the waiting times between successes are geometric
                passed += math.ceil(math.log(self._unit()) / math.log1p(-rarer))
                if passed > trials:
                    break
                found += 1
        return float(found if chance <= 0.5 else trials - found)

    def _binomial_by_rejection(self, n, p):
        """BTRS (Hoermann 1993, "The generation of binomial random variates")."""
        spread = math.sqrt(n * p * (1 - p))
        b = 1.15 + 2.53 * spread
        a = -0.0873 + 0.0248 * b + 0.01 * p
        sure = 0.92 - 4.2 / b
        odds = p / (1 - p)
        alpha = (2.83 + 5.1 / b) * spread
        mode = math.floor((n + 1) * p)
        while True:
            u = self._unit() - 0.5
            v = self._unit()
            edge = 0.5 - abs(u)
            k = math.floor((2 * a / edge + b) * u + n * p + 0.5)
            if edge >= 0.07 and v <= sure:
                return k
            if not 0 <= k <= n:
                continue
            bound = (
                (mode + 0.5) * math.log((mode + 1) / (odds * (n - mode + 1)))
                + (n + 1) * math.log((n - mode + 1) / (n - k + 1))
                + (k + 0.5) * math.log(odds * (n - k + 1) / (k + 1))
                + _stirling_rest(mode) + _stirling_rest(n - mode)
                - _stirling_rest(k) - _stirling_rest(n - k)
            )  # fmt: skip
            if math.log(v * alpha / (a / edge**2 + b)) <= bound:
                return k


def _stirling_rest(k):
    """log k! minus Stirling's formula for it: (k + 1/2) log(k + 1) - (k + 1) + log(2 pi) / 2."""
    if k <= 9:
        return math.lgamma(k + 1) - (k + 0.5) * math.log(k + 1) + (k + 1) - _HALF_LOG_2PI
    square = (k + 1) ** 2
    return (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (k + 1)


def _stretch(unit, low, high):
    """unit * (high - low) + low, rounded once, as the fused multiply-add of a processor does."""
    if unit.dtype == numpy.float32:  # float64 holds the product of two float32 exactly
        span = float(numpy.float32(high - low))
        return (unit.astype(numpy.float64) * span + float(numpy.float32(low))).astype(numpy.float32)
    # Dekker (1971): the product's and the sum's rounding errors, added back at the end
    span, low = float(high) - float(low), float(low)
    product = unit * span
    u_high = unit * _SPLIT - (unit * _SPLIT - unit)
    u_low = unit - u_high
    span_high = span * _SPLIT - (span * _SPLIT - span)
    span_low = span - span_high
    lost = u_low * span_low - (
        ((product - u_high * span_high) - u_low * span_high) - u_high * span_low
    )
    total = product + low
    shift = total - product
    return total + (((product - (total - shift)) + (low - shift)) + lost)


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

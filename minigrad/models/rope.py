"""Rotary position embeddings: queries and keys are turned by angles that grow with their place.

Su, Lu, Pan, Murtadha, Wen and Liu 2021, "RoFormer: Enhanced Transformer with Rotary Position
Embedding" (Neurocomputing 568, 2024). Numbers i and i + K/2 of a head's K are a point in a plane, which
at place t is turned by t f_i, f_i = theta^(-2i/K). A product of a query at s and a key at t then depends
on s - t alone.

B texts, T tokens, A heads, K width of a head.
"""

import math

import minigrad as torch

# rope_type: what it needs besides rope_theta
KINDS = {
    "default": (),
    "linear": ("factor",),
    "dynamic": ("factor",),
    "llama3": (
        "factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings",
    ),
}  # fmt: skip


def rope_parameters(given: dict | None, theta: float, longest: int) -> dict:
    """The whole of `rope_parameters`, out of an old file's rope_scaling, or what is given of it.

    theta: where none is given; longest: max_position_embeddings.
    """
    found = dict(given or {})
    kind = found.pop("type", "default")
    found.setdefault("rope_type", kind)
    found.setdefault("rope_theta", theta)
    if found["rope_type"] == "llama3":
        found.setdefault("original_max_position_embeddings", longest)
    return found


def check_rope(name: str, parameters: dict, width: int) -> None:
    """ValueError for a kind of rotation that there isn't, or that lacks a number."""
    kind = parameters["rope_type"]
    if kind not in KINDS:
        raise ValueError(
            f"{name}: there is no rope_type {kind!r} here; there are: {', '.join(KINDS)}. A model that "
            "was trained with another one gives nonsense without it"
        )
    missing = [key for key in KINDS[kind] if key not in parameters]
    if missing:
        raise ValueError(f"{name}: rope_parameters of rope_type {kind!r} lack {', '.join(missing)}")
    if parameters.get("partial_rotary_factor", 1.0) != 1.0:
        raise ValueError(
            f"{name}: heads are turned whole here; partial_rotary_factor must be 1, not "
            f"{parameters['partial_rotary_factor']}"
        )
    if width % 2:
        raise ValueError(f"{name}: head_dim must be even for rotary positions, not {width}")


class RotaryEmbedding:
    """The cosines and sines for places, by a configuration's rope_parameters.

    default: f_i = theta^(-2i/K). linear: f_i / factor. dynamic: beyond the `max_position_embeddings`
    L places of training, of n places, theta is (factor n/L - factor + 1)^(K/(K-2)) times larger.
    llama3: with L0 = original_max_position_embeddings places of training and the turns r = L0 f_i / 2 pi
    in them, f_i where r > high_freq_factor, f_i / factor where r < low_freq_factor, and in between
    the two mixed, with the share (r - low) / (high - low) of f_i.
    """

    def __init__(self, config):
        self.parameters, self.width = config.rope_parameters, config.head_dim
        self.longest = config.max_position_embeddings
        self._kept = {}  # (dtype, device): frequencies that depend on nothing else

    def frequencies(self, dtype, device=None, length: int | None = None):
        """f (K/2); length: how many places there are, for those that depend on it."""
        if self.parameters["rope_type"] == "dynamic" and length is not None:
            return self._make(dtype, device, max(length, self.longest))
        key = dtype, str(device)
        if key not in self._kept:
            self._kept[key] = self._make(dtype, device, self.longest)
        return self._kept[key]

    def _make(self, dtype, device, length):
        given, width = self.parameters, self.width
        kind, theta, factor = given["rope_type"], given["rope_theta"], given.get("factor", 1.0)
        if kind == "dynamic":
            stretched = factor * length / self.longest - (factor - 1)
            theta = theta * stretched ** (width / (width - 2))
        f = theta ** -(torch.arange(0, width, 2, device=device).to(dtype) / width)
        if kind == "linear":
            return f / factor
        if kind == "llama3":
            low, high = given["low_freq_factor"], given["high_freq_factor"]
            turns = given["original_max_position_embeddings"] * f / (2 * math.pi)
            share = ((turns - low) / (high - low)).clamp(0, 1)
            return share * f + (1 - share) * f / factor
        return f

    def __call__(self, position_ids, like):
        """(cos, sin), (B, 1, T, K/2) each, for places (B, T); dtype and device are those of `like`.

        Angles are made in float32 at least: in half precision place 2049 is no number.
        """
        dtype = like.dtype if like.dtype == torch.float64 else torch.float32
        length = None
        if self.parameters["rope_type"] == "dynamic":
            length = int(position_ids.max()) + 1
        f = self.frequencies(dtype, like.device, length)
        angles = position_ids[:, None, :, None].to(dtype) * f
        return angles.cos().to(like.dtype), angles.sin().to(like.dtype)


def rotate(x, cos, sin):
    """x (B, A, T, K), its planes turned by the angles of cos and sin (B, 1, T, K/2)."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)

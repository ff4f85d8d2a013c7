"""The keys and values of tokens already read: what a decoder keeps so as not to read them again.

    cache = DynamicCache()
    keys, values = cache.update(keys, values, layer)  # in every layer: those of all tokens so far

B texts, A heads, T new tokens, S tokens in all, K width of a head.
"""

import minigrad as torch

from ..backend import array_module
from ..op import wrap


class LayerCache:
    """One layer's keys and values, (B, A, S, K) each.

    They stand in arrays with room for more, which double when full: a new token costs its own size,
    not that of all before it. Where a gradient is wanted, they are joined as tensors instead.
    """

    def __init__(self):
        self.keys = self.values = None  # tensors of the S tokens so far
        self._rooms = None  # arrays (B, A, room, K) in which those stand
        self._spare = None  # two more, where texts change places

    def __len__(self) -> int:
        return 0 if self.keys is None else self.keys.shape[2]

    def update(self, keys, values):
        """Add keys and values (B, A, T, K) of new tokens; those of all tokens, (B, A, S, K)."""
        if self.keys is not None:
            self._check(keys, values)
        if torch.is_grad_enabled() and (keys.requires_grad or values.requires_grad):
            self._rooms = None
            if self.keys is not None:
                keys = torch.cat([self.keys, keys], dim=2)
                values = torch.cat([self.values, values], dim=2)
            self.keys, self.values = keys, values
        else:
            self._append(keys.array, values.array)
        return self.keys, self.values

    def _append(self, *new):
        past, size = len(self), len(self) + new[0].shape[2]
        if self._rooms is None or self._rooms[0].shape[2] < size:
            old = None if self.keys is None else (self.keys.array, self.values.array)
            self._rooms, self._spare = [], None
            for i, array in enumerate(new):
                shape = (*array.shape[:2], max(2 * past, size, 16), array.shape[3])
                room = array_module(array).empty(shape, array.dtype)
                if old is not None:
                    room[:, :, :past] = old[i]
                self._rooms.append(room)
        for room, array in zip(self._rooms, new, strict=True):
            room[:, :, past:size] = array
        self.keys, self.values = (wrap(room[:, :, :size]) for room in self._rooms)

    def _check(self, keys, values):
        for name, kept, new in (("keys", self.keys, keys), ("values", self.values, values)):
            if kept.shape[:2] != new.shape[:2] or kept.shape[3] != new.shape[3]:
                raise ValueError(
                    f"cache: {name} {tuple(new.shape)} (B, A, T, K) don't continue those of "
                    f"{tuple(kept.shape)}: a cache goes on with the texts that it began with"
                )

    def select(self, rows) -> None:
        """Keep these texts alone, in this order; rows: int64 indices.

        They go from one pair of arrays to another and back, so that beams, which change places at
        every step, cost no memory that was not there before.
        """
        order = rows.tolist()
        if self.keys is None or order == list(range(self.keys.shape[0])):
            return
        if self._rooms is None:
            self.keys, self.values = (x.index_select(0, rows) for x in (self.keys, self.values))
            return
        size, old = len(self), self._rooms
        shapes = [(len(order), *room.shape[1:]) for room in old]
        new = self._spare
        if new is None or [room.shape for room in new] != shapes:
            new = [
                array_module(room).empty(shape, room.dtype)
                for room, shape in zip(old, shapes, strict=True)
            ]
        for room, other in zip(old, new, strict=True):
            for place, row in enumerate(order):
                other[place, :, :size] = room[row, :, :size]
        self._rooms, self._spare = new, old
        self.keys, self.values = (wrap(room[:, :, :size]) for room in new)

    def crop(self, length: int) -> None:
        """Forget the tokens after the first `length`."""
        if len(self) > length:
            self.keys, self.values = self.keys[:, :, :length], self.values[:, :, :length]
            self._rooms = None


class DynamicCache:
    """The caches of a decoder's layers, made as they are asked for."""

    def __init__(self):
        self.layers: list[LayerCache] = []

    def layer(self, number: int) -> LayerCache:
        """One layer's cache."""
        while len(self.layers) <= number:
            self.layers.append(LayerCache())
        return self.layers[number]

    def update(self, keys, values, layer_idx: int):
        """A layer's new keys and values (B, A, T, K) -> those of all tokens so far, (B, A, S, K)."""
        return self.layer(layer_idx).update(keys, values)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many tokens have been read."""
        return len(self.layers[layer_idx]) if layer_idx < len(self.layers) else 0

    def batch_select_indices(self, indices) -> None:
        """Keep these texts alone, in this order: beams that go on, sentences that have not ended."""
        for layer in self.layers:
            layer.select(indices)

    reorder_cache = batch_select_indices

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every text `repeats` times, one after the other."""
        if self.get_seq_length():
            keys = self.layers[0].keys
            rows = torch.arange(keys.shape[0], device=keys.device)
            self.batch_select_indices(rows.repeat_interleave(repeats))

    def crop(self, max_length: int) -> None:
        """Forget the tokens after the first max_length; a negative number: that many at the end."""
        keep = max_length if max_length >= 0 else max(0, self.get_seq_length() + max_length)
        for layer in self.layers:
            layer.crop(keep)

    def __len__(self) -> int:
        return len(self.layers)


class EncoderDecoderCache:
    """A decoder's own tokens, and the keys and values made once of what the encoder gave."""

    def __init__(self):
        self.self_attention_cache = DynamicCache()
        self.cross_attention_cache = DynamicCache()

    def source(self, layer_idx: int):
        """A layer's keys and values of the source, (B, A, S, K) each; None before the first step."""
        layer = self.cross_attention_cache.layer(layer_idx)
        return None if layer.keys is None else (layer.keys, layer.values)

    def keep_source(self, keys, values, layer_idx: int):
        """Keep the source's keys and values; they are given back."""
        return self.cross_attention_cache.update(keys, values, layer_idx)

    def update(self, keys, values, layer_idx: int):
        """As DynamicCache.update, of the decoder's own tokens."""
        return self.self_attention_cache.update(keys, values, layer_idx)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """How many target tokens have been read."""
        return self.self_attention_cache.get_seq_length(layer_idx)

    def batch_select_indices(self, indices) -> None:
        """Keep these texts alone, in this order."""
        for cache in (self.self_attention_cache, self.cross_attention_cache):
            cache.batch_select_indices(indices)

    reorder_cache = batch_select_indices

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Every text `repeats` times, one after the other."""
        for cache in (self.self_attention_cache, self.cross_attention_cache):
            cache.batch_repeat_interleave(repeats)

    def crop(self, max_length: int) -> None:
        """Forget the target tokens after the first max_length."""
        self.self_attention_cache.crop(max_length)

    def __len__(self) -> int:
        return len(self.self_attention_cache)

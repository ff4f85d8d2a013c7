"""Batches come to the device that the model is on; texts and data sets stay where they are."""

from collections.abc import Iterable, Iterator


def device_of(model):
    """The device of a model's first parameter; None, which is nowhere to go, without parameters."""
    return next((p.device for p in model.parameters()), None)


def moved(batch, device):
    """A batch with its tensors on a device: tuples, lists and dicts keep their form, the rest stays.

    With None for the device it is the batch itself.
    """
    if device is None:
        return batch
    if hasattr(batch, "_fields"):
        return type(batch)(*(moved(part, device) for part in batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(moved(part, device) for part in batch)
    if isinstance(batch, dict):
        return {name: moved(part, device) for name, part in batch.items()}
    return batch.to(device) if hasattr(batch, "to") else batch


def brought_to(model, batches: Iterable) -> Iterator:
    """The batches one after another, each on the model's device."""
    device = device_of(model)
    return (moved(batch, device) for batch in batches)

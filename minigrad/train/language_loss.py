"""The loss of a recurrent language model, of a window and of a whole text."""

from ..engine import no_grad
from ..nn import functional as F
from ..text.language import Windows, batchify
from .devices import brought_to


def window_loss(model, inputs, targets, state):
    """(mean loss over a window, state after it): logits and log-softmax in one, never held whole."""
    hidden, state = model.features(inputs, state)
    decoder = model.decoder
    loss = F.linear_cross_entropy(
        hidden.flatten(0, 1), decoder.weight, targets.reshape(-1), linear_bias=decoder.bias
    )
    return loss, state


def evaluate_language_model(model, ids, columns: int = 1, steps: int = 100) -> float:
    """Nats a token over a text (N,), the state carried through; exact with one column.

    Every column's first id has nothing before it and is not counted.
    """
    windows = Windows(batchify(ids, columns), steps)
    was_training = model.training
    model.eval()
    total, count, state = 0.0, 0, None
    with no_grad():
        for inputs, targets in brought_to(model, windows):
            loss, state = window_loss(model, inputs, targets, state)
            total += loss.item() * targets.numel()
            count += targets.numel()
    model.train(was_training)
    return total / count

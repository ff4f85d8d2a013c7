"""Embeddings that stay still for the first epochs, while random layers above them learn to use them."""

from ..nn import Embedding


class Unfreeze:
    """Keeps the embeddings of a model as they are until `epochs` epochs are over.

    Parameters that did not learn before never do. An optimizer that was given all parameters passes
    over those without a gradient, and begins their moments with their first one.
    """

    def __init__(self, model, epochs: int, kinds: tuple = (Embedding,)):
        layers = [module for module in model.modules() if isinstance(module, kinds)]
        self.parameters = [p for layer in layers for p in layer.parameters() if p.requires_grad]
        self.epochs = epochs
        if not self.parameters:
            raise ValueError(
                "recipe: freeze_epochs needs an embedding that learns; the model has none"
            )

    def epoch_begins(self, number: int) -> None:
        """Freeze or unfreeze for epoch 1, 2 ..."""
        for p in self.parameters:
            p.requires_grad_(number > self.epochs)
            p.grad = None

"""History: what every epoch measured, and which was the best."""

import json
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from ..files import atomic


@dataclass
class Epoch:
    """The figures of one epoch; accuracies are fractions, times are seconds."""

    number: int
    train_loss: float
    train_accuracy: float
    valid_loss: float
    valid_accuracy: float
    learning_rate: float
    seconds: float


@dataclass
class History:
    """All epochs of a run; a subclass has epochs with other figures, and its own best one."""

    epochs: list = field(default_factory=list)

    epoch_type: ClassVar[type] = Epoch

    def append(self, epoch: Epoch) -> None:
        """Add an epoch."""
        self.epochs.append(epoch)

    @property
    def best(self) -> Epoch | None:
        """The epoch with the highest validation accuracy; of equal ones that with the lowest loss."""
        return max(self.epochs, key=lambda e: (e.valid_accuracy, -e.valid_loss), default=None)

    def state_dict(self) -> list[dict]:
        """The epochs as plain dictionaries."""
        return [asdict(epoch) for epoch in self.epochs]

    @classmethod
    def from_state_dict(cls, epochs: list[dict]) -> "History":
        """The history that `state_dict` described."""
        return cls([cls.epoch_type(**epoch) for epoch in epochs])

    def save(self, path) -> None:
        """Write the history as JSON."""
        with atomic(path, "w") as file:
            json.dump(self.state_dict(), file, indent=1)

"""Early stopping: when the validation figure has not become better for a while."""


class EarlyStopping:
    """Says when to stop: after `patience` epochs without a better validation figure; None: never.

    better: at least min_delta above ("max") or below ("min") the best one so far.
    """

    def __init__(self, patience: int | None = 3, mode: str = "max", min_delta: float = 0.0):
        if mode not in ("min", "max"):
            raise ValueError(f"EarlyStopping: mode must be 'min' or 'max', not {mode!r}")
        self.patience = patience
        self.sign = 1 if mode == "max" else -1
        self.min_delta = min_delta
        self.best: float | None = None
        self.waited = 0

    def step(self, value: float) -> bool:
        """Note an epoch's figure; True if it is the best so far."""
        if self.best is None or self.sign * (value - self.best) > self.min_delta:
            self.best = value
            self.waited = 0
            return True
        self.waited += 1
        return False

    @property
    def should_stop(self) -> bool:
        """True once patience has run out."""
        return self.patience is not None and self.waited >= self.patience

    def state_dict(self) -> dict:
        """Best figure and epochs waited."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict) -> None:
        """Go on from a saved state."""
        self.best, self.waited = state["best"], state["waited"]

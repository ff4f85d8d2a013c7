"""Where a fine-tuning run stands (TrainerState), and what is to happen next (TrainerControl)."""

import json
import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from ...files import atomic, read_json

FILE = "trainer_state.json"


@dataclass
class TrainerState:
    """What is known of a run; saved as trainer_state.json in every checkpoint.

    epoch            epochs done, with the share of the present one
    global_step      updates done, of max_steps
    log_history      every log, in order: a dict of figures with "step" and "epoch"
    best_metric      the best figure of metric_for_best_model, at update best_global_step
    best_model_checkpoint   the folder of the checkpoint of that update
    logging_steps, eval_steps, save_steps   updates between these events
    stateful_callbacks      {a callback's class: its state}
    """

    epoch: float = 0
    global_step: int = 0
    max_steps: int = 0
    logging_steps: int = 500
    eval_steps: int = 500
    save_steps: int = 500
    train_batch_size: int | None = None
    num_train_epochs: int = 0
    log_history: list[dict] = field(default_factory=list)
    best_metric: float | None = None
    best_global_step: int | None = None
    best_model_checkpoint: str | None = None
    is_local_process_zero: bool = True
    is_world_process_zero: bool = True
    stateful_callbacks: dict[str, dict] = field(default_factory=dict)

    def save_to_json(self, json_path) -> None:
        """Write everything as JSON."""
        with atomic(json_path, "w") as file:
            json.dump(asdict(self), file, indent=2, sort_keys=True)
            file.write("\n")

    @classmethod
    def load_from_json(cls, json_path) -> "TrainerState":
        """The state that a file holds, ours or transformers'; ValueError for a file that is none."""
        values = read_json(Path(json_path))
        if not isinstance(values, dict) or "global_step" not in values:
            raise ValueError(f"{json_path} is no state of a trainer: it has no global_step")
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})

    def compute_steps(self, args, max_steps: int) -> None:
        """Take the steps between events from arguments; a share (below 1) is one of max_steps."""
        for name in ("logging_steps", "eval_steps", "save_steps"):
            steps = getattr(args, name)
            if steps is not None:
                setattr(self, name, math.ceil(max_steps * steps) if steps < 1 else int(steps))


@dataclass
class TrainerControl:
    """Switches that callbacks turn: what the loop does next, each being turned off once it is done."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_save: bool = False
    should_evaluate: bool = False
    should_log: bool = False

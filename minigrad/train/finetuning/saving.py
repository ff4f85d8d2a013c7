"""Checkpoints of a run, and going on from one: the part of Trainer that knows where a run is."""

from dataclasses import asdict, dataclass
from pathlib import Path

from . import checkpoints, streams
from .callbacks import ExportableState
from .state import FILE as STATE
from .state import TrainerState


@dataclass
class Place:
    """Where a run is: the epoch, batches of it that are done, and figures for the next log.

    loss_sum: of updates since number logged_at; total_loss: of those before. grad_norm and
    learning_rate: of the last update.
    """

    epoch: int = 0
    batches: int = 0
    loss_sum: float = 0.0
    total_loss: float = 0.0
    logged_at: int = 0
    grad_norm: float | None = None
    learning_rate: float | None = None


class Saving:
    """Writes checkpoint-N and takes everything from it again."""

    def _checkpoint(self, asked: str | bool | None) -> Path | None:
        """The folder to go on from, if any."""
        if asked is None or asked is False:
            return None
        if asked is True:
            found = checkpoints.get_last_checkpoint(self.args.output_dir)
            if found is None:
                raise ValueError(
                    f"Trainer: there is no checkpoint to resume in {self.args.output_dir}"
                )
            return Path(found)
        if not (Path(asked) / STATE).is_file():
            raise ValueError(f"Trainer: {asked} is no checkpoint: it has no {STATE}")
        return Path(asked)

    def _shape(self, batches: int) -> dict:
        """What an epoch is made of; it must be the same where a run goes on in the midst of one."""
        args = self.args
        return {
            "batches": batches,
            "per_device_train_batch_size": args.train_batch_size,
            "gradient_accumulation_steps": args.gradient_accumulation_steps,
        }

    def _save_checkpoint(self) -> None:
        """Write checkpoint-N, and delete old ones beyond save_total_limit."""
        state, root = self.state, Path(self.args.output_dir)
        final = root / f"{checkpoints.PREFIX}{state.global_step}"
        with checkpoints.Writing(final) as folder:
            self.save_model(folder)
            if state.best_global_step is not None:
                best = root / f"{checkpoints.PREFIX}{state.best_global_step}"
                if best == final or best.is_dir():
                    state.best_model_checkpoint = str(best)
            if not self.args.save_only_model:
                checkpoints.save_training(
                    folder,
                    optimizer=self.optimizer.state_dict(),
                    scheduler=self.lr_scheduler.state_dict(),
                    scaler=self.scaler.state_dict(),
                    place=asdict(self._place),
                    shape=self._shape(len(self.callback_handler.context["train_dataloader"])),
                    epoch_rng=self._epoch_rng,
                    collator=streams.states_of(self.data_collator),
                )
            for callback in self.callback_handler.callbacks:
                if isinstance(callback, ExportableState):
                    state.stateful_callbacks[type(callback).__name__] = callback.state()
            state.save_to_json(folder / STATE)
        checkpoints.rotate(root, self.args.save_total_limit, state.best_model_checkpoint)

    def _restore_streams(self, parts: dict) -> None:
        """Let all random streams, the collator's own among them, go on where a checkpoint has them."""
        checkpoints.restore_streams(parts)
        streams.restore(self.data_collator, parts.get("collator", {}))

    def _resume(self, folder: Path, batches: int) -> None:
        """Take everything from a checkpoint; ValueError if its epochs were made of other batches."""
        state = TrainerState.load_from_json(folder / STATE)
        parts = checkpoints.load_training(folder)
        place = Place(**parts["place"])
        if self.args.ignore_data_skip:
            place.batches = 0
        elif place.batches and parts["shape"] != self._shape(batches):
            raise ValueError(
                f"Trainer: {folder} is from the midst of an epoch of {parts['shape']}; this run has "
                f"{self._shape(batches)}. Use the same, or ignore_data_skip=True to begin the epoch anew"
            )
        self.optimizer.load_state_dict(parts["optimizer"])
        self.lr_scheduler.load_state_dict(parts["scheduler"])
        if parts.get("scaler"):
            self.scaler.load_state_dict(parts["scaler"])
        checkpoints.load_model(self.model, folder)
        for callback in self.callback_handler.callbacks:
            saved = state.stateful_callbacks.get(type(callback).__name__)
            if isinstance(callback, ExportableState) and saved is not None:
                callback.load_state(saved)
        self.state, self._place, self._pending = state, place, parts

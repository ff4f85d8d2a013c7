"""Trainer: fine-tunes a model on a data set of dicts, by the names of transformers' Trainer."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ...generator import Generator
from ...nn import Module
from ...optim import Optimizer
from ...pretrained.collators import DataCollatorWithPadding
from ...utils.data import DataLoader
from ..devices import device_of, moved
from .arguments import FILE as ARGUMENTS
from .arguments import OPTIMIZERS, TrainingArguments
from .callbacks import CallbackHandler, DefaultFlowCallback
from .checkpoints import save_model, set_seed
from .data import (
    LABELS,
    EpochBatches,
    RemoveColumns,
    columns_of,
    default_data_collator,
    labels_of,
    lengths_of,
)
from .fitting import Fitting
from .layers import decay_parameters
from .losses import Losses
from .measuring import Measuring
from .progress import HistoryPlot, reporter
from .schedules import get_scheduler
from .state import FILE as STATE
from .state import TrainerControl, TrainerState


class Trainer(Fitting, Measuring, Losses):
    """Trains a model by TrainingArguments: `Trainer(model, args, train_dataset=...).train()`.

    model: its forward takes the columns of the examples and gives a dict with "loss", or a tuple that
    begins with it, as the models of minigrad.pretrained do. model_init() makes the model, once the
    seed is set, in place of one. train_dataset, eval_dataset: anything with len and [], of dicts; the
    latter may be a dict of several. data_collator: makes a dict of tensors of a list of examples;
    without one examples are padded by processing_class (a tokenizer; `tokenizer` is its old name) or
    must be of one length. compute_metrics(EvalPrediction) -> dict of figures. callbacks: objects or
    classes. optimizers: an optimizer and a schedule made already, each may be None;
    optimizer_cls_and_kwargs: a class and options for it. compute_loss_func(outputs, labels,
    num_items_in_batch): the loss, as a sum divided by the labels in the whole update.
    """

    def __init__(
        self,
        model: Module | None = None,
        args: TrainingArguments | None = None,
        data_collator: Callable | None = None,
        train_dataset=None,
        eval_dataset=None,
        processing_class=None,
        model_init: Callable[[], Module] | None = None,
        compute_loss_func: Callable | None = None,
        compute_metrics: Callable | None = None,
        callbacks: list | None = None,
        optimizers: tuple = (None, None),
        optimizer_cls_and_kwargs: tuple | None = None,
        preprocess_logits_for_metrics: Callable | None = None,
        *,
        tokenizer=None,
    ):
        self.args = TrainingArguments() if args is None else args
        if (model is None) == (model_init is None):
            raise ValueError("Trainer: pass either a model or model_init")
        if tokenizer is not None and processing_class is not None:
            raise ValueError("Trainer: tokenizer is the old name of processing_class; pass one")
        if optimizer_cls_and_kwargs is not None and optimizers[0] is not None:
            raise ValueError("Trainer: pass either optimizers or optimizer_cls_and_kwargs")
        if model_init is not None and any(part is not None for part in optimizers):
            raise ValueError(
                "Trainer: optimizers belong to a model; with model_init there is none yet"
            )
        if self.args.eval_strategy != "no" and eval_dataset is None:
            raise ValueError(
                f"Trainer: eval_strategy={self.args.eval_strategy!r} needs an eval_dataset"
            )
        for name, dataset in (("train_dataset", train_dataset), ("eval_dataset", eval_dataset)):
            if dataset is not None and not (hasattr(dataset, "__len__")):
                raise TypeError(
                    f"Trainer: {name} needs len and [], which a {type(dataset).__name__} has not; "
                    "make it a list"
                )
        set_seed(self.args.seed)
        self.model = model_init() if model is None else model
        self.processing_class = tokenizer if processing_class is None else processing_class
        if data_collator is None:
            pads = getattr(self.processing_class, "pad_token", None) is not None
            data_collator = (
                DataCollatorWithPadding(self.processing_class) if pads else default_data_collator
            )
        self.data_collator = data_collator
        self.train_dataset = train_dataset
        self.eval_dataset = eval_dataset
        self.compute_loss_func = compute_loss_func
        self.compute_metrics = compute_metrics
        self.preprocess_logits_for_metrics = preprocess_logits_for_metrics
        self.optimizer, self.lr_scheduler = optimizers
        self.optimizer_cls_and_kwargs = optimizer_cls_and_kwargs
        self._own_schedule = self.lr_scheduler is None
        found = labels_of(self.model) if self.args.label_names is None else self.args.label_names
        self.label_names = list(found)
        self.state = TrainerState()
        self.control = TrainerControl()
        self.reporter = reporter(self.args)
        self.callback_handler = CallbackHandler(
            [DefaultFlowCallback(), HistoryPlot(), *(callbacks or ()), self.reporter],
            model=self.model,
            processing_class=self.processing_class,
        )
        self.event("on_init_end")

    # -- callbacks -------------------------------------------------------------------------------

    def event(self, name: str, **kwargs) -> None:
        """Tell the callbacks of an event."""
        self.control = self.callback_handler.call_event(
            name, self.args, self.state, self.control, **kwargs
        )

    def add_callback(self, callback) -> None:
        """Tell a callback (an object or a class) of events too, after the others."""
        self.callback_handler.add_callback(callback)

    def pop_callback(self, callback):
        """Take out a callback, or the first of a class, and give it back."""
        return self.callback_handler.pop_callback(callback)

    def remove_callback(self, callback) -> None:
        """Take out a callback, or the first of a class."""
        self.callback_handler.pop_callback(callback)

    # -- batches ---------------------------------------------------------------------------------

    def _loader(self, dataset, batches: EpochBatches) -> DataLoader:
        collate = self.data_collator
        columns = columns_of(self.model) if self.args.remove_unused_columns else None
        if columns is not None:
            collate = RemoveColumns(collate, {*columns, *LABELS, *self.label_names})
        # a stream of its own, so that the run's stream is touched by the model alone
        stream = Generator().manual_seed(self.args.seed)
        return DataLoader(dataset, batch_sampler=batches, collate_fn=collate, generator=stream)

    def get_train_dataloader(self) -> DataLoader:
        """Batches for training, in an order of each epoch's own."""
        if self.train_dataset is None:
            raise ValueError("Trainer: training requires a train_dataset.")
        args = self.args
        order = args.train_sampling_strategy
        by_length = order == "group_by_length"
        batches = EpochBatches(
            len(self.train_dataset),
            args.train_batch_size,
            order != "sequential",
            args.dataloader_drop_last,
            args.seed if args.data_seed is None else args.data_seed,
            lengths_of(self.train_dataset, args.length_column_name) if by_length else None,
        )
        return self._loader(self.train_dataset, batches)

    def get_eval_dataloader(self, eval_dataset=None) -> DataLoader:
        """Batches for evaluation, in the data set's order."""
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(dataset, str) and isinstance(self.eval_dataset, Mapping):
            dataset = self.eval_dataset[dataset]
        if dataset is None:
            raise ValueError("Trainer: evaluation requires an eval_dataset.")
        return self._loader(dataset, EpochBatches(len(dataset), self.args.eval_batch_size, False))

    def get_test_dataloader(self, test_dataset) -> DataLoader:
        """Batches for prediction, in the data set's order."""
        return self.get_eval_dataloader(test_dataset)

    def prepare_inputs(self, inputs):
        """A batch on the model's device; TypeError for one that is not a dict."""
        if not isinstance(inputs, Mapping):
            raise TypeError(
                f"Trainer: a batch is a dict of tensors by the names of the model's inputs, not a "
                f"{type(inputs).__name__}; change the data_collator"
            )
        return moved(dict(inputs), device_of(self.model))

    # -- optimizer and schedule ------------------------------------------------------------------

    def get_optimizer_cls_and_kwargs(self) -> tuple[type[Optimizer], dict]:
        """The optimizer's class and options, by the arguments."""
        if self.optimizer_cls_and_kwargs is not None:
            return self.optimizer_cls_and_kwargs
        args = self.args
        options: dict = {"lr": args.learning_rate}
        if args.optim.startswith("adamw"):
            options |= {"betas": (args.adam_beta1, args.adam_beta2), "eps": args.adam_epsilon}
        return OPTIMIZERS[args.optim], options

    def create_optimizer(self) -> Optimizer:
        """The optimizer of all parameters that learn; weight decay spares biases and norms."""
        if self.optimizer is None:
            decayed = decay_parameters(self.model)
            learning = [(n, p) for n, p in self.model.named_parameters() if p.requires_grad]
            groups = [
                {
                    "params": [p for n, p in learning if (n in decayed) == decay],
                    "weight_decay": self.args.weight_decay if decay else 0.0,
                }
                for decay in (True, False)
            ]
            groups = [group for group in groups if group["params"]]
            if not groups:
                raise ValueError("Trainer: no parameter of the model learns; all are frozen")
            kind, options = self.get_optimizer_cls_and_kwargs()
            self.optimizer = kind(groups, **options)
        return self.optimizer

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None):
        """The schedule of learning rates for a run of so many updates."""
        if self.lr_scheduler is None:
            self.lr_scheduler = get_scheduler(
                self.args.lr_scheduler_type,
                self.optimizer if optimizer is None else optimizer,
                self.args.get_warmup_steps(num_training_steps),
                num_training_steps,
                self.args.lr_scheduler_kwargs,
            )
        return self.lr_scheduler

    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        """Both."""
        self.create_optimizer()
        self.create_scheduler(num_training_steps)

    # -- logs and files --------------------------------------------------------------------------

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add figures to state.log_history, with the epoch and the step, and tell the callbacks."""
        logs["epoch"] = self.state.epoch
        self.state.log_history.append(logs | {"step": self.state.global_step})
        self.event("on_log", logs=logs)

    def save_model(self, output_dir=None) -> None:
        """Write the model, its tokenizer and the arguments into a folder, by default output_dir."""
        folder = Path(self.args.output_dir if output_dir is None else output_dir)
        save_model(self.model, folder)
        if hasattr(self.processing_class, "save_pretrained"):
            self.processing_class.save_pretrained(folder)
        self.args.save(folder / ARGUMENTS)

    def save_state(self) -> None:
        """Write trainer_state.json into output_dir."""
        folder = Path(self.args.output_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self.state.save_to_json(folder / STATE)

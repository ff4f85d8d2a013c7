"""Fine-tuning of pretrained models: a Trainer with transformers' names, schedules, layer by layer."""

from ...pretrained.collators import (
    DataCollatorForLanguageModeling,
    DataCollatorForTokenClassification,
    DataCollatorForWholeWordMask,
    DataCollatorWithPadding,
)
from ...pretrained.seq2seq_collator import DataCollatorForSeq2Seq
from .arguments import TrainingArguments
from .callbacks import (
    CallbackHandler,
    DefaultFlowCallback,
    EarlyStoppingCallback,
    ExportableState,
    TrainerCallback,
)
from .checkpoints import get_last_checkpoint, set_seed
from .data import default_data_collator
from .evaluation import EvalLoopOutput, EvalPrediction, PredictionOutput
from .fitting import TrainOutput
from .layers import GradualUnfreezing, freeze, layerwise_groups, unfreeze
from .plots import plot_log_history
from .progress import HistoryPlot, PrinterCallback, ProgressCallback
from .schedules import (
    get_constant_schedule,
    get_constant_schedule_with_warmup,
    get_cosine_schedule_with_warmup,
    get_cosine_with_hard_restarts_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup,
    get_cosine_with_min_lr_schedule_with_warmup_lr_rate,
    get_inverse_sqrt_schedule,
    get_linear_schedule_with_warmup,
    get_polynomial_decay_schedule_with_warmup,
    get_reduce_on_plateau_schedule,
    get_scheduler,
    get_wsd_schedule,
)
from .seq2seq import Seq2SeqTrainer, Seq2SeqTrainingArguments
from .state import TrainerControl, TrainerState
from .trainer import Trainer

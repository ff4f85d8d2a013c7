"""Training: the loop with early stopping, its history, checkpoints, reports and plots."""

from .checkpoint import load_checkpoint, save_checkpoint
from .classification.classifier import TextClassifier, train_text_classifier
from .history import History
from .language_model import train_language_model
from .language_settings import LanguageModelSettings
from .recipe import Recipe
from .report import classification_report, confusion_matrix
from .saved_language_model import LanguageModel
from .stopping import EarlyStopping
from .tagging.training import train_tagger
from .tagging.tagger import Tagger, TaggerSettings
from .trainer import Trainer, evaluate

__all__ = [
    "EarlyStopping",
    "History",
    "LanguageModel",
    "LanguageModelSettings",
    "Recipe",
    "Tagger",
    "TaggerSettings",
    "TextClassifier",
    "Trainer",
    "classification_report",
    "confusion_matrix",
    "evaluate",
    "load_checkpoint",
    "save_checkpoint",
    "train_language_model",
    "train_tagger",
    "train_text_classifier",
]

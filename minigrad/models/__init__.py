"""The models of the NLP tutorials, one readable file each."""

from .textcnn import TextCNN

__all__ = ["TextCNN"]

"""Measurements against torch: whole training steps, their growth, single operations, accuracies."""

"""Text classifiers as one thing: settings, encoders of texts, models by name, training, saving."""

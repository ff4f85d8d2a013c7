"""Pictures of translation: attention of one sentence, BLEU by the length of the source.

    python benchmarks/translation_pictures.py

after `python -m minigrad.benchmarks.papers run multi30k_gru_attention multi30k_gru`, say, which leaves
its models in the cache folder.
"""

import argparse
from pathlib import Path

from minigrad.text.datasets import cache_folder
from minigrad.text.translation import multi30k
from minigrad.train.attention_plots import plot_heads
from minigrad.train.translation.attention_plots import (
    bleu_by_length,
    plot_attention,
    plot_bleu_by_length,
)
from minigrad.train.translation.translator import Translator

RESULTS = Path(__file__).parent / "results"
MODELS = {
    "multi30k_transformer": "Transformer",
    "multi30k_gru_attention": "GRU, Luong attention (general)",
    "multi30k_gru_bahdanau": "GRU, Bahdanau attention",
    "multi30k_gru": "GRU without attention",
    "multi30k_lstm": "LSTM without attention",
}


def draw(beam: int = 5, alpha: float = 1.0, sentence: int = 14) -> None:
    """Write attention.png (of the first GRU that has it), heads.png and bleu_by_length.png."""
    pairs = multi30k("de", "en").test
    curves = {}
    drawn = False
    for name, label in MODELS.items():
        folder = cache_folder() / "papers" / name
        if not folder.is_dir():
            print(f"{name} has not been trained: left out")
            continue
        translator = Translator.load(folder)
        sources, references = (
            [translator.tokenize(text) for text in side] for side in zip(*pairs, strict=True)
        )
        found = translator.translate_words(sources, beam, alpha)
        curves[label] = bleu_by_length(sources, found, references)
        print(label, curves[label])
        if translator.settings.model == "transformer":
            source, target, weights = translator.heads(pairs[sentence][0], beam=beam)
            plot_heads(weights.cross, target, RESULTS / "heads.png", source, label)
        elif translator.settings.attention and not drawn:
            drawn = True
            attention = translator.attention(pairs[sentence][0], beam=beam)
            plot_attention(*attention, RESULTS / "attention.png", label)
    title = "Multi30k, German to English: BLEU by source length"
    plot_bleu_by_length(curves, RESULTS / "bleu_by_length.png", title)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--sentence", type=int, default=14, help="of the test part, for the map")
    args = parser.parse_args()
    draw(args.beam, sentence=args.sentence)

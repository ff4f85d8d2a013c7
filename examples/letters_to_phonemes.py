"""Pronounce English words with g2p-en's trained GRU: python examples/letters_to_phonemes.py hello."""

import argparse

from minigrad.train.translation.letters_to_phonemes import LettersToPhonemes


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "words", nargs="*", default=["activationist", "minigrad", "backpropagation"]
    )
    args = parser.parse_args()
    pronounce = LettersToPhonemes.load()
    for word, phonemes in zip(args.words, pronounce(args.words), strict=True):
        print(f"{word:20} {' '.join(phonemes)}")


if __name__ == "__main__":
    main()

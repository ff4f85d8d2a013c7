"""Where the heads of a published encoder look: a heat map for every layer and head.

    python examples/attention_heads.py "The animal did not cross the street because it was tired."

Row i of a map is the weights with which token i looks at the others; they add up to 1.
"""

import argparse
from pathlib import Path

import minigrad as torch
from minigrad.models import AutoModel, AutoTokenizer
from minigrad.pretrained.minilm_package import minilm_folder
from minigrad.train.attention_plots import plot_heads

SENTENCE = "The animal did not cross the street because it was tired."


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("text", nargs="?", default=SENTENCE)
    parser.add_argument("--folder", type=Path, help="a published model; MiniLM's by default")
    parser.add_argument("--out", type=Path, default=Path("heads.png"))
    args = parser.parse_args()
    folder = args.folder or minilm_folder()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder)
    inputs = tokenizer(args.text, return_tensors="pt")
    with torch.no_grad():
        attentions = model(**inputs, output_attentions=True).attentions
    tokens = tokenizer.convert_ids_to_tokens(inputs["input_ids"][0].tolist())
    plot_heads([weights[0] for weights in attentions], tokens, args.out)
    print(f"{len(attentions)} layers of {attentions[0].shape[1]} heads: {args.out}")


if __name__ == "__main__":
    main()

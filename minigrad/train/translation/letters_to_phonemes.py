"""English words to phonemes by the GRU encoder-decoder whose trained weights the package g2p-en holds.

g2p-en 2.1.0 (Park & Kim 2019, Apache-2.0): 256 numbers a letter, a phoneme and a state; the gates
of its GRU stand in torch's order r, z, n, so the arrays are our weights as they are. Only its data
file is read; none of its code runs.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy

from ...engine import no_grad
from ...models.decoding import greedy
from ...models.seq2seq import Seq2Seq
from ...op import wrap
from ...text.batch import pad_ids
from ..devices import device_of

VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW".split()
CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH".split()

LETTERS = ["<pad>", "<unk>", "</s>", *"abcdefghijklmnopqrstuvwxyz"]
# CMUdict's phonemes: vowels with their stress (0 none, 1 first, 2 second), UW without one too
PHONEMES = ["<pad>", "<unk>", "<s>", "</s>"] + sorted(
    [vowel + stress for vowel in VOWELS for stress in "012"] + CONSONANTS + ["UW"]
)

# array in the file: weight of ours
NAMES = {
    "enc_emb": "encoder.embedding.weight",
    "enc_w_ih": "encoder.rnn.weight_ih_l0",
    "enc_w_hh": "encoder.rnn.weight_hh_l0",
    "enc_b_ih": "encoder.rnn.bias_ih_l0",
    "enc_b_hh": "encoder.rnn.bias_hh_l0",
    "dec_emb": "embedding.weight",
    "dec_w_ih": "decoder.rnn.weight_ih_l0",
    "dec_w_hh": "decoder.rnn.weight_hh_l0",
    "dec_b_ih": "decoder.rnn.bias_ih_l0",
    "dec_b_hh": "decoder.rnn.bias_hh_l0",
    "fc_w": "output.weight",
    "fc_b": "output.bias",
}


def weights_file() -> Path:
    """checkpoint20.npz inside the installed package g2p-en."""
    spec = importlib.util.find_spec("g2p_en")
    folders = [] if spec is None else spec.submodule_search_locations or []
    for folder in folders:
        path = Path(folder) / "checkpoint20.npz"
        if path.is_file():
            return path
    raise FileNotFoundError(
        "the weights are in the package g2p-en: pip install --no-deps g2p-en==2.1.0"
    )


class LettersToPhonemes:
    """`LettersToPhonemes.load()(["hello"])` -> [["HH", "AH0", "L", "OW1"]]."""

    max_length = 20  # phonemes and </s>, as in g2p-en

    def __init__(self, model: Seq2Seq):
        self.model = model.eval()

    @classmethod
    def load(cls, path=None) -> "LettersToPhonemes":
        """With the weights of g2p-en, or of another file of that form."""
        path = weights_file() if path is None else path
        with numpy.load(path, allow_pickle=False) as file:
            missing = sorted(NAMES.keys() - set(file.files))
            if missing:
                raise ValueError(f"{path}: there is no array {', '.join(missing)}")
            state = {ours: wrap(file[theirs]) for theirs, ours in NAMES.items()}
        width = state["embedding.weight"].shape[1]
        hidden = state["output.weight"].shape[1]
        model = Seq2Seq(len(LETTERS), len(PHONEMES), width, hidden, cell="gru", bidirectional=False)
        model.load_state_dict(state)
        return cls(model)

    def __call__(self, words: Sequence[str], batch_size: int = 256) -> list[list[str]]:
        """The phonemes of every word: the likeliest one at each step."""
        if isinstance(words, str):
            raise TypeError("pass a list of words, not a single string")
        for number, word in enumerate(words):
            if not word.strip():
                raise ValueError(f"word {number} is empty")
        number = {letter: i for i, letter in enumerate(LETTERS)}
        found = []
        for begin in range(0, len(words), batch_size):
            part = [word.lower() for word in words[begin : begin + batch_size]]
            ids = [[number.get(letter, 1) for letter in word] + [2] for word in part]
            with no_grad():
                letters = pad_ids(ids).to(device_of(self.model))
                state = self.model.start(letters)
                hypotheses = greedy(
                    self.model.step, state, len(part), bos=2, eos=3, max_length=self.max_length,
                    device=letters.device,
                )  # fmt: skip
            found += [[PHONEMES[i] for i in hypothesis.tokens] for hypothesis in hypotheses]
        return found

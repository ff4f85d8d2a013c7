"""Sentence-BERT: one vector for a sentence, the mean of its tokens' states, compared by cosines.

Reimers and Gurevych 2019, "Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks" (EMNLP).
Folders are those of the sentence-transformers library: an encoder, and modules.json with what follows.

B sentences, T tokens, H hidden size.
"""

import json
from pathlib import Path

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from ..files import atomic, read_json
from ..pretrained import PreTrainedModel
from .auto import AutoModel

POOLINGS = ("mean", "cls", "max")
_KEYS = {f"pooling_mode_{name}_tokens": name for name in ("mean", "max")} | {
    "pooling_mode_cls_token": "cls"
}


def pool(states, mask, mode: str = "mean"):
    """One vector (B, H) of states (B, T, H), padding (mask 0) left out.

    "mean": sum_t m_t h_t / sum_t m_t; "max": the largest of each component; "cls": the first token's.
    """
    if mode == "cls":
        return states[:, 0]
    mask = mask.unsqueeze(-1)  # (B, T, 1)
    if mode == "max":
        return states.masked_fill(mask == 0, torch.finfo(states.dtype).min).max(dim=1).values
    if mode != "mean":
        raise ValueError(f"pool: there is no mode {mode!r}; there are: {', '.join(POOLINGS)}")
    mask = mask.to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1e-9)


class SentenceTransformer(nn.Module):
    """An encoder, its tokenizer, a pooling, and whether vectors get length 1.

    `SentenceTransformer(folder).encode(["a sentence", "another"])` is an array (2, H).
    """

    def __init__(
        self,
        folder=None,
        *,
        encoder: PreTrainedModel | None = None,
        tokenizer=None,
        pooling: str = "mean",
        normalize: bool = False,
        max_seq_length: int | None = None,
    ):
        super().__init__()
        if folder is not None:
            self._read(Path(folder))
        elif encoder is None or tokenizer is None:
            raise ValueError("SentenceTransformer: pass a folder, or encoder= and tokenizer=")
        else:
            pool(
                torch.zeros(1, 1, 1), torch.ones(1, 1), pooling
            )  # raises where there is no such mode
            self.encoder, self.tokenizer = encoder, tokenizer
            self.pooling, self.normalize = pooling, normalize
            self.max_seq_length = max_seq_length or encoder.longest_input()

    def _read(self, folder):
        from ..pretrained.tokenizer import AutoTokenizer

        self.pooling, self.normalize, self.max_seq_length = "mean", False, None
        for module in _json(folder / "modules.json", []):
            kind = module["type"].rpartition(".")[2]
            if kind == "Pooling":
                options = _json(folder / module["path"] / "config.json", {})
                modes = [_KEYS.get(key, key) for key, on in options.items() if on is True]
                chosen = [mode for mode in modes if mode in POOLINGS]
                if len(chosen) != 1:
                    raise ValueError(
                        f"{folder}: of pooling modes one of {', '.join(POOLINGS)} is known, "
                        f"the folder has {', '.join(modes) or 'none'}"
                    )
                self.pooling = chosen[0]
            elif kind == "Normalize":
                self.normalize = True
            elif kind != "Transformer":
                raise ValueError(f"{folder / 'modules.json'}: no module {kind!r} is known here")
        options = _json(folder / "sentence_bert_config.json", {})
        self.encoder = AutoModel.from_pretrained(folder)
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.max_seq_length = options.get("max_seq_length") or self.encoder.longest_input()

    def save_pretrained(self, folder) -> None:
        """Write the encoder, the tokenizer, and the module files into a folder."""
        folder = Path(folder)
        self.encoder.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        (folder / "1_Pooling").mkdir(exist_ok=True)
        width = self.encoder.config.hidden_size
        kinds = [("", "Transformer"), ("1_Pooling", "Pooling")]
        if self.normalize:
            kinds.append(("2_Normalize", "Normalize"))
        files = {
            "modules.json": [
                {
                    "idx": i,
                    "name": str(i),
                    "path": path,
                    "type": f"sentence_transformers.models.{kind}",
                }
                for i, (path, kind) in enumerate(kinds)
            ],
            "1_Pooling/config.json": {"word_embedding_dimension": width}
            | {key: name == self.pooling for key, name in _KEYS.items()},
            "sentence_bert_config.json": {"max_seq_length": self.max_seq_length},
        }
        for name, content in files.items():
            with atomic(folder / name, "w") as file:
                json.dump(content, file, indent=2)

    def tokenize(self, sentences):
        """The encoder's inputs for a batch of sentences, padded to the longest."""
        return self.tokenizer(
            list(sentences), padding=True, truncation=True, max_length=self.max_seq_length,
            return_tensors="mg",
        )  # fmt: skip

    def forward(self, inputs):
        """Vectors (B, H) of a batch that `tokenize` made; gradients flow."""
        states = self.encoder(**inputs).last_hidden_state
        vectors = pool(states, inputs["attention_mask"], self.pooling)
        return F.normalize(vectors, dim=-1) if self.normalize else vectors

    def encode(
        self,
        sentences,
        batch_size: int = 32,
        normalize_embeddings: bool = False,
        convert_to_tensor: bool = False,
        progress=None,
    ):
        """Vectors of sentences, a NumPy array (N, H); of one text, (H).

        Sentences of similar length go together. progress: called with how many are done.
        """
        single = isinstance(sentences, str)
        texts = [sentences] if single else list(sentences)
        for text in texts:
            if not isinstance(text, str):
                raise TypeError(f"encode takes texts, not a {type(text).__name__}: {text!r}")
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        was_training = self.training
        self.eval()
        rows, done = [None] * len(texts), 0
        device = next(self.parameters()).device
        with torch.inference_mode():
            for begin in range(0, len(order), batch_size):
                chosen = order[begin : begin + batch_size]
                inputs = self.tokenize(texts[i] for i in chosen)
                vectors = self({name: x.to(device) for name, x in inputs.items()})
                if normalize_embeddings:
                    vectors = F.normalize(vectors, dim=-1)
                for place, vector in zip(chosen, vectors, strict=True):
                    rows[place] = vector
                done += len(chosen)
                if progress is not None:
                    progress(done)
        self.train(was_training)
        found = torch.stack(rows) if rows else torch.zeros(0, self.encoder.config.hidden_size)
        found = found[0] if single else found
        return found if convert_to_tensor else found.numpy(force=True)


def _json(path, default):
    """What a JSON file holds, or the default where there is none."""
    return read_json(path) if path.is_file() else default

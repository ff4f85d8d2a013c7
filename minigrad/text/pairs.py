"""Pairs of sentences: how alike they are, whether one follows from the other, paraphrases."""

from collections.abc import Callable
from dataclasses import dataclass

from .datasets import FILES, _lines

# file: (sha256, rows)
_PARTS = {
    "stsb/sts-train.csv": (
        "0f71910b59aa1ad973c5897f0791f3b0965a92b8f82b1a95f3eea9f4162fda82",
        5749,
    ),
    "stsb/sts-dev.csv": ("5d7e944d8b02734b07bfdb5df67db3420c64bed153fcaa1ba47ad03480cf4234", 1500),
    "stsb/sts-test.csv": ("affe45928a66ee5a708531233c95b7dacbbdc57f974f002a3d32ea0180cf816a", 1379),
    "sick/SICK_train.txt": (
        "266cf8047149bd1d68138dd30439f3122bff30069740ac6705bb6197d9f1b48e",
        4500,
    ),
    "sick/SICK_trial.txt": (
        "5a88cfb62f8c6bd2a3cce0f2421ba2cb8c2be5ab4a800f6f01e2c64aafb7db56",
        500,
    ),
    "sick/SICK_test_annotated.txt": (
        "2b8aa806658d6fc23c6824c83776c2d4fee7556000817b5ec0f982861413b7d0",
        4927,
    ),
    "mrpc/msr-para-train.tsv": (
        "446b9a5fa4e8d526b99f1d635f036f89063749783f5d3464ee8c1879724d406d",
        3576,
    ),
    "mrpc/msr-para-val.tsv": (
        "7e5d0ee4ec392b062af73c7cffe82f0725e5b08f6bfdf0915f31bbc470b8bacf",
        500,
    ),
    "mrpc/msr-para-test.tsv": (
        "51a1f197d8786712d2f0d97700f5be653b7488a96cde00e158159350d23e3d90",
        1725,
    ),
    "nli_samples/snli.txt": (
        "83cd1793c0900b9aa87f31b95757b6b874184e4c30d4a78e9b3e5a5c1013c1ed",
        1000,
    ),
    "nli_samples/mnli_matched.txt": (
        "248f2bf5ce2c431785aad9946032e350b0dd07a9b67efc161c3a5041b6ce5360",
        1000,
    ),
    "nli_samples/mnli_mismatched.txt": (
        "f418302efa473eb78a7794c0838a042358c545dc97a3c15d54339ccaae61fdae",
        1000,
    ),
}
FILES.update({name: (None, digest) for name, (digest, _) in _PARTS.items()})

NLI_LABELS = ["contradiction", "neutral", "entailment"]


@dataclass
class Pair:
    """Two sentences, with what people say of them: a score, or the number of a label."""

    first: str
    second: str
    score: float | None = None
    label: int | None = None


@dataclass
class PairDataset:
    """The parts of a data set of pairs; labels name the numbers of `Pair.label`."""

    name: str
    train: list[Pair]
    valid: list[Pair]
    test: list[Pair]
    labels: list[str]


def _read(name: str, columns: tuple[int, ...], make: Callable, header: bool = False) -> list:
    """Rows between tabs, their columns given to `make`; ValueError with "file:line" for a bad one."""
    found = []
    for place, line in _lines(name, "utf-8-sig"):
        if header:
            header = False
            continue
        cells = line.split("\t")
        try:
            found.append(make(*(cells[column].strip() for column in columns)))
        except (IndexError, ValueError) as error:
            raise ValueError(f"{place}: {error}; the row is {line[:60]!r}") from error
    _, count = _PARTS[name]
    if len(found) != count:
        raise ValueError(f"{name}: expected {count} pairs, found {len(found)}")
    return found


def stsb() -> PairDataset:
    """STS benchmark (Cer et al. 2017): how alike two sentences are, from 0 to 5.

    5,749 pairs for training, 1,500 for validation, 1,379 for test.
    """

    def pair(score, first, second):
        value = float(score)
        if not 0 <= value <= 5:
            raise ValueError(f"a score of 0 to 5 is expected, not {score}")
        return Pair(first, second, score=value)

    parts = [_read(f"stsb/sts-{part}.csv", (4, 5, 6), pair) for part in ("train", "dev", "test")]
    return PairDataset("stsb", *parts, [])


def sick() -> PairDataset:
    """SICK (Marelli et al. 2014): relatedness from 1 to 5, and NLI's three labels."""

    def pair(first, second, score, label):
        return Pair(first, second, float(score), NLI_LABELS.index(label.lower()))

    files = ("SICK_train", "SICK_trial", "SICK_test_annotated")
    parts = [_read(f"sick/{file}.txt", (1, 2, 3, 4), pair, header=True) for file in files]
    return PairDataset("sick", *parts, NLI_LABELS)


def mrpc() -> PairDataset:
    """Microsoft's paraphrases (Dolan and Brockett 2005): 1 where two sentences say the same."""

    def pair(label, first, second):
        return Pair(first, second, label=["0", "1"].index(label))

    parts = [
        _read(f"mrpc/msr-para-{part}.tsv", (0, 3, 4), pair, header=True)
        for part in ("train", "val", "test")
    ]
    return PairDataset("mrpc", *parts, ["different", "same"])


def nli(name: str = "snli") -> list[Pair]:
    """1,000 pairs of "snli", "mnli_matched" or "mnli_mismatched": premise, hypothesis, NLI's label."""
    path = f"nli_samples/{name}.txt"
    if path not in _PARTS:
        raise ValueError(
            f"nli: there are no pairs {name!r}; there are: snli, mnli_matched, mnli_mismatched"
        )
    return _read(path, (0, 1, 2), lambda label, a, b: Pair(a, b, label=NLI_LABELS.index(label)))

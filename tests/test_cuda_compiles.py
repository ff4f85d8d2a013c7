"""Every CUDA source compiles with NVIDIA's own compiler, for the GPUs of 2018, 2020 and 2022."""

import pathlib
import shutil
import subprocess

import pytest
from minigrad.kernels import cuda_source

NVCC = shutil.which("nvcc")
FILES = sorted(file.name for file in pathlib.Path(cuda_source.FOLDER).glob("*.cu"))
pytestmark = pytest.mark.skipif(NVCC is None, reason="nvcc is not installed")


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_sources_compile(name, tmp_path):
    file = tmp_path / name
    file.write_text(cuda_source.source(name))
    targets = {"float32": (75, 80, 90), "float64": (80,), "float16": (75,), "bfloat16": (75, 80)}
    for dtype, generations in targets.items():
        flags = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in generations]
        command = [NVCC, "-std=c++17", "-fatbin", "-Werror=all-warnings", *flags]
        command += [*cuda_source.MACROS[dtype], "-o", str(tmp_path / "out"), str(file)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

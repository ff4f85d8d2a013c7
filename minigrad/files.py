"""Files: written whole or not at all; JSON read, or an error that names the file."""

import contextlib
import os


@contextlib.contextmanager
def atomic(path, mode: str = "wb"):
    """A file to write to that takes its place at `path` only when the block ends without an error."""
    import tempfile  # slow to import, and most programs write no file

    folder, name = os.path.split(os.fspath(path))
    folder = folder or "."
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"can't write {path}: the folder {folder} does not exist")
    encoding = None if "b" in mode else "utf-8"
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{name}.")
    try:
        with open(handle, mode, encoding=encoding) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def read_json(path):
    """What a JSON file, a Path, holds; ValueError, naming it, for a file that is no JSON."""
    import json  # most programs read none

    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON: {error}") from error


def read_json_object(path) -> dict:
    """As read_json, and a ValueError for a file that holds something else than an object."""
    values = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__}, not an object")
    return values


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask

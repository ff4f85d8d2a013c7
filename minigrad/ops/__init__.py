"""The operations: forward and gradient side by side, one family a file."""
import importlib
from .. import dtypes
MODULES = []
for _n in "axes elementwise compare reduce special shape index linalg sorting creation random activation norm pad conv pool embedding loss attention".split():
    try:
        globals()[_n] = importlib.import_module("." + _n, __name__)
        MODULES.append(globals()[_n])
    except ModuleNotFoundError as e:
        if _n not in str(e): raise
def public_functions():
    return {n: getattr(m, n) for m in MODULES for n in getattr(m, "__all__", ())}

"""Hand-written kernels, on arrays alone: they know NumPy, CuPy and Numba, and nothing of Tensors."""

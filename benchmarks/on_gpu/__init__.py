"""The parts of benchmarks/gpu.py, one idea each: what is compared, checked, timed and shown."""

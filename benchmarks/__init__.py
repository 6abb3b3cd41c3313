"""Benchmarks: every public module here is one, run by `python -m benchmarks NAME`."""

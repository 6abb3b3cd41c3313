"""Needs the CUDA plugin of JAX, which `make test-gpu-compile` installs; no GPU."""

import importlib.util

HAS_PLUGIN = importlib.util.find_spec("jax_cuda13_plugin") is not None
collect_ignore_glob = [] if HAS_PLUGIN else ["test_*"]

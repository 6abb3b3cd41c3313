"""Values and gradients of `torch.nn` in float64, for the layers that have a twin there.

`torch.npz` was made by `python -m tests.references`, which needs torch; nothing else does.
`tests/test_references.py` makes the values anew and compares them where torch is installed.

A family is a module with `cases(torch) -> {"case": {"name": array}}`: the inputs, the weights, and
what torch makes of them. `load("family/case")` gives one case back.
"""

import functools
from pathlib import Path

import numpy as np

FILE = Path(__file__).parent / "torch.npz"
FAMILIES = ("convolution", "normalization", "recurrent", "attention", "resizing")


@functools.cache
def _archive():
    with np.load(FILE, allow_pickle=False) as archive:
        return dict(archive)


def load(case):
    """The arrays of one case, such as "recurrent/lstm", by name."""
    prefix = f"{case}/"
    found = {k.removeprefix(prefix): v for k, v in _archive().items() if k.startswith(prefix)}
    if not found:
        raise KeyError(f"no case {case} in {FILE.name}; make it with python -m tests.references")
    return found

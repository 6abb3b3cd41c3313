"""All cases of all families, computed by torch."""

import importlib

import numpy as np

from . import FAMILIES


def make(torch):
    """Every array under "family/case/name"."""
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    made = {}
    for family in FAMILIES:
        # Families do not feel each other's draws.
        torch.manual_seed(0)
        cases = importlib.import_module(f".{family}", __package__).cases(torch)
        for case, arrays in cases.items():
            for name, array in arrays.items():
                made[f"{family}/{case}/{name}"] = np.asarray(array)
    return made

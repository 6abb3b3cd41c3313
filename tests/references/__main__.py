"""Write `torch.npz`: python -m tests.references, where torch is installed."""

import numpy as np
import torch

from . import FILE
from ._make import make

if __name__ == "__main__":
    arrays = make(torch)
    np.savez_compressed(FILE, **arrays)
    print(
        f"{FILE.name}: {len(arrays)} arrays, {FILE.stat().st_size} bytes, torch {torch.__version__}"
    )

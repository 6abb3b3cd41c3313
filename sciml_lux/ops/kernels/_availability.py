"""Whether kernels can run here, and for which devices they are compiled."""

import warnings
from typing import Any

import jax

from ._nvrtc import architectures
from ._unavailable import Unavailable

OLDEST = 75
"""The compute capability, 7.5, that kernels are compiled for: PTX of it runs on all later ones."""

_told: set[str] = set()


def architecture() -> int:
    """The compute capability to compile for: 7.5, or less if a device here has less.

    PTX is compiled for the device where it is loaded. That of one early capability therefore serves
    a device that is not here, several of different kinds, and those to come.

    Raises:
        Unavailable: NVRTC is not there, or does not compile for so old a device.
    """
    oldest, known = min([OLDEST, *_capabilities()]), architectures()
    fitting = [architecture for architecture in known if architecture <= oldest]
    if not fitting:
        raise Unavailable(
            f"this NVRTC compiles for compute capabilities from {_dotted(min(known))} on, and a "
            f"device here has {_dotted(oldest)}"
        )
    return max(fitting)


def why_unavailable() -> str:
    """Why no kernel can run here; empty if kernels can."""
    try:
        architecture()
    except Unavailable as reason:
        return f"{reason}."
    return ""


def tell_once(message: str) -> None:
    """Warn, once in a process."""
    if message not in _told:
        _told.add(message)
        warnings.warn(message, stacklevel=2)


def cuda_devices() -> list[Any]:
    """Those of this process; none where programs are only lowered for CUDA."""
    try:
        return jax.local_devices(backend="cuda")
    except RuntimeError:
        return []


def _capabilities() -> list[int]:
    return [int(device.compute_capability.replace(".", "")) for device in cuda_devices()]


def _dotted(architecture: int) -> str:
    return f"{architecture // 10}.{architecture % 10}"

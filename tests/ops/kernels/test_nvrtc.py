"""NVRTC compiles the text of a kernel to PTX that all drivers in use read."""

import ctypes
import re
import sys

import pytest

from sciml_lux.ops.kernels import _availability, _launch, _nvrtc
from sciml_lux.ops.kernels._unavailable import Unavailable

from .recurrence import Forward, Transposed

pytestmark = [pytest.mark.any_precision, pytest.mark.traced]
KERNELS = {
    "forward": (Forward("float64"), (True, False, True, False), 7),
    "forward in float32": (Forward("float32"), (False, True, False, True), 7),
    "transposed": (Transposed("float64"), (False, True), 5),
}


def nvrtc_is_there():
    try:
        _nvrtc.library()
    except Unavailable:
        return False
    return True


needs_nvrtc = pytest.mark.skipif(not nvrtc_is_there(), reason="NVRTC is not installed")


@needs_nvrtc
@pytest.mark.parametrize("case", KERNELS)
def test_kernel_compiles(case):
    kernel, mapped, count = KERNELS[case]
    source = kernel.source(mapped)
    ptx = _nvrtc.compiled(source.text, _availability.architecture())
    _launch._require_entry(ptx, source, count)
    assert re.search(r"^\.version 8\.0$", ptx, re.MULTILINE)
    assert re.search(r"^\.target sm_75$", ptx, re.MULTILINE)
    assert ".local" not in ptx and "\0" not in ptx
    with pytest.raises(Unavailable, match=f"it takes {count} pointers, and its call has 2 arrays"):
        _launch._require_entry(ptx, source, 2)


@needs_nvrtc
def test_faulty_text_is_refused_with_what_the_compiler_says():
    with pytest.raises(Unavailable, match=r'(?s)NVRTC does not compile it:\n.*"y" is undefined'):
        _nvrtc.compiled('extern "C" __global__ void f(int* x) { x[0] = y; }', 75)


@needs_nvrtc
def test_architecture_it_does_not_know_is_refused():
    with pytest.raises(Unavailable, match="gpu-architecture"):
        _nvrtc.compiled("", 1)
    assert _nvrtc.architectures() == sorted(_nvrtc.architectures()) != []


HEAD = "//\n// .version 9.9 is written below\n//\n\n.version {}\n.target sm_75\n"


@pytest.mark.parametrize(
    "written, read",
    [("9.5", "8.0"), ("10.0", "8.0"), ("8.1", "8.0"), ("8.0", "8.0"), ("7.8", "7.8")],
)
def test_version_is_one_that_drivers_read(written, read):
    assert _nvrtc.readable(HEAD.format(written)) == HEAD.format(read)


@pytest.fixture
def without_nvrtc(monkeypatch):
    def missing(name, mode=0):
        raise OSError(name)

    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(ctypes, "CDLL", missing)
    _nvrtc.library.cache_clear()
    yield
    _nvrtc.library.cache_clear()


def test_without_nvrtc_the_reason_says_how_to_install_it(without_nvrtc):
    reason = _availability.why_unavailable()
    assert reason.startswith("NVRTC is not installed. `pip install nvidia-cuda-nvrtc`")
    assert reason.endswith(".")


@pytest.mark.parametrize(
    "known, devices, found",
    [
        ([75, 80, 90, 120], [], 75),
        ([75, 80, 90, 120], [90, 120], 75),
        ([50, 60, 70, 75, 90], [70], 70),
        ([50, 60, 70, 75, 90], [72, 90], 70),
    ],
)
def test_architecture_is_one_that_every_device_loads(known, devices, found, monkeypatch):
    monkeypatch.setattr(_availability, "architectures", lambda: known)
    monkeypatch.setattr(_availability, "_capabilities", lambda: devices)
    assert _availability.architecture() == found
    assert _availability.why_unavailable() == ""


def test_device_too_old_for_the_compiler_is_a_reason(monkeypatch):
    monkeypatch.setattr(_availability, "architectures", lambda: [75, 120])
    monkeypatch.setattr(_availability, "_capabilities", lambda: [70, 90])
    reason = "this NVRTC compiles for compute capabilities from 7.5 on, and a device here has 7.0."
    assert _availability.why_unavailable() == reason


def test_capabilities_are_those_of_the_devices(monkeypatch):
    class Device:
        compute_capability = "12.0"

    assert _availability._capabilities() == []
    monkeypatch.setattr(_availability.jax, "local_devices", lambda backend: [Device()])
    assert _availability._capabilities() == [120]

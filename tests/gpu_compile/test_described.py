"""The reader of launches, on a text as XLA writes it."""

import pytest

from .described import in_buffers, parsed

pytestmark = pytest.mark.gpu_compile
TEXT = """
001: kCopy         [source       | next=002 (8)] kCopy
002: kWhile        [prev=001 (1) | next=005 (1)]
condition:
    003: kCustomKernel [source | sink] compare grid: [1, 1, 1] threads: [1, 1, 1]
  body:
    004: kCustomKernel [source | sink] step grid: [16, 1, 1] threads: [128, 1, 1]
005: kCommandBuffer [source | sink]
    006: kCustomKernel [source | sink] forward grid: [16, 1, 1] threads: [128, 1, 1]
007: kCustomKernel [source | sink] after grid: [16, 1, 1] threads: [128, 1, 1]
"""


def test_loops_and_command_buffers_are_read():
    outside, [loop] = parsed(TEXT)
    assert [name for _, name in outside[::4]] == ["kCopy", "after"]
    assert loop == {
        "condition": [("kCustomKernel", "compare")],
        "body": [("kCustomKernel", "step")],
    }
    assert in_buffers(TEXT) == [("kCustomKernel", "forward")]

"""Names for the types in the signatures of `io`."""

from typing import Any, TypeAlias

JSON: TypeAlias = Any
"""What JSON can hold: None, booleans, numbers, strings, and lists and dicts of them."""

Blob: TypeAlias = bytes | memoryview
"""Bytes to be written."""

"""The dtype rules: nothing is cast in silence."""

from ._convert import bf16 as bf16
from ._convert import f16 as f16
from ._convert import f32 as f32
from ._convert import f64 as f64
from ._promotion import EltypeMismatchError as EltypeMismatchError
from ._promotion import promote as promote
from ._promotion import result_dtype as result_dtype
from ._x64 import require_x64 as require_x64
from ._x64 import require_x64_for as require_x64_for
from ._x64 import resolve_dtype as resolve_dtype
from ._x64 import x64_enabled as x64_enabled

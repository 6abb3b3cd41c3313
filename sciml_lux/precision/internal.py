"""What other packages of the library need of `precision`, and users do not."""

from ._draws import draw_dtype as draw_dtype
from ._draws import rounded as rounded
from ._exact import is_plainly_exact as is_plainly_exact
from ._exact import require_exact_dtype as require_exact_dtype
from ._exact import require_exact_floats as require_exact_floats
from ._exact import require_exact_numbers as require_exact_numbers
from ._int32 import count_in_int32 as count_in_int32
from ._int32 import index_in_int32 as index_in_int32
from ._leaves import NO_DERIVATIVE as NO_DERIVATIVE
from ._leaves import floating_leaves as floating_leaves
from ._match_eltype import is_compiling as is_compiling
from ._match_eltype import match_input as match_input
from ._own_array import own_array as own_array
from ._own_array import own_memory as own_memory
from ._promotion import as_dtype as as_dtype
from ._python_numbers import python_numbers as python_numbers
from ._resolve_dtype import resolve_dtype as resolve_dtype
from ._x64 import x64_enabled as x64_enabled

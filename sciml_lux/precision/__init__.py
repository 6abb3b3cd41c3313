"""The dtype rules: no cast that the user did not ask for."""

from ._accumulation import accumulated as accumulated
from ._accumulation import accumulating as accumulating
from ._accumulation import broadcasting as broadcasting
from ._accumulation import shared as shared
from ._audit import Audit as Audit
from ._audit import Finding as Finding
from ._audit import assert_no_narrowing as assert_no_narrowing
from ._audit import audit as audit
from ._convert import bf16 as bf16
from ._convert import f16 as f16
from ._convert import f32 as f32
from ._convert import f64 as f64
from ._convert import tree_dtype as tree_dtype
from ._match_eltype import EltypeMismatchWarning as EltypeMismatchWarning
from ._match_eltype import match_eltype as match_eltype
from ._match_eltype import match_eltype_mode as match_eltype_mode
from ._match_eltype import set_match_eltype as set_match_eltype
from ._promotion import EltypeMismatchError as EltypeMismatchError
from ._promotion import promote as promote
from ._promotion import promote_floats as promote_floats
from ._promotion import result_dtype as result_dtype
from ._resolution import resolution_probe as resolution_probe

"""What users test their own layers with."""

from ._dtypes import assert_dtype_preserved as assert_dtype_preserved
from ._gradients import test_gradients as test_gradients
from ._recompile import assert_no_recompile as assert_no_recompile

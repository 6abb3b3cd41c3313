import pytest

from sciml_lux.nn.containers._composite_layer import CompositeLayer

pytestmark = pytest.mark.any_precision


def test_base_of_composite_layers_builds_no_children():
    class Empty(CompositeLayer):
        pass

    with pytest.raises(TypeError, match="`Empty` defines no `made_layers`. Write `def made_layer"):
        Empty()

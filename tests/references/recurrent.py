"""Cases of the family: recurrent."""


def cases(torch):
    """Inputs, weights, outputs and gradients by case."""
    return {}

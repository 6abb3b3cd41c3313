"""Cases of the family: attention."""


def cases(torch):
    """Inputs, weights, outputs and gradients by case."""
    return {}

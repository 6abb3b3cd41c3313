"""Cases of the family: convolution."""


def cases(torch):
    """Inputs, weights, outputs and gradients by case."""
    return {}

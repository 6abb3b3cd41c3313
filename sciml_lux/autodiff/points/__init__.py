"""Functions at points: samples apart, states that stay, directions."""

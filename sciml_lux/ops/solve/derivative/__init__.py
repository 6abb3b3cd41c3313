"""The derivative of a solve: that of the steps it took."""

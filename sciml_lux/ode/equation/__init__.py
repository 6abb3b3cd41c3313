"""The vector field as a function of arrays, and what its models may do with their states."""

"""The vector field as a function of arrays, and what its models may do with their states."""

from ._second_order import second_order as second_order

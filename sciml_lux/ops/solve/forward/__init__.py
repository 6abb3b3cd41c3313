"""The solve itself, from its start to its end."""

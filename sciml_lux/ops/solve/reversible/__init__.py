"""Solves whose steps can be undone."""

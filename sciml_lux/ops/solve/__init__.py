"""Whole solves of ordinary differential equations by explicit Runge-Kutta methods."""

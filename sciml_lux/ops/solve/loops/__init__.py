"""Loops whose number of turns is known when they run, with derivatives of any order."""

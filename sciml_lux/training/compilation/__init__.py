"""Compiled programs: how they are looked up, freed, described and compared."""

from ._recompilation import RecompilationWarning as RecompilationWarning

"""Gates of recurrent cells, and sequences from back to front."""

from ._recurrent import gru_gates as gru_gates
from ._recurrent import lstm_gates as lstm_gates
from ._reverse_sequence import reverse_sequence as reverse_sequence

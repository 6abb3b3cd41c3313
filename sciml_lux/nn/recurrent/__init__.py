"""Recurrent cells, and what runs them over time."""

from ._bidirectional_rnn import BidirectionalRNN as BidirectionalRNN
from ._gru_cell import GRUCell as GRUCell
from ._lstm_cell import LSTMCell as LSTMCell
from ._recurrence import Recurrence as Recurrence
from ._reverse_sequence import ReverseSequence as ReverseSequence
from ._rnn_cell import RNNCell as RNNCell
from ._stacked_rnn_cell import StackedRNNCell as StackedRNNCell
from ._stateful_recurrent_cell import StatefulRecurrentCell as StatefulRecurrentCell
from ._stateful_recurrent_cell import reset_carry as reset_carry

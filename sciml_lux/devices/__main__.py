"""`python -m sciml_lux.devices --processes 2 script.py`: a training on several processes."""

import signal
import sys

from ._launch import launch

# So that the processes end with this one; under `nohup` the signal stays ignored.
for number in {signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)}:
    if signal.getsignal(number) != signal.SIG_IGN:
        signal.signal(number, lambda received, _: sys.exit(128 + received))
sys.exit(launch())

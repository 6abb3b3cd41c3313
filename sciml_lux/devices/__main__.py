"""`python -m sciml_lux.devices --processes 2 script.py`: a training on several processes."""

import signal
import sys

from ._launch import launch

# So that the processes end with this one.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
sys.exit(launch())

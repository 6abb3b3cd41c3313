"""Why a kernel cannot be launched."""


class Unavailable(Exception):
    """Why a kernel cannot be launched, in one sentence without its full stop."""

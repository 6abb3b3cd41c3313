"""The error of all files that cannot be trusted or do not fit."""


class CheckpointError(ValueError):
    """A file is not a checkpoint, is damaged, or does not fit what it is loaded into."""

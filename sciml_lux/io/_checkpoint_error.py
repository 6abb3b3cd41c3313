"""The error of all files that cannot be trusted or do not fit."""


class CheckpointError(ValueError):
    """A file is not a checkpoint, is damaged, or does not fit what it is loaded into.

    Example:
        >>> import pathlib, tempfile
        >>> from sciml_lux import io
        >>> file = pathlib.Path(tempfile.mkdtemp(), "notes.ckpt")
        >>> _ = file.write_text("a note")
        >>> try:
        ...     io.load_checkpoint(file)
        ... except io.CheckpointError as error:
        ...     print(error)
        /.../notes.ckpt is not a checkpoint of this format: expected it to start with
        b'sciml_lux checkpoint 1\\n', got b'a note'.
    """

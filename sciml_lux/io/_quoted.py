"""quoted: text from a file in messages, since a file may hold anything."""


def quoted(text: str, most: int = 100) -> str:
    """One short line without control characters, whatever `text` is.

    Args:
        text: as the file has it.
        most: the number of characters that are shown.
    """
    line = text if text.isprintable() else repr(text)[1:-1]
    return line if len(line) <= most else f"{line[:most]}..."

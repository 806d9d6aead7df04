"""Files of text, which are UTF-8 or refused with the line that is not."""

import codecs


def decoded(data: bytes) -> str:
    """Return the text that bytes in UTF-8 stand for.

    Args:
        data: All of a file, with or without the mark that some editors put in front.

    Raises:
        ValueError: If it is not UTF-8, with the line and the byte; half a sentence without
            the file's name, which the caller puts in front.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError("it is written in UTF-16. Save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"line {line} holds the byte 0x{data[error.start]:02x}, which is not UTF-8. "
            f"Save it as UTF-8"
        ) from error

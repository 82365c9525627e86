"""From bytes to text: UTF-8, or UTF-16 by its byte order mark, or what the recipe declares."""

from __future__ import annotations

import codecs

from refinery_beam.tables.faults import TableFault

_BY_BEGIN = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def known_encoding(word: str) -> bool:
    """Whether Python knows the encoding, as one of text."""
    try:
        return bool(codecs.lookup(word)._is_text_encoding)
    except (LookupError, ValueError):
        return False


def decode(data: bytes, encoding: str | None, *, whole: bool = True) -> str:
    """The text of a table, without a byte order mark. TableFault ``label-encoding`` names the byte, its line and the encoding to declare.

    `whole` is False for the head of a file, which may end inside a character.
    """
    word = encoding or next((name for begin, name in _BY_BEGIN if data.startswith(begin)), "utf-8")
    try:
        text = codecs.getincrementaldecoder(word)("strict").decode(data, whole)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = _line_of(data, start)
        if encoding:
            raise TableFault(
                f"is not {encoding}: byte {_byte(data, start)} in line {line}",
                code="label-encoding",
                value=encoding,
                rule="label_from.encoding is the encoding that the table has",
                remedy="remove encoding (UTF-8 is the default), or name the right one",
            ) from None
        raise TableFault(f"is not UTF-8: byte {_byte(data, start)} in line {line}", code="label-encoding", encoding=_guess(data)) from None
    except (LookupError, ValueError):
        raise TableFault(f"cannot be read as {word}", code="label-encoding", value=word, encoding="utf-8") from None
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        at = text.index("\0")
        line = _line(text, at)
        wide = text.count("\0", 0, 4000) * 3 > min(len(text), 4000)
        raise TableFault(
            "zero bytes"
            + (": UTF-16 text without a byte order mark?" if wide else ": the file was damaged or cut short as it was written"),
            line=line,
            code="label-row",
            value="\\0",
            rule="a text table holds no zero byte",
            remedy="declare label_from.encoding: utf-16-le (or utf-16-be)" if wide else "write the table again",
        )
    return text


def _line_of(data: bytes, start: int) -> int:
    return data.count(b"\n", 0, start) + 1 if b"\n" in data else data.count(b"\r", 0, start) + 1


def _line(text: str, at: int) -> int:
    return (text.count("\n", 0, at) or text.count("\r", 0, at)) + 1


def _byte(data: bytes, start: int) -> str:
    return f"0x{data[start]:02x}" if start < len(data) else "at the end"


def _guess(data: bytes) -> str:
    """The encoding to try: that of Windows where bytes stand that Latin-1 gives no letter."""
    odd = set(range(0x80, 0xA0)) & set(data[: 1 << 20])
    return "cp1252" if odd and not odd & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "latin-1"

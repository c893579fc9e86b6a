"""Text from files and file names without characters that control a terminal or break a line of an answer."""

from __future__ import annotations

_SAFE = {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\t\n"}
_SAFE |= {0x7F: "\u2421", **dict.fromkeys(range(0x80, 0xA0), "\ufffd")}
_SAFE |= dict.fromkeys(
    (*range(0x202A, 0x202F), *range(0x2066, 0x206A)), "\ufffd"
)  # bidirectional overrides, which reorder text
_SAFE[0x0D] = ""


def safe_line(text: str) -> str:
    """Return ``text`` as :func:`safe` does, on one line, with its line breaks visible: file names may contain them."""
    shown = text.replace("\r\n", "\n").rstrip("\r") if "\r" in text else text  # what is left of Windows' line ends
    return safe(shown.replace("\r", "\u240d")).replace("\n", "\u240a")


def safe(text: str) -> str:
    """Return ``text`` with control characters replaced, except tabs and newlines."""
    return text.translate(_SAFE)


def day_of(date: str) -> str:
    """Return the day of a date in ISO 8601, whose year may have more than four digits."""
    return date.partition("T")[0]

"""Guesses the encoding of text that is not Unicode, from a declaration in the text or from its bytes.

``charset-normalizer`` guesses from the lines that are not ASCII, since code around a comment says nothing about the
comment's language. It cannot distinguish the East Asian encodings in a short comment. Of these, the one is chosen in
which the most characters are common.
"""

from __future__ import annotations

import codecs
import importlib.metadata
import re
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

_SAMPLE_BYTES: Final = 16 << 10
_DECLARED: Final = re.compile(rb"(?:coding[:=]\s*|encoding\s*=\s*[\"']|charset\s*=\s*[\"']?)([A-Za-z0-9._-]{2,20})")
_DECLARING_LINES: Final = 2
_LAST_RESORT: Final = "latin-1"
_WESTERN: Final = "cp1252"
_EAST_ASIAN: Final = ("cp949", "cp932", "euc_jp", "gb18030", "cp950")
_ALPHABETS: Final = ("cp1251", "koi8_r", "cp1253", "cp1255", "cp1256", "tis_620")
_WESTERN_FAMILY: Final = ("cp1252", "cp1250", "iso8859_2", "cp1254")
_NOT_WESTERN: Final = frozenset(
    ["Croatian", "Czech", "Estonian", "Hungarian", "Lithuanian", "Polish", "Romanian", "Slovak", "Slovene", "Turkish"]
)
_LONG_RUN: Final = re.compile(rb"[\x80-\xff]{3}")
_CJK_MARKS: Final = range(0x3000, 0x3040)  # punctuation that all East Asian encodings have
_MIN_COMMON: Final = 0.85
_MIN_KANA: Final = 0.1
_MIN_CYRILLIC: Final = 6
_CYRILLIC_SHARE: Final = 0.8


def detector_version() -> str:
    """Return the version of the guessing library, a part of the fingerprint of files in a guessed encoding."""
    return importlib.metadata.version("charset-normalizer")


def guess_encoding(data: bytes) -> str:
    """Return the Python name of the most likely encoding of ``data``, which decodes without errors. Never raises.

    ``data`` is neither UTF-8 nor UTF-16. Every encoding that is returned keeps ``\\n`` and ``\\r`` as single bytes.
    """
    declared = _declared(data)
    if declared and _decodes(data, declared):
        return declared
    sample = _sample(data)
    # Accented letters occur between ASCII letters, while words in other scripts consist of bytes beyond ASCII.
    if _LONG_RUN.search(sample) is None:
        guess = _detected(sample, _WESTERN_FAMILY)
    elif _is_koi8(sample):
        guess = "koi8_r"
    else:
        guess = _most_common(sample) or _detected(sample, _ALPHABETS)
    for encoding in (guess, _WESTERN, "cp932"):  # kanji without kana have bytes that cp1252 lacks
        if _decodes(data, encoding):
            return encoding
    return _LAST_RESORT


def _sample(data: bytes) -> bytes:
    """Return the first lines that are not ASCII, 16 KiB or little more: whole, because a cut may split a character."""
    lines: list[bytes] = []
    size = 0
    for line in data.splitlines():
        if not line.isascii():
            lines.append(line)
            size += len(line)
            if size > _SAMPLE_BYTES:
                break
    return b"\n".join(lines)


def _declared(data: bytes) -> str:
    """Return the encoding declared in the first lines (PEP 263, modelines, XML, HTML); "" if it is not supported."""
    head = b"\n".join(data[:1024].splitlines()[:_DECLARING_LINES])
    match = _DECLARED.search(head)
    if match is None:
        return ""
    try:
        name = codecs.lookup(match[1].decode("ascii")).name.replace("-", "_")
    except LookupError:
        return ""
    known = {
        codecs.lookup(encoding).name.replace("-", "_"): encoding
        for encoding in (*_EAST_ASIAN, *_ALPHABETS, *_WESTERN_FAMILY, "latin-1", "gbk")
    }
    return known.get(name, "")


def _detected(sample: bytes, encodings: Sequence[str]) -> str:
    """Return the most likely of ``encodings`` according to charset-normalizer; the Western one if it finds none.

    The encodings for Central Europe and Turkey share most letters with the Western one, so they are only chosen if the
    library also recognises one of their languages.
    """
    from charset_normalizer import from_bytes

    best = from_bytes(sample, cp_isolation=list(encodings)).best()
    if best is None or (best.encoding in _WESTERN_FAMILY and best.language not in _NOT_WESTERN):
        return _WESTERN
    return best.encoding


def _is_koi8(sample: bytes) -> bool:
    """Return True if nearly all letters have bytes that are lowercase Cyrillic in KOI8 and mixed letters elsewhere."""
    letters = [byte for byte in sample if byte > 0x7F]
    lower = sum(0xC0 <= byte <= 0xDF for byte in letters)
    return lower >= _MIN_CYRILLIC and lower > _CYRILLIC_SHARE * len(letters)


def _decodes(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


@cache
def _measures() -> dict[str, Callable[[str], float]]:
    """Return, for each East Asian encoding, the function that computes the share of common characters in a text."""
    return {
        "cp949": _share_of_hangul,
        "cp932": _share_of_japanese,
        "euc_jp": _share_of_japanese,
        "gb18030": _share_of_simplified,
        "cp950": _share_of_traditional,
    }


def _most_common(sample: bytes) -> str:
    """Return the East Asian encoding in which the most characters of the sample are common; of equals, the first.

    Returns "" if no more than 85 % are common in any of them.
    """
    best, most = "", _MIN_COMMON
    for encoding, share_of in _measures().items():
        try:
            text = sample.decode(encoding)
        except UnicodeDecodeError:
            continue
        letters = "".join(character for character in text if ord(character) > 0x7F and ord(character) not in _CJK_MARKS)
        if letters and (share := share_of(letters)) > most:
            best, most = encoding, share
    return best


def _share(text: str, is_common: Callable[[str], bool]) -> float:
    return sum(map(is_common, text)) / len(text)


def _is_kana(character: str) -> bool:
    return "\u3040" <= character <= "\u30ff"


def _share_of_hangul(text: str) -> float:
    """Return the share of common syllables: the 2,350 syllables of KS X 1001, which take two bytes in EUC-KR."""
    return _share(text, lambda letter: "\uac00" <= letter <= "\ud7a3" and len(letter.encode("euc_kr", "replace")) == 2)


def _share_of_japanese(text: str) -> float:
    """Return the share of kana and kanji; 0 if there are few kana, which Japanese text has between kanji."""
    kana = _share(text, _is_kana)
    return 0.0 if kana < _MIN_KANA else _share(text, lambda letter: _is_kana(letter) or "\u4e00" <= letter <= "\u9fff")


def _share_of_simplified(text: str) -> float:
    """Return the share of common characters: the 3,755 in the first level of GB 2312, and full-width forms."""
    return _share(text, lambda letter: 0xB0 <= letter.encode("gb18030")[0] <= 0xD7 or "\uff00" <= letter <= "\uffef")


def _share_of_traditional(text: str) -> float:
    """Return the share of common characters: the 5,401 in the first level of Big5."""
    return _share(text, lambda letter: 0xA1 <= letter.encode("cp950", "replace")[0] <= 0xC6)

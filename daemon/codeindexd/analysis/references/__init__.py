"""Finds the references in a file: what it calls, uses, imports and inherits from."""

from codeindexd.analysis.references.codec import (
    NO_REFERENCES,
    BrokenReferencesError,
    Columns,
    are_equal,
    decode,
    encode,
    joined,
)
from codeindexd.analysis.references.extract import is_too_deep, references_in
from codeindexd.analysis.references.rules import LANGUAGES, REFERENCES_VERSION

__all__ = [
    "LANGUAGES",
    "NO_REFERENCES",
    "REFERENCES_VERSION",
    "BrokenReferencesError",
    "Columns",
    "are_equal",
    "decode",
    "encode",
    "is_too_deep",
    "joined",
    "references_in",
]

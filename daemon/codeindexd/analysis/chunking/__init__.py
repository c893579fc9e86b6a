"""Chunking: a file's language, its text, and its chunks. Pure."""

from codeindexd.analysis.chunking.chunker import DEFAULT_MAX_BYTES, TARGET, chunk
from codeindexd.analysis.chunking.encoding import Decoded, decode, source_text
from codeindexd.analysis.chunking.grammars import CHUNKER_VERSION, LANGUAGES, fingerprint, grammar_versions
from codeindexd.analysis.chunking.languages import detect

__all__ = [
    "CHUNKER_VERSION",
    "DEFAULT_MAX_BYTES",
    "LANGUAGES",
    "TARGET",
    "Decoded",
    "chunk",
    "decode",
    "detect",
    "fingerprint",
    "grammar_versions",
    "source_text",
]

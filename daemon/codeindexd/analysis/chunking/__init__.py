"""Chunking: a file's language, its text, and its chunks. Pure."""

from codeindexd.analysis.chunking.cells import chunk_cells
from codeindexd.analysis.chunking.chunker import DEFAULT_MAX_BYTES, TARGET, chunk
from codeindexd.analysis.chunking.encoding import Decoded, decode, source_text
from codeindexd.analysis.chunking.grammars import CHUNKER_VERSION, LANGUAGES, fingerprint, grammar_versions
from codeindexd.analysis.chunking.indexed_text import IndexedText, indexed_text
from codeindexd.analysis.chunking.languages import detect

__all__ = [
    "CHUNKER_VERSION",
    "DEFAULT_MAX_BYTES",
    "LANGUAGES",
    "TARGET",
    "Decoded",
    "IndexedText",
    "chunk",
    "chunk_cells",
    "decode",
    "detect",
    "fingerprint",
    "grammar_versions",
    "indexed_text",
    "source_text",
]

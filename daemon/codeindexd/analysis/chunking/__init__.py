"""Determines a file's language, its text and its chunks, from its bytes and its name alone."""

from codeindexd.analysis.chunking.cells import analyse_cells
from codeindexd.analysis.chunking.chunker import DEFAULT_MAX_BYTES, TARGET, Analysis, analyse, chunk
from codeindexd.analysis.chunking.embedded import HOSTS
from codeindexd.analysis.chunking.encoding import Decoded, decode, is_guessed, source_text
from codeindexd.analysis.chunking.grammars import (
    CHUNKER_VERSION,
    LANGUAGES,
    fingerprint,
    grammar_versions,
    languages_to_install,
)
from codeindexd.analysis.chunking.indexed_text import IndexedText, indexed_text
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.chunking.legacy_encoding import detector_version
from codeindexd.analysis.chunking.line_outline import LINE_LANGUAGES
from codeindexd.analysis.chunking.samples import DOCUMENTS

__all__ = [
    "CHUNKER_VERSION",
    "DEFAULT_MAX_BYTES",
    "DOCUMENTS",
    "HOSTS",
    "LANGUAGES",
    "LINE_LANGUAGES",
    "TARGET",
    "Analysis",
    "Decoded",
    "IndexedText",
    "analyse",
    "analyse_cells",
    "chunk",
    "decode",
    "detect",
    "detector_version",
    "fingerprint",
    "grammar_versions",
    "indexed_text",
    "is_guessed",
    "languages_to_install",
    "source_text",
]

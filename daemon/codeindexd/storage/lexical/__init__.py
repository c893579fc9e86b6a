"""The lexical index: BM25 over the words, identifiers and symbols of chunks, and over paths (tantivy).

Only terms and ids are stored, no text. Every commit replaces a sentinel document that carries the generation, so the
content and the generation of a snapshot always belong together, whenever the process is killed.
"""

from codeindexd.storage.lexical.index import Lexical
from codeindexd.storage.lexical.query import LexicalQuery
from codeindexd.storage.lexical.schema import LexicalChunk
from codeindexd.storage.lexical.snapshot import LexicalSnapshot

__all__ = ["Lexical", "LexicalChunk", "LexicalQuery", "LexicalSnapshot"]

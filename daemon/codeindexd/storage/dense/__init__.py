"""The dense index of one root under one model: new vectors are found at once, and a save never causes a rebuild.

New vectors are appended to a **tail**, which is scanned exactly; **segments** (HNSW graphs of about 100,000 vectors,
immutable, memory-mapped) are built from it in quiet times. A removed vector is only marked dead until maintenance
leaves it out. A manifest, replaced atomically, says which tail and segments belong together.
"""

from codeindexd.storage.dense.index import Dense
from codeindexd.storage.dense.snapshot import DenseSnapshot

__all__ = ["Dense", "DenseSnapshot"]

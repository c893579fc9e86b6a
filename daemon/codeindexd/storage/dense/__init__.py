"""The dense index of one root under one model: new vectors are found at once, and no change causes a rebuild.

New vectors are appended to a **tail**, which is scanned exactly; **segments** (HNSW graphs of about 100,000 vectors,
immutable, memory-mapped) are built from it in quiet times. A removed vector is only marked dead until maintenance
omits it. A manifest, replaced atomically, lists the tail and the segments that belong together.
"""

from codeindexd.storage.dense.index import Dense
from codeindexd.storage.dense.snapshot import DenseSnapshot

__all__ = ["Dense", "DenseSnapshot"]

"""The dense index of one root under one model: new vectors are found at once, and no change causes a rebuild.

New vectors are appended to a **tail**; **segments** (about 100,000 vectors each, immutable, memory-mapped) are made
from it. A removed vector is only marked dead until maintenance omits it. A manifest, replaced atomically, lists the
tail and the segments that belong together. There is no graph: a scan of codes (one bit per value) and the cosines of
the nearest rows answer as fast, at once after a bulk load, and under any filter.
"""

from codeindexd.storage.dense.index import Dense
from codeindexd.storage.dense.snapshot import DenseSnapshot

__all__ = ["Dense", "DenseSnapshot"]

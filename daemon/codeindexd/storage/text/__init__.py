"""The text index of a root: which contents hold which trigrams, so that exact search reads few files.

After Russ Cox, *Regular Expression Matching with a Trigram Index* (2012). A document is a file's content, known by its
leaf hash, not by its path: a moved or copied file is found without work, and switching a branch back finds its contents
still there. The index only narrows down candidates, which are read and matched, so an entry too many costs time and
never a wrong answer. Whoever knows the files names the contents that the index lacks, and those are read in any case.
"""

from codeindexd.storage.text.index import TextIndex
from codeindexd.storage.text.query import All, And, Nothing, Or, Query, Trigram
from codeindexd.storage.text.segment import Document
from codeindexd.storage.text.snapshot import TextSnapshot

__all__ = ["All", "And", "Document", "Nothing", "Or", "Query", "TextIndex", "TextSnapshot", "Trigram"]

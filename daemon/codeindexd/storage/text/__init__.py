"""The text index of a root: maps trigrams to contents, so that exact search has to read few files.

After Russ Cox, *Regular Expression Matching with a Trigram Index* (2012). A document is the content of a file,
identified by its hash and not by its path: a moved or copied file needs no work, and after switching a branch back, its
contents are still indexed. The index only selects candidates, which are read and matched, so a superfluous entry costs
time but never a wrong answer. Contents that the index lacks are found through the catalog, and are always read.
"""

from codeindexd.storage.text.index import TextIndex
from codeindexd.storage.text.query import All, And, Nothing, Or, Query, Trigram, any_of
from codeindexd.storage.text.segment import Document
from codeindexd.storage.text.snapshot import TextSnapshot

__all__ = ["All", "And", "Document", "Nothing", "Or", "Query", "TextIndex", "TextSnapshot", "Trigram", "any_of"]

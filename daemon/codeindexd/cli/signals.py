"""What the parts of a score mean, for `search --explain`."""

from __future__ import annotations

from typing import Final

_MEANINGS: Final = {
    "lexical": "has the words of the question",
    "dense": "is close to the question in meaning",
    "name": "the name of the file is close to the question in meaning",
    "exact": "defines a name that the question has",
    "mention": "uses a name that the question has",
    "company": "other chunks of the file fit as well",
    "place": "the query names this place",
    "qualified": "defines the qualified name of the query",
    "literal": "the text stands here letter by letter",
    "partial": "defines a name that the query is a part of",
    "body": "has the words of the whole report",
    "crowd": "several chunks of the file have the words of the report",
    "path": "the path has rare words of the report",
    "named": "the report names the file",
    "lexical_elsewhere": "another chunk of the file has the words of the headline",
    "dense_elsewhere": "another chunk of the file is closer to the headline in meaning",
    "body_elsewhere": "another chunk of the file has more words of the report",
    "test": "is a test, which is not asked for",
    "prose": "is a document, which is not asked for",
    "data": "is data or configuration, which is not asked for",
    "aside": "is an example, a benchmark, vendored or generated, which is not asked for",
    "older": "is an older version: a newer one is beside it",
    "further": "another chunk of the file comes first",
}
_WANTED_DOCUMENT: Final = "is a document, which answers how-to questions"


def in_words(part: str, value: float) -> str:
    """Return what a part of a score says about a hit; the name of one that this client does not know."""
    if part == "prose" and value > 0:
        return _WANTED_DOCUMENT
    return _MEANINGS.get(part, part)

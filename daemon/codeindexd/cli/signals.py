"""Describes the parts of a score in words, for ``search --explain``."""

from __future__ import annotations

from typing import Final

_MEANINGS: Final = {
    "lexical": "has the words of the question",
    "dense": "is close to the question in meaning",
    "name": "the name of the file is close to the question in meaning",
    "central": "much of the code relies on the file",
    "exact": "defines a name in the question",
    "mention": "uses a name in the question",
    "company": "other chunks of the file are good matches too",
    "place": "the query names this place",
    "declared": "defines what the query asks for",
    "literal": "contains the text letter by letter",
    "quoted": "has the query as a message",
    "number": "has a number of the query",
    "whole_name": "has the name that is the question",
    "partial": "defines a name that contains the query",
    "body": "has the words of the whole report",
    "crowd": "several chunks of the file have the words of the report",
    "path": "the path has rare words of the report",
    "named": "the report names the file",
    "past": "commits about similar things changed the file",
    "lexical_elsewhere": "another chunk of the file has the words of the headline",
    "dense_elsewhere": "another chunk of the file is closer to the headline in meaning",
    "body_elsewhere": "another chunk of the file has more words of the report",
    "test": "is a test, which the query does not ask for",
    "prose": "is a document, which the query does not ask for",
    "data": "is data or configuration, which the query does not ask for",
    "aside": "is an example, a benchmark, vendored or generated, which the query does not ask for",
    "older": "is an older version, with a newer one beside it",
    "short": "is short, so that its words and its meaning say less",
    "function": "functions come before other code of a file that is about as good",
    "further": "another chunk of the file comes first",
}
_WANTED_DOCUMENT: Final = "is a document, which answers how-to questions"


def describe_part(part: str, value: float) -> str:
    """Return what a part of a score says about a hit; ``part`` itself if this client does not know it."""
    if part == "prose" and value > 0:
        return _WANTED_DOCUMENT
    return _MEANINGS.get(part, part)

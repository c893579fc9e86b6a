"""How a query is written so that it can only be understood in one way."""

from __future__ import annotations

import pytest

from codeindexd.mcp.search_tools import Mode, written_query
from codeindexd.search.query import parse


@pytest.mark.parametrize("text", ["a", 'say "hi"', "path:src", "/etc/passwd", "a\\b", "lang:python x", "end\\"])
def test_each_mode_is_understood_by_the_daemon(text: str) -> None:
    literal = parse(written_query(text, Mode.LITERAL))
    assert [*literal.literals, *literal.phrases] == [text]
    assert not literal.include
    named = parse(written_query(text, Mode.NAME))
    assert named.symbol == text
    meant = parse(written_query(text, Mode.MEANING))
    assert not (meant.include)
    assert not (meant.language)
    assert not (meant.regexes)
    assert meant.text or meant.phrases
    assert written_query(text, Mode.AUTO) == text


@pytest.mark.parametrize("pattern", ["a/b", "a\\/b", "^x$", "path:src", '"', "a|b", r"\\\\/x"])
def test_a_regex_may_contain_slashes(pattern: str) -> None:
    (regex,) = parse(written_query(pattern, Mode.REGEX)).regexes
    assert "/" not in pattern or "/" in repr(regex)

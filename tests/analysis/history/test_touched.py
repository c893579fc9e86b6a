"""Which definitions a change touches, by the lines around its hunks."""

from __future__ import annotations

import pytest

from codeindexd.analysis.history.changes import UnifiedHunk
from codeindexd.analysis.history.touched import touched

GO = """package mux

func NewRouter() *Router {
}

func (r *Router) Match(a int) bool {
}

func (Route) Get() {
}

func (r *Ring[T]) Add(value T) {
}

type Ring[T any] struct {
}
"""
JAVASCRIPT = """module.exports = class Application extends Emitter {
  use(fn) {
    return 1
  }
}
exports.parse = class Parser {
}
exports.run = function () {
}
module.exports = function named() {
}
"""


JAVA = """class Gson {
    public <T> T fromJson(String json, Class<T> type) {
    }
    @Override public <K, V extends Comparable<V>> Map<K, V> sorted(Map<K, V> map) {
    }
    List<String> names() {
    }
}
"""


@pytest.mark.parametrize(
    ("language", "text", "names"),
    [
        ("go", GO, ("NewRouter", "Router.Match", "Route.Get", "Ring.Add", "Ring")),
        ("java", JAVA, ("Gson", "Gson.fromJson", "Gson.sorted", "Gson.names")),
        ("javascript", JAVASCRIPT, ("Application", "Application.use", "Parser", "run", "named")),
    ],
)
def test_names_have_what_is_around_them(language: str, text: str, names: tuple[str, ...]) -> None:
    data = text.encode()
    assert touched(language, b"", data, [UnifiedHunk(0, 0, 1, data.count(b"\n"))]) == names


def test_a_line_inside_belongs_to_the_method() -> None:
    old = b"package a\n\nfunc (s *Server) Serve() {\n\tone()\n}\n"
    assert touched("go", old, old.replace(b"one", b"two"), [UnifiedHunk(4, 1, 4, 1)]) == ("Server.Serve",)

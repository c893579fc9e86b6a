"""Queries that ask for a definition by its head or its name, and the answers to them over real stores."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from codeindexd.search.declarations import declaration_in
from codeindexd.search.query import parse
from codeindexd.search.searcher import Searcher
from search.indexed_root import Indexed


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("class Session", "Session", "class"),
        ("class Session(Base):", "Session", "class"),
        ("public final class Session extends Base {", "Session", "class"),
        ("data class Session(val id: Int)", "Session", "class"),
        ("data Session", "Session", "type"),
        ("struct task_struct", "task_struct", "struct"),
        ("typedef struct stream_s {", "stream_s", "struct"),
        ("pub(crate) struct Session<T>", "Session", "struct"),
        ("type Session struct {", "Session", "struct"),
        ("export default interface Session", "Session", "interface"),
        ("defmodule Plug.Conn do", "Plug.Conn", "module"),
        ("pub mod session {", "session", "module"),
        ("def refresh(self, token)", "refresh", "method"),
        ("async def refresh", "refresh", "function"),
        ("pub async fn refresh(&self) -> Result", "refresh", "method"),
        ("func (s *Session) Refresh(ctx context.Context)", "Session.Refresh", "method"),
        ("def location=(value)", "location=", "method"),
        ("function Session:refresh()", "Session.refresh", "method"),
        ("local function refresh_all", "refresh_all", "function"),
        ("#define MAX_AGE 5", "", ""),
        ("#define MAX_AGE", "MAX_AGE", "macro"),
        ("const MAX_AGE = 5", "MAX_AGE", "constant"),
        ("Session class", "Session", "class"),
        ("the Session class", "", ""),
        ("max_age definition", "max_age", "constant"),
        ("where is refresh_all defined?", "refresh_all", "function"),
        ("where is the class Session declared", "Session", "class"),
        ("go to the definition of Session.refresh", "Session.refresh", "method"),
        ("_refresh", "_refresh", "method"),
        ("__init__", "__init__", "method"),
        ("session.refresh()", "session.refresh", "method"),
        ("refresh(token, 5)", "refresh", "method"),
        ("net.Session{", "net.Session", "struct"),
        ("@cached_property", "cached_property", "function"),
        ('@app.route("/")', "app.route", "method"),
        ("Session.read<T>(text)", "Session.read", "method"),
        ("Vec::<Vec<u8>>::with_capacity(5)", "", ""),
        ("collect::<Vec<u8>>()", "collect", "method"),
        ('[JsonProperty("name")]', "JsonProperty", "class"),
        ("#[Route('/x')]", "Route", "class"),
        ("[error]", "", ""),
        ("class that keeps a session", "", ""),
        ("where is a session refreshed", "", ""),
        ("where is the session", "", ""),
        ("refresh", "", ""),
        ("refresh_all", "refresh_all", "function"),
        ("refreshAll", "refreshAll", "function"),
        ("Session::refresh", "Session.refresh", "method"),
        ("Cache$Entry", "Cache.Entry", "class"),
        ("at app.net.Cache$Entry.read(Cache.kt)", "app.net.Cache.Entry.read", "method"),
        ("at app.Cache.read(Native Method)", "app.Cache.read", "method"),
        ("(*Session).Refresh", "Session.Refresh", "method"),
        ("example.com/app/net.(*Session).Refresh(0xc000, {0x1})", "net.Session.Refresh", "method"),
        ("net.(*Session).Refresh.func1.2(0xc000)", "net.Session.Refresh", "method"),
        ("Session(token).refresh()", "Session.refresh", "method"),
        ("new app.Session(token, key(5)).refresh", "app.Session.refresh", "method"),
        ("Session(token).with(key).refresh()", "", ""),
        ("from sessions.store import Session", "sessions.store.Session", "class"),
        ("from ..store import (Session, refresh)", "store.Session", "class"),
        ("from . import refresh", "refresh", "function"),
        ("from store import Session as S", "store.Session", "class"),
        ("import { Session, type Token } from './store'", "Session", "class"),
        ("const { refresh } = require('./session')", "refresh", "function"),
        ("use crate::session::{Session, Token};", "crate.session.Session", "struct"),
        ("import com.example.Session;", "com.example.Session", "class"),
        ("import static com.example.Session.refresh;", "com.example.Session.refresh", "method"),
        ("use App\\Models\\Session;", "App.Models.Session", "class"),
        ("import os", "", ""),
        ("using System;", "System", "module"),
        ("use sessions", "", ""),
        ("import sessions into the store", "", ""),
        ("com.example.Session$Builder", "com.example.Session.Builder", "class"),
        ("class Größe", "Größe", "class"),
        ("func (s *Größe) Ändern()", "Größe.Ändern", "method"),
        ("session->refresh", "session.refresh", "method"),
        ("class Session\nclass Token", "", ""),
    ],
)
def test_the_head_of_a_definition_is_read(text: str, name: str, kind: str) -> None:
    found = declaration_in(text)
    if found and (found.is_word or found.is_spelled):
        found = None
    assert (found.name if found else "") == name
    if found:
        assert not found.kinds or kind in found.kinds
        assert found.is_certain


@pytest.mark.parametrize(
    ("text", "name", "is_certain"),
    [
        ("Session", "Session", True),
        ("H2Transport", "H2Transport", True),
        ("session", "session", False),
        ("JSON", "JSON", False),
        ("session store", "session_store", False),
        ("how sessions are kept", "how_sessions_are_kept", False),
    ],
)
def test_plain_words_may_be_a_name(text: str, name: str, is_certain: bool) -> None:
    found = declaration_in(text)
    assert found is not None
    assert found.is_word or found.is_spelled
    assert (found.name, found.is_certain) == (name, is_certain)


@pytest.mark.parametrize("text", ["x", "how a session is kept in the store", "session, store"])
def test_other_words_are_no_name(text: str) -> None:
    assert declaration_in(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "type inference", "function call", "JSON object", "HTTP method", "package manager", "session definition",
        "use Session", "import CSV",
    ],
)  # fmt: skip
def test_what_may_be_a_topic_is_not_certain(text: str) -> None:
    found = declaration_in(text)
    assert found is not None
    assert not found.is_certain


def test_the_receiver_of_a_method_is_part_of_its_name() -> None:
    for text in ("func (c *Client) Do(", "func (c Client) Do", "func (c *Client[T]) Do(x int) {"):
        found = declaration_in(text)
        assert found is not None
        assert found.name == "Client.Do"


@pytest.mark.parametrize("part", ["static ", "class ", "a.", "a::", "(", "_", "where is ", "A.", "A(", "(*a)."])
def test_long_texts_are_read_in_linear_time(part: str) -> None:
    began = time.thread_time()
    for _ in range(100):
        declaration_in((part * 300)[:300])
    assert time.thread_time() - began < 1


@pytest.fixture
async def indexed(tmp_path: Path) -> AsyncIterator[Indexed]:
    root = Indexed(tmp_path)
    for number in range(8):  # uses, with the words side by side and in the names of files
        root.save(
            f"session_{number}.c",
            f"int refresh_session_{number}(struct session *session) {{\n    return schedule(session);\n}}\n",
        )
    root.save(
        "core.h", "/* Everything else. */\nstruct other {\n    int x;\n};\n\nstruct session {\n    int age;\n};\n"
    )
    root.save("core.c", "static int __schedule(int mode)\n{\n    return mode;\n}\n")
    root.save("limits.h", "#define MAX_AGE 5\n")
    root.save("store/session.py", "class Session:\n    pass\n")
    root.save("net/src/session/wire.rs", "pub struct Wire;\n")
    root.save("other/wire.rs", "pub struct Wire;\n")
    root.save("cable.ts", "export class Cable {\n}\n")
    root.save("cable.scala", "package cables\n\ntrait Cable {\n}\n\nobject Cable {\n}\n")
    root.save("types/wire.hs", "module Types.Wire where\n\nnewtype Wire = Wire Int\n")
    for number in range(6):
        root.save(f"app_{number}.py", "from store.session import Session\n\nsession = Session()\n")
    root.save("session.go", "package s\n\ntype Session interface{ Age() int }\n\ntype Session struct{ age int }\n")
    yield root
    root.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("struct session", b"core.h", 6),
        ("session struct", b"core.h", 6),
        ("where is the struct session defined", b"core.h", 6),
        ("__schedule", b"core.c", 1),
        ("#define MAX_AGE", b"limits.h", 1),
        ("from store.session import Session", b"store/session.py", 1),
        ("import store.session.Session;", b"store/session.py", 1),
        ("store.session$Session", b"store/session.py", 1),
        ("use net::session::Wire;", b"net/src/session/wire.rs", 1),
        ('import { Cable } from "./cable"', b"cable.ts", 1),
        ("maxAge", b"limits.h", 1),
        ("MaxAge", b"limits.h", 1),
        ("type Session struct {", b"session.go", 5),
        ("type Session interface {", b"session.go", 3),
        ("newtype Wire", b"types/wire.hs", 3),
        ("trait Cable", b"cable.scala", 3),
        ("object Cable", b"cable.scala", 6),
    ],
)
async def test_the_definition_comes_before_its_uses(indexed: Indexed, text: str, path: bytes, line: int) -> None:
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)
    first = answer.hits[0]
    assert (first.chunk.path, first.best_line) == (path, line)
    assert first.parts["declared"] > 0


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ("net.socket.create_connection", b"net/socket.py", 3),
        ("socket.create_connection", b"net/socket.py", 3),
        ("net::Kind::CLOSED", b"net/__init__.py", 2),
        ("Kind.CLOSED", b"net/__init__.py", 2),
        ("net.Kind", b"net/__init__.py", 1),
        ("DEFAULT_SIZE", b"net/socket.py", 1),
        ("Socket.create_connection", b"net/socket.py", 3),
        ("some.pool.create_connection", b"net/socket.py", 3),
        ("create_connection()", b"net/socket.py", 3),
        ("web.create", b"web/tasks.py", 5),
        ("Level::DEBUG", b"net/level.py", 4),
    ],
)
async def test_a_name_may_begin_with_its_module(indexed: Indexed, text: str, path: bytes, line: int) -> None:
    indexed.save("net/__init__.py", "class Kind(Enum):\n    CLOSED = 1\n")
    indexed.save("net/socket.py", "DEFAULT_SIZE = 10\n\ndef create_connection():\n    return DEFAULT_SIZE\n")
    indexed.save("web/socket.py", "def create_socket_connection(socket):\n    return socket.create_connection()\n" * 3)
    indexed.save("web/tasks.py", "class Tasks:\n    def create(self):\n        pass\n\ndef create():\n    pass\n")
    indexed.save("net/level.py", "class Level:\n    def debug(self):\n        pass\n    DEBUG = 1\n")
    indexed.save("users.py", "socket.create_connection(net.Kind.CLOSED, DEFAULT_SIZE)\n" * 5)
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)
    assert (answer.hits[0].chunk.path, answer.hits[0].best_line) == (path, line)


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    ["import concurrent.futures", "from concurrent import futures", "from . import futures", "concurrent.futures"],
)
async def test_a_field_is_no_member_of_a_module(indexed: Indexed, text: str) -> None:
    for number in range(8):  # too many to be a guess
        indexed.save(
            f"concurrent/base_{number}.py",
            f"class Acquire{number}:\n    def __init__(self, futures):\n        self.futures = sorted(futures)\n",
        )
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)
    assert answer.hits
    assert all("declared" not in hit.parts for hit in answer.hits)


@pytest.fixture
def routes(indexed: Indexed) -> Indexed:
    """A few definitions in files about something else, and many uses in files named after them."""
    other = "".join(f"func other{number}(a int) int {{\n\treturn a * {number}\n}}\n\n" for number in range(9))
    indexed.save("parts.go", f"package r\n\n{other}type Route struct {{\n\tpath string\n}}\n\n{other}")
    indexed.save("more.go", f"package r\n\n{other}type RouteGroup struct {{\n\tn int\n}}\n\nfunc frame() {{\n}}\n")
    for number in range(8):
        indexed.save(
            f"route_{number}.go",
            f"package r\n\n// The route of a route group; a route has a frame.\nfunc routeGroupOf{number}(route Route) "
            "int {\n\treturn route.group.frame.frame(route)\n}\n",
        )
    return indexed


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "path", "symbol"),
    [
        ("Route", b"parts.go", "Route"),
        ("route", b"parts.go", "Route"),
        ("frame", b"more.go", "frame"),
        ("route group", b"more.go", "RouteGroup"),
        ("Route Group", b"more.go", "RouteGroup"),
        ("routegroup", b"more.go", "RouteGroup"),
    ],
)
async def test_plain_words_find_the_definition_that_they_name(
    routes: Indexed, text: str, path: bytes, symbol: str
) -> None:
    first = (await Searcher({}, mask_secrets=True).search([routes], parse(text), 10)).hits[0]
    assert (first.chunk.path, first.symbol) == (path, symbol)


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["Age", "age", "x", "sessions"])
async def test_a_field_is_not_meant_by_a_word(indexed: Indexed, text: str) -> None:
    indexed.save("ages.go", "package s\n\ntype Person struct {\n\tAge int\n\tage int\n}\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse(f"{text} path:ages.go"), 10)
    assert all("declared" not in hit.parts for hit in answer.hits)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "line"), [("current batch", 3), ("default color", 4), ("next arg id", 5), ("Current Batch", 3)]
)
async def test_words_find_the_names_of_private_members(indexed: Indexed, text: str, line: int) -> None:
    indexed.save(
        "sink.cs", "class Sink\n{\n    int _currentBatch;\n    int default_color_;\n    int _next_arg_id;\n}\n"
    )
    uses = "".join(f"    def batch_{n}(self, current):\n        return color_arg_id(current)\n" for n in range(9))
    indexed.save("batches.py", f"class Batches:\n{uses}")
    first = (await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)).hits[0]
    assert (first.chunk.path, first.best_line) == (b"sink.cs", line)


@pytest.mark.anyio
async def test_the_last_word_of_a_name_may_be_a_kind(indexed: Indexed) -> None:
    indexed.save("Dispatcher.php", "<?php\nclass Dispatcher\n{\n}\n")
    indexed.save("DispatcherInterface.php", "<?php\ninterface DispatcherInterface\n{\n}\n")
    hits = (await Searcher({}, mask_secrets=True).search([indexed], parse("dispatcher interface"), 10)).hits
    assert [hit.symbol for hit in hits[:2]] == ["DispatcherInterface", "Dispatcher"]
    first = (await Searcher({}, mask_secrets=True).search([indexed], parse("Dispatcher class"), 10)).hits[0]
    assert first.symbol == "Dispatcher"


@pytest.mark.anyio
async def test_a_whole_name_in_another_case_comes_before_longer_ones(indexed: Indexed) -> None:
    indexed.save("metrics.go", "package m\n\ntype Metrics struct {\n\tImageDuration int\n}\n")
    indexed.save("make.go", "package m\n\nfunc CalculateImageDuration() int {\n\treturn 1\n}\n")
    first = (await Searcher({}, mask_secrets=True).search([indexed], parse("imageduration"), 10)).hits[0]
    assert (first.chunk.path, first.best_line) == (b"metrics.go", 4)


@pytest.mark.anyio
async def test_a_name_of_several_words_may_be_in_lower_case(indexed: Indexed) -> None:
    indexed.save("pager.rs", "enum Source {\n    Config,\n    EnvVarPager,\n}\n")
    indexed.save("use.rs", "fn pick() {\n    envvarpager(Source::EnvVarPager);\n}\n" * 9)
    first = (await Searcher({}, mask_secrets=True).search([indexed], parse("envvarpager"), 10)).hits[0]
    assert (first.chunk.path, first.best_line) == (b"pager.rs", 3)


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["cookie jar", "cookiejar", "CookieJar"])
async def test_words_are_a_type_before_they_are_a_package(indexed: Indexed, text: str) -> None:
    indexed.save("net/cookiejar/Java.kt", "package net.cookiejar\n\nclass JavaCookieJar\n")
    indexed.save("http/Jars.kt", "package http\n\ninterface CookieJar {\n  fun cookieJar()\n}\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)
    assert [hit.chunk.path for hit in answer.hits if "declared" in hit.parts] == [b"http/Jars.kt"]


@pytest.mark.anyio
async def test_a_constructor_is_no_other_definition(indexed: Indexed) -> None:
    body = "\n".join(f"    int field{number} = {number};" for number in range(200))
    indexed.save(
        "BatchSink.cs",
        f"class BatchSink\n{{\n{body}\n\n"
        "    public BatchSink(BatchSink sink)\n    {\n        BatchSink.Open(sink);\n    }\n}\n",
    )
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("BatchSink"), 10)
    assert [hit.kind for hit in answer.hits if "declared" in hit.parts] == ["class"]


@pytest.mark.anyio
async def test_a_typedef_does_not_stand_before_its_structure(indexed: Indexed) -> None:
    indexed.save("state.h", "typedef struct run_state run_state;\nrun_state *run_state_new(void);\n")
    indexed.save("run.c", "struct run_state {\n  int age;\n};\n")
    first = (await Searcher({}, mask_secrets=True).search([indexed], parse("run_state"), 10)).hits[0]
    assert first.chunk.path == b"run.c"


@pytest.mark.anyio
async def test_what_is_local_to_a_function_is_not_meant(indexed: Indexed) -> None:
    indexed.save(
        "app.js",
        "class App {\n  callback () {\n    const handleRequest = (req) => {\n      return this.handleRequest(req)\n"
        f"    }}\n    return handleRequest\n  }}\n\n  {'// much' * 200}\n"
        "  handleRequest (req) {\n    return req\n  }\n}\n",
    )
    first = (await Searcher({}, mask_secrets=True).search([indexed], parse("handleRequest"), 10)).hits[0]
    assert first.symbol == "App.handleRequest"
    assert first.best_line == 10


@pytest.mark.anyio
async def test_a_variable_is_shown_by_its_name(indexed: Indexed) -> None:
    indexed.save(
        "threads.py", 'def get_trace():\n    """Return the function."""\n    return _trace\n\nTokenLock = allocate\n'
    )
    asking = Searcher({}, mask_secrets=True)
    hit = (await asking.search([indexed], parse("threads.TokenLock"), 10)).hits[0]
    assert (hit.best_line, hit.symbol, hit.kind) == (5, "TokenLock", "variable")
    hit = (await asking.search([indexed], parse("TokenLock = allocate"), 10)).hits[0]
    assert (hit.best_line, hit.symbol) == (5, "get_trace")  # no declaration is read
    hit = (await asking.search([indexed], parse("const TokenLock = allocate"), 10)).hits[0]
    assert (hit.best_line, hit.symbol, hit.kind) == (5, "TokenLock", "variable")
    hit = (await asking.search([indexed], parse("get_trace"), 10)).hits[0]
    assert (hit.best_line, hit.symbol, hit.kind) == (1, "get_trace", "function")


@pytest.mark.anyio
async def test_a_member_of_something_unknown_is_looked_up_if_few_define_it(indexed: Indexed) -> None:
    for number in range(5):
        indexed.save(f"defining_{number}.py", f"def fetch():\n    return {number}\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("client.fetch"), 10)
    assert all("declared" in hit.parts for hit in answer.hits[:5])
    indexed.save("defining_too.py", "def fetch():\n    pass\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("client.fetch"), 10)
    assert answer.hits
    assert all("declared" not in hit.parts for hit in answer.hits)


@pytest.mark.anyio
async def test_a_member_of_something_unknown_comes_before_many_uses(indexed: Indexed) -> None:
    indexed.save("fetching.py", "class Client:\n" + "    limit = 3\n" * 9 + "    def fetch(self):\n        return 1\n")
    asking = Searcher({}, mask_secrets=True)
    for number in range(5):
        indexed.save(f"fetch_{number}.py", "# fetch\nc.fetch()\n")
    assert (await asking.search([indexed], parse("c.fetch()"), 10)).hits[0].chunk.path != b"fetching.py"
    indexed.save("fetch_too.py", "# fetch\nc.fetch()\n")
    assert (await asking.search([indexed], parse("c.fetch()"), 10)).hits[0].chunk.path == b"fetching.py"


@pytest.mark.anyio
async def test_all_of_a_head_is_more_than_its_name(indexed: Indexed) -> None:
    for number in range(3):
        indexed.save(
            f"box_{number}.scala", f"object Box{number} {{\n  def map: F[T{number}] = g\n\n  def map(x: Int) = x\n}}\n"
        )
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("def map: F[T1] = g"), 10)
    assert (answer.hits[0].chunk.path, answer.hits[0].best_line) == (b"box_1.scala", 2)


@pytest.mark.anyio
async def test_a_filter_decides_before_tests_and_documents_are_left_out(indexed: Indexed) -> None:
    indexed.save("src/error.py", "class Failure:\n    pass\n")
    indexed.save("tests/test_error.py", "class Failure:\n    x = 1\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("Failure class -path:src/**"), 10)
    assert answer.hits[0].chunk.path == b"tests/test_error.py"
    assert answer.hits[0].parts["declared"] > 0


@pytest.mark.anyio
@pytest.mark.parametrize("text", ["settings.json", "Object.json", "config.json"])
async def test_a_file_name_asks_for_no_member(indexed: Indexed, text: str) -> None:
    indexed.save("app.py", "class App:\n    def json(self):\n        pass\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)
    assert all("declared" not in hit.parts for hit in answer.hits)


@pytest.mark.anyio
async def test_what_is_called_is_no_file(indexed: Indexed) -> None:
    indexed.save("app.py", "class App:\n    def json(self):\n        pass\n")
    indexed.save("guide.md", "# Guide\n\nIts text is r.json().\n")
    hit = (await Searcher({}, mask_secrets=True).search([indexed], parse("r.json()"), 10)).hits[0]
    assert (hit.chunk.path, hit.best_line) == (b"app.py", 2)


@pytest.mark.anyio
async def test_a_topic_is_no_certain_request_for_a_definition(indexed: Indexed) -> None:
    indexed.save("call.py", "def call():\n    pass\n")
    indexed.save("calls.md", "# A function call\n\nEach function call costs a frame; the function call stack grows.\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("function call"), 10)
    assert {hit.chunk.path for hit in answer.hits[:2]} == {b"call.py", b"calls.md"}
    assert all(hit.parts.get("declared", 0) < 2 for hit in answer.hits)


@pytest.mark.anyio
async def test_a_name_in_another_case_is_found_if_there_is_no_other(indexed: Indexed) -> None:
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("struct SESSION"), 10)
    assert "declared" in {part for hit in answer.hits for part in hit.parts}


@pytest.mark.anyio
async def test_a_name_that_very_many_files_define_is_not_looked_up(indexed: Indexed) -> None:
    for number in range(301):
        indexed.save(f"many/file_{number}.py", f"def run():\n    return {number}\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse("def run"), 3)
    assert len(answer.hits) == 3
    assert all("declared" not in hit.parts for hit in answer.hits)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "symbol"),
    [
        ("UnknownPrec", "Backend.UnknownPreconfigured"),  # a value, if nothing else begins so
        ("Preconfig", "Backend.UnknownPreconfigured"),  # or has it inside
        ("parser_rem", "parser_remaining"),  # where it is defined
        ("load_", "load_file"),  # although others use the word
        ("EventFilter", "IEventFilter"),
    ],
)
async def test_a_part_of_a_name_finds_what_it_names(indexed: Indexed, text: str, symbol: str) -> None:
    indexed.save("tls.rs", "pub enum Backend {\n    Known,\n    UnknownPreconfigured,\n}\n")
    uses = "".join(f"    check_{number}(Backend::UnknownPreconfigured);\n" for number in range(20))
    indexed.save("client.rs", f"pub fn build() {{\n{uses}}}\n")
    indexed.save("parser.h", "int parser_remaining(int parser);\n")
    indexed.save("parser.c", '#include "parser.h"\n\nint parser_remaining(int parser)\n{\n    return parser;\n}\n')
    indexed.save("files.py", "def load_file(path):\n    return path\n")
    indexed.save("reload.py", "def run(load):\n" + "    load = load + load\n" * 20)
    indexed.save("IEventFilter.cs", "public interface IEventFilter\n{\n    bool IsEnabled();\n}\n")
    uses = "        Use(eventFilter);\n" * 20
    indexed.save("With.cs", f"class With\n{{\n    void Run(int eventFilter)\n    {{\n{uses}    }}\n}}\n")
    first = (await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)).hits[0]
    assert symbol.rpartition(".")[2] in first.snippet.splitlines()[first.best_row]
    assert first.chunk.path.partition(b".")[0] in (b"tls", b"parser", b"files", b"IEventFilter")
    assert not first.chunk.path.endswith(b".h")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "text",
    [
        "tests/test_a.py::TestA::test_b",
        "test_a.py::TestA::test_b[x-1]",
        "tests/test_a.py:test_b",
        "test_a.py#TestA.test_b",
    ],
)
async def test_a_name_may_follow_its_file(indexed: Indexed, text: str) -> None:
    indexed.save("tests/test_a.py", "class TestA:\n    def test_b(self):\n        pass\n")
    indexed.save("tests/test_z.py", "class TestA:\n    def test_b(self):\n        return 1\n")
    answer = await Searcher({}, mask_secrets=True).search([indexed], parse(text), 10)
    assert (answer.hits[0].chunk.path, answer.hits[0].best_line, answer.notes) == (b"tests/test_a.py", 2, [])

"""What a file is for, by its path."""

from __future__ import annotations

import pytest

from codeindexd.search.file_roles import (
    FileRole,
    is_test,
    older_versions,
    role_of,
    role_of_definition,
    roles_asked_for,
    roles_ruled_out,
    versions_asked_for,
    versions_in,
)
from codeindexd.search.prepared_query import stems_of


@pytest.mark.parametrize(
    "path",
    [
        b"tests/x.py", b"a/test_x.py", b"x_test.go", b"x.spec.ts", b"x.test.js", b"src/__tests__/x.js",
        b"spec/x_spec.rb", b"src/test/java/Foo.java", b"src/FooTest.java", b"FooTests.swift", b"FooSpec.scala",
        b"test-foo.js", b"conftest.py",
        b"Src/Newtonsoft.Json.Tests/A.cs", b"jvm/commonTest/x.kt", b"test/fast/setup", b"packages/a/test/b.js",
        b"tools/testing/selftests/kvm/util.h", b"src/__mocks__/fs.js", b"gcc/testsuite/x.c",
        b"shop/tests.py", b"src/fs/tests.rs", b"src/addDays/test.ts", b"test.js",
    ],
)  # fmt: skip
def test_tests_are_recognised_by_their_paths(path: bytes) -> None:
    assert is_test(path)
    assert role_of(path, "markdown") is FileRole.TEST


@pytest.mark.parametrize(
    "path",
    [
        b"src/contest.py", b"latest/x.py", b"attestation.go", b"Contest.java", b"greatest/x.py", b"flask/testing.py",
        b"django/test/client.py", b"test_functions.sh", b"lib/unittest/case.py",
        b"lib/commands/test.js", b"management/commands/test.py", b"spec.go",
    ],
)  # fmt: skip
def test_what_only_resembles_a_test_is_none(path: bytes) -> None:
    assert not is_test(path)


@pytest.mark.parametrize(
    ("path", "language", "role"),
    [
        (b"src/a.py", "python", FileRole.SOURCE),
        (b"docs/a.rst", "restructuredtext", FileRole.DOCUMENT),
        (b"LICENSE", "", FileRole.DOCUMENT),
        (b"package.json", "json", FileRole.DATA),
        (b"CMakeLists.txt", "cmake", FileRole.DATA),
        (b"examples/a.py", "python", FileRole.ASIDE),
        (b"Vendor/a.c", "c", FileRole.ASIDE),
        (b"src/api_pb2.py", "python", FileRole.ASIDE),
        (b"static/jquery.min.js", "javascript", FileRole.ASIDE),
        (b"src/sampler.py", "python", FileRole.SOURCE),
    ],
)
def test_the_role_of_a_file(path: bytes, language: str, role: FileRole) -> None:
    assert role_of(path, language) is role


@pytest.mark.parametrize(
    ("path", "language", "kind", "name", "role"),
    [
        (b"src/assets.rs", "rust", "function", "tests.detects_syntax", FileRole.TEST),
        (b"src/assets.rs", "rust", "module", "tests", FileRole.TEST),
        (b"src/assets.rs", "rust", "struct", "io.test.Stub", FileRole.TEST),
        (b"src/less.rs", "rust", "function", "test_parses_versions", FileRole.TEST),
        (b"src/assets.rs", "rust", "function", "attest", FileRole.SOURCE),
        (b"src/zig/parser.zig", "zig", "test", "an empty file", FileRole.TEST),
        (b"lib/pool.py", "python", "method", "Pool.test_connection", FileRole.SOURCE),
        (b"examples/a.rs", "rust", "function", "tests.runs", FileRole.ASIDE),
    ],
)
def test_tests_may_stand_beside_what_they_test(
    path: bytes, language: str, kind: str, name: str, role: FileRole
) -> None:
    assert role_of_definition(path, language, kind, name) is role


def asked_for(text: str) -> frozenset[FileRole]:
    return roles_asked_for(text, stems_of(text.lower().split()))


def test_a_question_asks_for_a_role_by_its_name() -> None:
    assert asked_for("testing routers") == {FileRole.TEST}
    assert asked_for("benchmarks") == {FileRole.ASIDE}
    assert asked_for("attest the latest") == frozenset()
    assert asked_for("how are tests collected") == frozenset()
    assert asked_for("how do I write tests") == {FileRole.DOCUMENT, FileRole.TEST}
    assert asked_for("how does it run the tests") == frozenset()


@pytest.mark.parametrize("text", ["how do I run the tests", "running the test suite", "run all unit tests"])
def test_how_to_run_tests_is_said_by_documents_alone(text: str) -> None:
    assert asked_for(text) == {FileRole.DOCUMENT}


@pytest.mark.parametrize(
    ("text", "is_ruled_out"),
    [
        ("how are requests routed", True),
        ("where is the handler looked up", True),
        ("how do I route requests", False),
        ("how do users install it", False),
        ("where are the docs of the router", False),
        ("request routing", False),
    ],
)
def test_documents_do_not_answer_how_code_works(text: str, *, is_ruled_out: bool) -> None:
    found = roles_ruled_out(text, stems_of(text.split()))
    assert found == ({FileRole.DOCUMENT} if is_ruled_out else frozenset())


@pytest.mark.parametrize(
    "text",
    [
        "how to install it", "How do I set a timeout?", "can users turn it off", "what should I run before a release",
        "which versions can I use", "I want to add a backend",
    ],
)  # fmt: skip
def test_who_asks_how_to_do_something_asks_for_documents(text: str) -> None:
    assert asked_for(text) == {FileRole.DOCUMENT}


@pytest.mark.parametrize(
    "text",
    ["how it installs packages", "how do timeouts work", "where requests can be cut", "candidate selection"],
)
def test_who_asks_how_something_is_done_asks_for_code(text: str) -> None:
    assert asked_for(text) == frozenset()


def test_an_older_version_is_known_by_a_newer_one_beside_it() -> None:
    paths = [b"api/v1/a.ts", b"api/v2/a.ts", b"api/v10/a.ts", b"other/v1/a.ts", b"v2.ts"]
    assert older_versions(paths) == {b"api/v1/a.ts", b"api/v2/a.ts"}
    assert versions_in(b"api/v1/a.ts") == {"v1"}
    assert versions_in(b"v2.ts") == frozenset()
    paths = [b"manual/v1.9/a.md", b"manual/v1.10/a.md", b"manual/v1/a.md", b"manual/dev/a.md"]
    assert older_versions(paths) == {b"manual/v1.9/a.md", b"manual/v1/a.md"}
    assert versions_in(b"manual/v1.9/a.md") == {"v1.9"}
    assert versions_asked_for("slices in v1 and 1.9? not 2, nor 10") == {"v1", "v1.9"}

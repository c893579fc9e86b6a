"""Commits found in a history that was read from a real repository."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from codeindexd.analysis.embedding.static import StaticModel
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.tokens import Tokenizer
from codeindexd.indexing import history_requests as requests
from codeindexd.indexing.history_reader import HistoryReader
from codeindexd.search.history.last_commit import last_commits
from codeindexd.search.history.log import CommitSearcher, LogAnswer
from codeindexd.search.history.query import parse_commit_query
from codeindexd.storage.history import HistorySnapshot, HistoryStore, View
from codeindexd.workers.jobs import HistoryJob
from search.history.stored_history import StoredHistory
from support.git_repository import TestRepository
from support.repositories import GitRepositoryForTests

NOW = datetime(2023, 12, 1, tzinfo=UTC)
SESSION = "class Session:\n    def refresh(self):\n        return 1\n\n    def close(self):\n        return 2\n"


def read_into(store: HistoryStore, repo: GitRepositoryForTests, prefix: bytes = b"") -> HistorySnapshot:
    """Read the history of a repository as a worker does, and return it as the history of a root."""
    location = locate(repo.path)
    heads = read_heads(location)
    repository = requests.Repository.of(location, heads)
    reader = HistoryReader(Tokenizer(), mask_secrets=True)

    def ask(request: requests.Request) -> requests.Answer:
        result = reader.answer(HistoryJob(1, b"", requests.encode(request), 0))
        assert not result.error
        return requests.decode_answer(result.answer)

    walk = ask(requests.WalkRequest(repository, 1000))
    assert isinstance(walk, requests.WalkAnswer)
    read = ask(requests.ReadRequest(repository, walk.ids))
    assert isinstance(read, requests.ReadAnswer)
    assert read.errors == {}
    numbers = store.add(read.commits)
    ids = requests.split_ids(walk.ids)
    view = View(
        root="r",
        git_dir=b"",
        common_dir=b"",
        top=b"",
        prefix=prefix,
        signature=b"",
        base=b"",
        tips=heads.tips,
        branch="main",
        wanted=len(ids),
        is_complete=True,
    )
    store.set_view(view, np.array([numbers[one] for one in ids], dtype=np.int32))
    found = store.snapshot("r")
    assert found is not None
    return found


@pytest.fixture(scope="module")
def searcher() -> CommitSearcher:
    return CommitSearcher(StaticModel.load().embed)


@pytest.fixture
def repo(tmp_path: Path) -> GitRepositoryForTests:
    repo = GitRepositoryForTests(tmp_path / "code")
    repo.commit("Add sessions\n\nUsers stay logged in for a day.", {"web/session.py": SESSION})
    repo.commit(
        "Expire cookies after an hour (#41)\n\nStolen cookies were valid too long.\nSee the security report.",
        {"web/session.py": SESSION.replace("return 1", "return 3600")},
    )
    numbers = {"lib/parse.py": "def number(text):\n    return int(text)\n"}
    repo.commit("Parse numbers faster", numbers, GIT_AUTHOR_NAME="Émile")
    repo.commit("Remove the old template engine", {"lib/engine.py": "x = 1\n"})
    repo.git("checkout", "-q", "-b", "topic")
    closed = SESSION.replace("return 1", "return 3600").replace("return 2", "return 0")
    repo.commit("Close sessions\n\nThis reverts nothing.", {"web/session.py": closed})
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "Merge branch 'topic' about sessions and cookies", "topic")
    return repo


@pytest.fixture
def snapshot(tmp_path: Path, repo: GitRepositoryForTests) -> Iterator[HistorySnapshot]:
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    yield read_into(store, repo)
    store.close()


@pytest.fixture
def ask(searcher: CommitSearcher, snapshot: HistorySnapshot) -> Ask:
    return Ask(searcher, snapshot)


class Ask:
    """Asks questions and returns subjects."""

    def __init__(self, searcher: CommitSearcher, snapshot: HistorySnapshot) -> None:
        self._searcher = searcher
        self._snapshot = snapshot

    def answer(self, text: str, limit: int = 10) -> LogAnswer:
        query = parse_commit_query(text, now=NOW)
        return self._searcher.log(self._snapshot, query, limit, now=NOW.timestamp)

    def __call__(self, text: str, limit: int = 10) -> list[str]:
        return [hit.commit.subject for hit in self.answer(text, limit).hits]


def test_without_a_query_the_newest_come_first(ask: Ask) -> None:
    assert ask("", 3) == [
        "Merge branch 'topic' about sessions and cookies",
        "Close sessions",
        "Remove the old template engine",
    ]
    assert ask.answer("").searched == 6


def test_questions_find_commits_by_words_and_meaning(ask: Ask) -> None:
    assert ask("why do cookies expire")[0] == "Expire cookies after an hour (#41)"
    assert ask("when was the template engine removed")[0] == "Remove the old template engine"
    assert ask("speed up reading integers")[0] == "Parse numbers faster"


def test_version_numbers_are_compared_as_a_whole(tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    for number in ("2.1.0", "2.1.1", "2.0.1", "2.1.10", "1.2.1", "12.1.1", "2.1.1.dev", "2.1.1-rc.1", "2.1.2"):
        repo.commit(f"release version {number}", {"CHANGES": f"{number}\n", "src/version.py": f"v = '{number}'\n"})
    repo.commit("Keep cookies of 2.1.0 valid", {"src/cookies.py": "def valid():\n    return True\n"})
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    ask = Ask(searcher, read_into(store, repo))
    for question in ("release version {}", "{}", "v{}", "when was {} released", "the {} release."):
        for number in ("2.1.1", "2.0.1", "1.2.1", "2.1.1-rc.1"):
            assert ask(question.format(number))[0] == f"release version {number}"
    assert ask("cookies of an old release are no longer valid in 2.1.0")[0] == "Keep cookies of 2.1.0 valid"
    store.close()


def test_a_question_that_is_a_subject_finds_it_first(tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    for subject in (
        "Update the change log of levels",
        'Revert "Update the change log."',
        "Update change log",
        "[docs] Update the change log (#12)",
        "The change log: update the log of the change",
    ):
        repo.commit(subject, {f"src/{len(subject)}.py": f"log = '{subject}'\n"})
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    ask = Ask(searcher, read_into(store, repo))
    assert ask("update the change log")[0] == "[docs] Update the change log (#12)"
    assert ask("Update change log.")[0] == "Update change log"
    store.close()


def test_filters_restrict_and_need_no_words(ask: Ask) -> None:
    assert ask("author:emile") == ["Parse numbers faster"]
    assert ask("author:ada@example.org path:lib/**") == ["Remove the old template engine", "Parse numbers faster"]
    assert ask("path:web -touches:Session.close") == ["Expire cookies after an hour (#41)"]
    assert ask("#41") == ["Expire cookies after an hour (#41)"]
    assert ask("touches:refresh") == ["Expire cookies after an hour (#41)", "Add sessions"]
    assert ask("touches:Session -author:emile") == [
        "Close sessions",
        "Expire cookies after an hour (#41)",
        "Add sessions",
    ]
    assert ask("since:2023-11-20") == []
    assert len(ask("until:2023-11-20")) == 6
    assert ask("sessions author:nobody") == []
    assert len(ask("author:emile author:ada")) == 6  # by either
    assert len(ask("author:emile author:ada -author:emile")) == 5


def test_path_filters_are_those_of_a_search(tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    decomposed = unicodedata.normalize("NFD", "docs/f\u00fcr.md")  # as macOS writes names
    for path in ("web/a.py", "web.py", "web-old/a.py", "web0/a.py", "lib/web/b.py", decomposed):
        repo.commit(f"Add {path}", {path: "x = 1\n"})
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    snapshot = read_into(store, repo)

    def found(query: str) -> set[str]:
        answer = searcher.log(snapshot, parse_commit_query(query, now=NOW), 10)
        return {hit.commit.subject.removeprefix("Add ") for hit in answer.hits}

    assert found("path:web/**") == {"web/a.py"}
    assert found("path:/web") == {"web/a.py"}
    assert found("path:web/a.py") == {"web/a.py"}
    assert found("path:web") == {"web/a.py", "lib/web/b.py"}
    assert found("path:web*/**") == {"web/a.py", "web-old/a.py", "web0/a.py"}
    assert found("path:docs/f\u00fcr.md") == {decomposed}
    assert found("-path:**/*.py") == {decomposed}
    store.close()


def test_phrases_and_regexes_match_letter_by_letter(ask: Ask) -> None:
    assert ask('"valid too long"') == ["Expire cookies after an hour (#41)"]
    assert ask('"valid  TOO long. see"') == ["Expire cookies after an hour (#41)"]  # across lines
    assert ask("/^Users .* day/") == ["Add sessions"]
    assert ask('path:web/** -"stolen cookies" -/^Users/') == ["Close sessions"]


def test_ids_find_one_commit(ask: Ask, repo: GitRepositoryForTests) -> None:
    commit_id = repo.head("HEAD~1").hex()
    assert ask(commit_id) == ask(commit_id[:8]) == ["Remove the old template engine"]
    assert ask(f"{commit_id[:10]} author:emile") == []


def test_hits_show_matching_lines_and_paths(ask: Ask) -> None:
    hit = ask.answer("stolen cookies security").hits[0]
    assert hit.lines == ("Stolen cookies were valid too long.", "See the security report.")
    assert [change.path for change in hit.changes] == [b"web/session.py"]
    assert len(hit.short_id) >= 7


def test_paths_that_a_filter_asks_for_are_shown_first(tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "code")
    repo.commit("Add all", {f"src/{name}.py": "x = 1\n" * (9 - len(name)) for name in ("a", "bb", "ccc", "dddd")})
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    ask = Ask(searcher, read_into(store, repo))
    for query in ("path:src/dddd.py", "all path:dddd.py"):
        assert ask.answer(query).hits[0].changes[0].path == b"src/dddd.py"
    assert ask.answer("all").hits[0].changes[0].path == b"src/a.py"
    store.close()


def test_a_name_may_have_more_in_front_than_the_history_knows(tmp_path: Path, searcher: CommitSearcher) -> None:
    """Such as its package, which a search shows."""
    repo = GitRepositoryForTests(tmp_path / "code")
    java = "package com.shop;\n\nclass Cart {\n    int total(int a) {\n        return a;\n    }\n}\n"
    repo.commit("Add carts", {"src/Cart.java": java, "src/Box.java": java.replace("Cart", "Box")})
    repo.commit("Sum up", {"src/Cart.java": java.replace("return a", "return a + 1")})
    store = HistoryStore.open_or_rebuild(tmp_path / "store", fingerprint="f", dimensions=256)
    ask = Ask(searcher, read_into(store, repo))
    assert ask("touches:com.shop.Cart.total") == ask("touches:Cart.total") == ["Sum up", "Add carts"]
    assert ask("touches:com.shop.Box") == ask("touches:Box") == ["Add carts"]
    assert ask("touches:com.shop.Tin.total") == []
    (note,) = ask.answer("touches:com.shop.Cart.total").notes
    assert note == "the history knows com.shop.Cart.total as Cart.total; others of this name count as well"
    assert ask.answer("touches:Cart.total").notes == []
    store.close()


def test_words_that_no_commit_has_are_said(ask: Ask) -> None:
    answer = ask.answer("zyzzyva quux_flurb")
    assert answer.notes == ["no commit has any of these words; the closest in meaning are shown"]
    for text in ("cookies", "zyzzyva cookies", "session.py", "refresh", "template", "zyzzyva author:nobody"):
        assert ask.answer(text).notes == []


def test_an_unknown_definition_is_said(ask: Ask) -> None:
    answer = ask.answer("touches:Missing.name")
    assert answer.hits == []
    assert answer.notes == ["no commit touches a definition called Missing.name"]


def test_an_issue_and_an_id_that_nothing_has_are_said(ask: Ask) -> None:
    assert ask.answer("#987654").notes == ["no commit names #987654"]
    assert ask.answer("0123456").notes == ["no commit has an id that begins with 0123456"]
    assert ask.answer("12").notes == ["no commit has this word; the closest in meaning are shown"]


def test_a_repository_without_commits_is_said(tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "unborn")
    store = HistoryStore.open_or_rebuild(tmp_path / "store-unborn", fingerprint="f", dimensions=256)
    answer = Ask(searcher, read_into(store, repo)).answer("anything")
    assert (answer.hits, answer.notes) == ([], ["the repository has no commits yet"])
    store.close()


def test_words_of_the_diff_count(ask: Ask, tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "other")
    repo.commit("Tidy", {"a.py": "x = 1\n"})
    repo.commit("Bump", {"CHANGES.rst": "The zebra option of the server is gone.\n"})
    store = HistoryStore.open_or_rebuild(tmp_path / "another", fingerprint="f", dimensions=256)
    assert Ask(searcher, read_into(store, repo))("zebra option")[0] == "Bump"
    store.close()


def test_commits_of_tests_and_documents_come_after_those_of_code_unless_they_are_asked_for(
    tmp_path: Path, searcher: CommitSearcher
) -> None:
    repo = GitRepositoryForTests(tmp_path / "beside")
    repo.commit("Draw charts", {"chart.py": "x = 1\n"})
    repo.commit("Round prices in shop", {"shop/prices.py": "x = 1\n", "tests/test_prices.py": "x = 1\n"})
    repo.commit("Round prices in docs", {"docs/prices.md": "1\n"})
    repo.commit("Round prices in tests", {"tests/test_prices.py": "x = 2\n"})
    store = HistoryStore.open_or_rebuild(tmp_path / "beside-store", fingerprint="f", dimensions=256)
    ask = Ask(searcher, read_into(store, repo))
    assert ask("round prices")[0] == "Round prices in shop"
    assert ask("when were rounded prices tested")[0] == "Round prices in tests"
    assert ask("round prices in docs")[0] == "Round prices in docs"
    store.close()


def test_names_of_touched_definitions_say_what_a_commit_does(tmp_path: Path, searcher: CommitSearcher) -> None:
    repo = GitRepositoryForTests(tmp_path / "named")
    test = "def test_null_bytes_in_uploaded_names():\n    assert True\n"
    repo.commit("Crash on bad input", {"a.py": "x = 1\n", "tests/test_a.py": test})
    for number in range(3):
        repo.commit(f"Crash of uploaded names {number}", {"b.py": f"x = {number}\n"})
    store = HistoryStore.open_or_rebuild(tmp_path / "named-store", fingerprint="f", dimensions=256)
    assert Ask(searcher, read_into(store, repo))("crash with null bytes in uploaded names")[0] == "Crash on bad input"
    store.close()


def test_what_a_commit_changes_outweighs_a_message_with_fewer_of_the_words(
    tmp_path: Path, searcher: CommitSearcher
) -> None:
    repo = GitRepositoryForTests(tmp_path / "changed")
    repo.commit("Draw charts", {"chart.py": "x = 1\n"})
    note = "The zebra option of the server closes idle sockets.\n"
    repo.commit("Tidy", {"CHANGES.rst": note, "zebra.py": "x = 1\n"})
    repo.commit("Sockets", {"a.py": "x = 1\n"})
    store = HistoryStore.open_or_rebuild(tmp_path / "changed-store", fingerprint="f", dimensions=256)
    assert Ask(searcher, read_into(store, repo))("zebra server sockets idle")[0] == "Tidy"
    store.close()


def test_a_root_below_the_top_sees_its_own_commits(
    searcher: CommitSearcher, repo: GitRepositoryForTests, tmp_path: Path
) -> None:
    store = HistoryStore.open_or_rebuild(tmp_path / "below", fingerprint="f", dimensions=256)
    ask = Ask(searcher, read_into(store, repo, b"lib/"))
    assert ask("") == ["Remove the old template engine", "Parse numbers faster"]
    assert set(ask("cookies sessions")) <= set(ask(""))
    assert ask("path:parse.py") == ["Parse numbers faster"]
    store.close()


def test_similar_commits(searcher: CommitSearcher, snapshot: HistorySnapshot) -> None:
    best, score = searcher.similar(snapshot, "cookies expire", 3, now=NOW.timestamp)[0]
    assert snapshot.commits([best])[best].subject == "Expire cookies after an hour (#41)"
    assert score > 0.5
    assert searcher.similar(snapshot, "?!", 3) == []


def test_last_commits_of_definitions_and_files(snapshot: HistorySnapshot) -> None:
    places = [
        (b"web/session.py", "Session.refresh"),
        (b"web/session.py", "Session.close"),
        (b"web/session.py", ""),
        (b"lib/parse.py", "unknown"),
        (b"not/committed.py", "number"),
    ]
    found = last_commits(snapshot, places)
    assert [one and (one.commit.subject, one.of_definition) for one in found] == [
        ("Expire cookies after an hour (#41)", True),
        ("Close sessions", True),
        ("Close sessions", False),
        ("Parse numbers faster", False),
        None,
    ]


def test_a_regex_is_compared_with_each_line_of_a_message(tmp_path: Path) -> None:
    """Whole messages are searched at once, unless the pattern says where a text begins or ends."""
    made = TestRepository(tmp_path / "r")
    messages = [
        "first line\n\nneedle at the start",
        "a needle inside\n\nsecond",
        "caf\u00e9 needle\n\nlast needle",
        "none",
    ]
    for number, message in enumerate(messages):
        made.commit({"a.py": f"x = {number}\n"}, message)
    history = StoredHistory(made, tmp_path / "store")

    def found(query: str) -> list[str]:
        with history.snapshot() as snapshot:
            parsed = parse_commit_query(query, now=NOW)
            return [hit.commit.message.strip() for hit in CommitSearcher(None).log(snapshot, parsed, 10).hits][::-1]

    assert found("/needle/") == messages[:3]
    assert found("/^needle/") == found(r"/\Aneedle/") == messages[:1]
    assert found("/needle$/") == found(r"/needle\z/") == messages[2:3]
    assert found("/line.needle|inside.*second/") == []
    assert found(r"/caf\w needle/") == messages[2:3]
    assert found("-/needle/") == messages[3:]
    assert found('"NEEDLE   inside"') == messages[1:2]
    assert found('"start a"') == []
    history.close()

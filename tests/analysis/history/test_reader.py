"""Records of commits, compared with what ``git log`` says of repositories made by the test."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from codeindexd.analysis.history.changes import changes_of
from codeindexd.analysis.history.location import locate
from codeindexd.analysis.history.reader import read_commit
from codeindexd.analysis.history.record import Change, ChangeKind, Commit
from codeindexd.analysis.history.refs import read_heads
from codeindexd.analysis.history.repository import GitRepository, NotComparableError
from codeindexd.daemon.commit_entries import date_of
from codeindexd.errors import MissingObjectError
from support.repositories import GitRepositoryForTests

PYTHON = """\
class Client:
    def get(self):
        return 1

    def put(self):
        return 2


def main():
    pass
"""


def opened(path: Path, *branches: str) -> GitRepository:
    location = locate(path)
    return GitRepository(location, read_heads(location, branches))


def walked(repository: GitRepository, limit: int = 10_000) -> list[bytes]:
    return repository.walk(repository.heads.tips, limit=limit).ids


def record(repo: GitRepositoryForTests, commit_id: bytes | None = None) -> Commit:
    return read_commit(opened(repo.path), commit_id or repo.head())


def as_git_says(repo: GitRepositoryForTests, commit_id: bytes) -> dict[bytes, tuple[str, bytes, int, int]]:
    """Return (kind, former path, added, removed) by path from ``git log``, -1 for lines of binary files."""
    output = repo.git("log", "-1", "-M", "--raw", "--numstat", "-z", "--format=%n", commit_id.hex())
    words = output.lstrip(b"\n\0").split(b"\0")
    kinds: dict[bytes, tuple[str, bytes]] = {}
    counts: dict[bytes, tuple[int, int]] = {}
    at = 0
    while at < len(words) and words[at]:
        word = words[at].lstrip(b"\n")
        if word.startswith(b":"):
            kind = word.split()[4][:1].decode()
            renamed = kind == "R"
            kinds[words[at + 1 + renamed]] = kind, words[at + 1] if renamed else b""
            at += 2 + renamed
        else:
            added, removed, path = word.split(b"\t", 2)
            both = (-1, -1) if added == b"-" else (int(added), int(removed))
            counts[path or words[at + 2]] = both
            at += 1 if path else 3
    return {path: (*kinds[path], *counts[path]) for path in kinds}


def as_we_say(commit: Commit) -> dict[bytes, tuple[str, bytes, int, int]]:
    return {c.path: (c.kind.value, c.old_path, c.added, c.removed) for c in commit.changes}


@pytest.fixture
def repo(tmp_path: Path) -> GitRepositoryForTests:
    return GitRepositoryForTests(tmp_path / "code")


def test_people_dates_and_message(repo: GitRepositoryForTests) -> None:
    commit_id = repo.commit("Add client\n\nIt gets.\nAnd puts.\n\nReviewed-by: Grace\nFixes: #12\n", {"a.py": PYTHON})
    commit = record(repo)
    assert commit.id == commit_id
    assert (commit.author.name, commit.author.email) == ("Ada Lovelace", "ada@example.org")
    assert (commit.committer.name, commit.committer.email) == ("Charles Babbage", "charles@example.org")
    assert commit.author_time == commit.commit_time == int(repo.git("log", "-1", "--format=%ct"))
    assert commit.author_offset == 90
    assert (commit.subject, commit.body) == ("Add client", "It gets.\nAnd puts.")
    assert commit.trailers == [("Reviewed-by", "Grace"), ("Fixes", "#12")]
    assert commit.references == [12]


def test_kinds_counts_and_renames_are_those_of_git(repo: GitRepositoryForTests) -> None:
    text = "".join(f"line {number}\n" for number in range(40))
    repo.commit("first", {"keep.txt": text, "gone.txt": "x\n", "old/name.py": text, "pic.png": b"\0\1", "sh": "a\n"})
    changed = text.replace("line 7\n", "line seven\nand more\n")
    repo.commit(
        "second",
        {
            "gone.txt": None,
            "old/name.py": None,
            "new/name.py": changed,
            "keep.txt": changed,
            "pic.png": b"\0\2",
            "n": "1",
        },
    )
    (repo.path / "sh").unlink()
    (repo.path / "sh").symlink_to("keep.txt")
    repo.commit("third")
    (repo.path / "n").chmod(0o755)
    repo.commit("fourth")
    for commit_id in repo.log():
        assert as_we_say(read_commit(opened(repo.path), commit_id)) == as_git_says(repo, commit_id)
    kinds = {change.kind for one in repo.log() for change in read_commit(opened(repo.path), one).changes}
    assert kinds == set(ChangeKind)


def test_a_moved_directory_is_renames(repo: GitRepositoryForTests) -> None:
    repo.commit(
        "first", {f"a/f{n}.txt": f"{n}\n" * 30 for n in range(30)} | {f"b/g{n}.txt": "same\n" for n in range(5)}
    )
    repo.git("mv", "a", "c")
    repo.git("mv", "b", "d")
    repo.write("c/f3.txt", "3\n" * 29 + "x\n")
    commit_id = repo.commit("second")
    assert as_we_say(record(repo)) == as_git_says(repo, commit_id)


def test_merges_have_parents_and_no_changes(repo: GitRepositoryForTests) -> None:
    repo.commit("base", {"a": "1\n"})
    for branch in ("one", "two", "three"):
        repo.git("checkout", "-q", "-b", branch, "main")
        repo.commit(branch, {branch: "x\n"})
    repo.git("checkout", "-q", "main")
    repo.git("merge", "-q", "--no-ff", "-m", "Merge pull request #7 from x/one", "one")
    merge = record(repo)
    assert (len(merge.parents), merge.changes, merge.references) == (2, (), [7])
    repo.git("merge", "-q", "--no-ff", "-m", "octopus", "two", "three")
    assert len(record(repo).parents) == 3
    assert walked(opened(repo.path)) == repo.log()


def test_the_order_is_that_of_git_log_also_with_odd_dates(repo: GitRepositoryForTests) -> None:
    for number, date in enumerate((500, 100, 900, 300, 300, 200)):
        repo.git("checkout", "-q", "-B", f"b{number}") if number % 2 else None
        repo.commit(str(number), GIT_COMMITTER_DATE=f"{1_600_000_000 + date} +0000")
    assert walked(opened(repo.path)) == repo.log()


def test_empty_commits_and_messages(repo: GitRepositoryForTests) -> None:
    repo.commit("")
    assert (record(repo).message, record(repo).subject, record(repo).changes) == ("", "", ())


def test_messages_and_paths_that_are_not_utf8(repo: GitRepositoryForTests) -> None:
    repo.write(b"caf\xe9.txt", "x\n")
    repo.commit("Gr\u00fc\u00dfe".encode("latin-1"))
    commit = record(repo)
    assert commit.message == "Gr\u00fc\u00dfe"
    assert [change.path for change in commit.changes] == [b"caf\xe9.txt"]
    repo.git("config", "i18n.commitEncoding", "koi8-r")
    repo.commit("\u043f\u0440\u0438\u0432\u0435\u0442".encode("koi8-r"))
    assert record(repo).message == "\u043f\u0440\u0438\u0432\u0435\u0442"


def test_secrets_in_messages_are_masked(repo: GitRepositoryForTests) -> None:
    token = "ghp_" + "0123456789abcdefghijklmnopqrstuvwxYZ"
    repo.commit(f"Use {token}")
    assert token not in record(repo).message
    assert record(repo).message.startswith("Use ****")


def test_definitions_that_hunks_touch(repo: GitRepositoryForTests) -> None:
    def definitions() -> dict[bytes, tuple[str, ...]]:
        return {change.path: change.definitions for change in record(repo).changes}

    repo.commit("first", {"a.py": PYTHON, "b.txt": "def not_code():\n"})
    assert definitions() == {b"a.py": ("Client", "Client.get", "Client.put", "main"), b"b.txt": ()}
    repo.commit("second", {"a.py": PYTHON.replace("return 2", "return 3")})
    assert definitions() == {b"a.py": ("Client.put",)}
    removed = PYTHON.replace("    def put(self):\n        return 2\n\n", "")
    repo.commit("third", {"a.py": removed})
    assert definitions() == {b"a.py": ("Client.put",)}
    repo.commit("fourth", {"a.py": None})
    assert definitions() == {b"a.py": ("Client", "Client.get", "main")}


def test_replaced_and_grafted_commits(repo: GitRepositoryForTests) -> None:
    first = repo.commit("first", {"a": "1\n"})
    second = repo.commit("second", {"a": "2\n"})
    repo.commit("third", {"a": "3\n"})
    repo.git("replace", "--graft", second.hex())
    assert walked(opened(repo.path)) == repo.log()
    assert first not in walked(opened(repo.path))
    repo.git("replace", "-d", second.hex())
    repo.write(".git/info/grafts", f"{repo.head().hex()} {first.hex()}\n")
    assert walked(opened(repo.path)) == repo.log()
    assert second not in walked(opened(repo.path))


def test_notes_change_nothing(repo: GitRepositoryForTests) -> None:
    repo.commit("first", {"a": "1\n"})
    repo.git("notes", "add", "-m", "a note")
    assert walked(opened(repo.path, "*")) == repo.log()


def test_submodules_are_paths(repo: GitRepositoryForTests, tmp_path: Path) -> None:
    inner = GitRepositoryForTests(tmp_path / "inner")
    inner.commit("inner", {"x": "1\n"})
    repo.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(inner.path), "sub")
    added = repo.commit("add submodule")
    assert as_we_say(record(repo, added)) == as_git_says(repo, added)
    assert walked(opened(repo.path / "sub")) == inner.log()
    repo.git("mv", "sub", "vendor")
    moved = repo.commit("move submodule")
    assert (ChangeKind.RENAMED, b"vendor", b"sub") in [
        (change.kind, change.path, change.old_path) for change in record(repo, moved).changes
    ]
    assert as_we_say(record(repo, moved)) == as_git_says(repo, moved)
    inner.commit("more", {"x": "2\n"})
    repo.git("-C", "vendor", "pull", "-q")
    repo.git("mv", "vendor", "other")
    moved = repo.commit("move and update submodule")
    assert as_we_say(record(repo, moved)) == as_git_says(repo, moved)


def test_packed_objects_and_references(repo: GitRepositoryForTests) -> None:
    for number in range(5):
        repo.commit(str(number), {"a": f"{number}\n"})
    repo.git("gc", "-q")
    assert walked(opened(repo.path)) == repo.log()


def test_alternates(repo: GitRepositoryForTests, tmp_path: Path) -> None:
    repo.commit("first", {"a": "1\n"})
    repo.git("clone", "-q", "--shared", str(repo.path), str(tmp_path / "clone"))
    assert walked(opened(tmp_path / "clone")) == repo.log()


def test_a_shallow_clone_ends_at_its_boundary(repo: GitRepositoryForTests, tmp_path: Path) -> None:
    for number in range(5):
        repo.commit(str(number), {"a": f"{number}\n"})
    repo.git("clone", "-q", "--depth", "2", f"file://{repo.path}", str(tmp_path / "clone"))
    repository = opened(tmp_path / "clone")
    walk = repository.walk(repository.heads.tips, limit=100)
    assert walk.ids == repo.log("-2")
    assert walk.is_shallow
    assert read_commit(repository, walk.ids[-1]).changes == ()  # what it changed is not known


def test_a_partial_clone_counts_nothing_and_fetches_nothing(repo: GitRepositoryForTests, tmp_path: Path) -> None:
    repo.git("config", "uploadpack.allowFilter", "true")
    first = repo.commit("first", {"a.py": PYTHON})
    repo.commit("second", {"a.py": "x = 1\n"})
    clone = tmp_path / "clone"
    repo.git("clone", "-q", "--bare", "--filter=blob:none", f"file://{repo.path}", str(clone))
    repository = opened(clone)
    blob = bytes.fromhex(repo.git("rev-parse", f"{first.hex()}:a.py").decode().strip())
    assert read_commit(repository, first).changes == (Change(b"a.py", ChangeKind.ADDED, -1, -1),)
    with pytest.raises(MissingObjectError):
        repository.blob(blob)


def test_a_missing_commit_ends_the_history_there(repo: GitRepositoryForTests) -> None:
    first = repo.commit("first", {"a": "1\n"})
    repo.commit("second", {"a": "2\n"})
    (repo.path / ".git" / "objects" / first.hex()[:2] / first.hex()[2:]).unlink()
    repository = opened(repo.path)
    walk = repository.walk(repository.heads.tips, limit=100)
    assert (walk.ids, walk.missing) == ([repo.head()], 1)


def test_branches_on_request(repo: GitRepositoryForTests) -> None:
    repo.commit("first", {"a": "1\n"})
    repo.git("checkout", "-q", "-b", "release/1")
    repo.commit("fix", {"a": "2\n"})
    repo.git("checkout", "-q", "-b", "topic", "main")
    repo.commit("topic", {"a": "3\n"})
    repo.git("checkout", "-q", "main")
    repo.git("pack-refs", "--all")
    assert walked(opened(repo.path)) == repo.log()
    assert walked(opened(repo.path, "release/*")) == repo.log("main", "release/1")
    assert walked(opened(repo.path, "*")) == repo.log("--branches")


def test_the_newest_commits_only(repo: GitRepositoryForTests) -> None:
    for number in range(5):
        repo.commit(str(number))
    repository = opened(repo.path)
    walk = repository.walk(repository.heads.tips, limit=3)
    assert (walk.ids, walk.is_truncated) == (repo.log("-3"), True)


def test_the_difference_of_two_heads(repo: GitRepositoryForTests) -> None:
    repo.commit("base", {"a": "1\n"})
    repo.git("checkout", "-q", "-b", "other")
    old = [repo.commit(f"old {n}", {"a": f"o{n}\n"}) for n in range(3)]
    repo.git("checkout", "-q", "main")
    new = [repo.commit(f"new {n}", {"b": f"n{n}\n"}) for n in range(2)]
    added, removed = opened(repo.path).difference([new[-1]], [old[-1]], limit=100)
    assert (added, removed) == (new[::-1], old[::-1])
    assert opened(repo.path).difference([new[-1]], [new[0]], limit=100) == ([new[1]], [])


def test_grafts_that_make_a_circle_end_every_walk(repo: GitRepositoryForTests) -> None:
    first = repo.commit("first", {"a": "1\n"})
    second = repo.commit("second", {"a": "2\n"})
    repo.write(".git/info/grafts", f"{first.hex()} {second.hex()}\n")
    repository = opened(repo.path)
    assert set(walked(repository)) == {first, second}
    assert repository.first_ancestor(second) == min(first, second)
    with pytest.raises(NotComparableError):
        repository.difference([second], [first], limit=100)


def test_a_commit_older_than_its_parent_is_not_compared(repo: GitRepositoryForTests) -> None:
    first = repo.commit("first")
    future = repo.commit("future", GIT_COMMITTER_DATE="@4000000000 +0000")
    last = repo.commit("last")
    with pytest.raises(NotComparableError):
        opened(repo.path).difference([last], [future], limit=100)
    assert opened(repo.path).difference([future], [first], limit=100) == ([future], [])


def made(repo: GitRepositoryForTests, header: bytes, message: bytes = b"made\n") -> bytes:
    """Store a commit object as it stands, and return its id."""
    tree = repo.git("rev-parse", "HEAD^{tree}").strip()
    data = b"tree %s\n%s\n%s" % (tree, header, message)
    return bytes.fromhex(
        repo.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", data=data).decode().strip()
    )


def test_renames_are_found_before_a_list_of_changes_is_cut(repo: GitRepositoryForTests) -> None:
    """A directory with very many files is at two places in the list, sorted by path."""
    stream = [b"blob\nmark :1\ndata 0\n\n"]
    for number, action in ((2, b"M 100644 :1 old/%d/same\nM 100644 :1 old/%d/file%d\n"), (3, b"R old new\n")):
        stream.append(
            b"commit refs/heads/main\nmark :%d\ncommitter A <a@x> %d +0000\ndata 1\nc\n"
            % (number, 1_700_000_000 + number)
        )
        if number == 2:
            stream += [action % (place, place, place) for place in range(6000)]
        else:
            stream += [b"from :2\n", action]
    repo.git("fast-import", "--quiet", "--force", data=b"".join(stream))
    changes, left_out = changes_of(opened(repo.path), opened(repo.path).commit(repo.head()))
    assert (len(changes), left_out) == (10_000, 2000)
    assert {change.kind for change in changes} == {ChangeKind.RENAMED}
    for change in changes[:50]:
        assert change.old_path == change.path.replace(b"new/", b"old/") or change.path.endswith(b"/same")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32-le", "cp037", "unicode_escape", "punycode", "../x", "hex", ""])
def test_encodings_that_no_commit_can_have(repo: GitRepositoryForTests, encoding: str) -> None:
    repo.commit("first", {"a": "1\n"})
    people = "author J\u00f6rg <j@x> 1700000000 +0100\ncommitter J\u00f6rg <j@x> 1700000000 +0100\n".encode()
    commit_id = made(repo, people + b"encoding %s\n" % encoding.encode(), "One \\x41 f\u00fcr alle\n".encode())
    found = record(repo, commit_id)
    assert (found.author.name, found.subject) == ("J\u00f6rg", "One \\x41 f\u00fcr alle")


@pytest.mark.parametrize("encoding", ["raw_unicode_escape", "utf-7", "latin-1", "rot13", "no such"])
def test_any_encoding_gives_text_that_can_be_stored(repo: GitRepositoryForTests, encoding: str) -> None:
    repo.commit("first")
    people = b"author \\ud800 +2AA- <a> 1 +0000\ncommitter B <b> 1 +0000\n"
    commit_id = made(repo, b"%sencoding %s\n" % (people, encoding.encode()), b"half \\udfff +2AA-\n")
    for mask_secrets in (True, False):
        found = read_commit(opened(repo.path), commit_id, mask_secrets=mask_secrets)
        assert (found.author.name + found.message).encode()


def test_a_date_of_thousands_of_digits_is_no_date(repo: GitRepositoryForTests) -> None:
    repo.commit("first")
    commit_id = made(repo, b"author A <a> %s +0000\ncommitter B <b> 5 +0100\n" % (b"9" * 5000))
    found = record(repo, commit_id)
    assert (found.author_time, found.commit_time, found.commit_offset) == (0, 5, 60)


def test_a_commit_with_a_parent_that_is_no_id_is_missing(repo: GitRepositoryForTests) -> None:
    repo.commit("first")
    wrong = made(repo, b"parent zz\nauthor A <a> 1 +0000\ncommitter B <b> 1 +0000\n")
    repository = opened(repo.path)
    with pytest.raises(MissingObjectError):
        repository.commit(wrong)
    walk = repository.walk([wrong], limit=9)
    assert (walk.ids, walk.missing) == ([], 1)


ODD_DATES = [
    "1099511627776 +0000", "253402300799 +0000", "253402300800 +0000", "67767976233532799 +0000", "99999999999 +0530",
    "4611686018427387904 +0000", "9223372036854775806 +0000", "99999999999999999999999 +0000", "0 +0000", "7 -0000",
    "5 +0000", "12622780800 +0100",
]  # fmt: skip


@pytest.mark.parametrize("date", ODD_DATES)
def test_odd_dates_are_shown_as_git_does(repo: GitRepositoryForTests, date: str) -> None:
    repo.commit("first")
    commit_id = made(repo, b"author A <a> %s\ncommitter B <b> %s\n" % (date.encode(), date.encode()))
    found = record(repo, commit_id)
    shown = date_of(found.author_time, found.author_offset), date_of(found.commit_time, found.commit_offset)
    of_git = repo.git("log", "-1", "--format=%aI %cI", commit_id.hex()).decode().split()
    assert list(shown) == [text.replace("Z", "+00:00") for text in of_git]


def test_commits_with_odd_dates_are_ordered_as_git_does(repo: GitRepositoryForTests) -> None:
    """A negative date is no date to git, and the latest one as long as it does not show it."""
    first = repo.commit("first", GIT_COMMITTER_DATE="@100 +0000")
    dates = [*ODD_DATES[:7], "-5 +0000", "5 +0000", "200 +0000"]
    for number, date in enumerate(dates):
        header = b"parent %s\nauthor A <a> 1 +0000\ncommitter B <b> %s\n" % (first.hex().encode(), date.encode())
        repo.git("branch", f"b{number}", made(repo, header).hex())
    assert walked(opened(repo.path, "*")) == repo.log("--all")


def test_a_name_of_blanks_takes_linear_time(repo: GitRepositoryForTests) -> None:
    repo.commit("first")
    commit_id = made(repo, b"author A" + b"\t" * 300_000 + b"\ncommitter B \t <b> 5 +0100\n")
    began = time.process_time()
    assert record(repo, commit_id).committer.name == "B"
    assert time.process_time() - began < 3

"""The main promises, through the real daemon and its real socket."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analysis.embedding.embedding_server import EmbeddingServer
from support.daemons import RealDaemon, real_daemon, until
from support.trees import tree


def paths_of(answer: dict[str, Any]) -> list[str]:
    return [hit["path"] for hit in answer["hits"]]


def add(daemon: RealDaemon, root: Path) -> dict[str, Any]:
    entry: dict[str, Any] = daemon.call("roots.add", path=str(root), wait=True)["roots"][0]
    assert entry["state"] == "fresh"
    return entry


def search(daemon: RealDaemon, query: str, **params: Any) -> dict[str, Any]:
    return daemon.call("search", query=query, **params)


def test_a_root_is_indexed_and_answers(daemon: RealDaemon, project: Path) -> None:
    added = add(daemon, project)
    assert added["files"] == 6
    answer = search(daemon, "polite greeting for a name")
    best = answer["hits"][0]
    assert (best["root"], best["path"]) == (str(project), "greeter/hello.py")
    assert (best["start_line"], best["language"], best["verified"]) == (1, "python", True)
    text = (project / best["path"]).read_bytes()[best["start_byte"] : best["end_byte"]].decode()
    assert text == best["snippet"]
    assert answer["state"] == "fresh"
    assert answer["dense_coverage"] == 1.0
    assert not {"build/generated.py", "debug.log", ".env"} & set(paths_of(answer))


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("lang:go greet", ["greeter/server.go"]),
        ("path:tests/** greet", ["tests/test_hello.py"]),
        ("-path:**/*.py -path:*.md -path:.gitignore greet", ["greeter/server.go"]),
        ("symbol:translate_greeting", ["greeter/hello.py"]),
        ('"many languages"', ["README.md"]),
        ("greet /Listen\\w+Greet/", ["greeter/server.go"]),
    ],
)
def test_filters_narrow_the_answer(daemon: RealDaemon, project: Path, query: str, expected: list[str]) -> None:
    add(daemon, project)
    assert sorted(set(paths_of(search(daemon, query)))) == expected


@pytest.mark.parametrize(
    ("query", "options", "expected"),
    [
        ("greet", ["--lang", "Golang"], ["greeter/server.go"]),
        ("symbol:translate_greeting", ["--lang", "py", "--kind", "Function"], ["greeter/hello.py"]),
        ("/Listen\\w+Greet/", ["--path", "*.go"], ["greeter/server.go"]),
    ],
)
def test_options_narrow_the_answer_as_filters_do(
    daemon: RealDaemon, project: Path, query: str, options: list[str], expected: list[str]
) -> None:
    add(daemon, project)
    done = daemon.run("search", query, *options, "--files", cwd=project)
    assert (done.returncode, done.stdout.split()) == (0, expected), done.stderr


def test_the_only_word_of_a_question_is_found_before_its_look_alikes(daemon: RealDaemon, tmp_path: Path) -> None:
    rooms = ["kitchen", "bathroom", "cellar", "attic", "hall", "garage", "study", "bedroom", "pantry", "library"]
    warm = "\n\n".join(
        f"def warm_{room}(temperature, radiator):\n    return radiator.heat(temperature, {number})\n"
        for number, room in enumerate(rooms)
    )
    bill = "def charge(account, amount):\n    # insulation is paid in advance\n    return account.balance - amount\n"
    root = tree(tmp_path / "house", {"radiators.py": warm * 3, "billing.py": bill})
    daemon.call("roots.add", path=str(root), wait=True)
    hits = daemon.call("search", query="insulation")["hits"]
    assert hits[0]["path"] == "billing.py"
    assert len(hits) > 1


def test_every_kind_of_save_is_searchable_after_sync(daemon: RealDaemon, project: Path) -> None:
    add(daemon, project)
    target = project / "greeter/hello.py"

    target.write_text("def farewell_quietly():\n    return 'bye'\n")
    assert paths_of(search(daemon, "farewell_quietly", sync=True))[0] == "greeter/hello.py"
    assert "Good day" not in str(search(daemon, "greet_politely")["hits"])

    fresh = project / "greeter/.hello.py.swp~"
    fresh.write_text("def welcome_back():\n    return 'again'\n")
    fresh.replace(target)
    answer = search(daemon, "welcome_back", sync=True)
    assert answer["hits"][0]["symbol"] == "welcome_back"
    assert all("farewell" not in hit["snippet"] for hit in search(daemon, "farewell_quietly")["hits"])

    target.unlink()
    assert "greeter/hello.py" not in paths_of(search(daemon, "welcome_back", sync=True))

    (project / "a/b/c").mkdir(parents=True)
    (project / "a/b/c/deep.py").write_text("def deep_below():\n    pass\n")
    assert paths_of(search(daemon, "deep_below", sync=True))[0] == "a/b/c/deep.py"

    (project / "a").rename(project / "z")
    assert paths_of(search(daemon, "deep_below", sync=True))[0] == "z/b/c/deep.py"


def test_the_state_of_an_answer_after_a_sync_is_true(daemon: RealDaemon, project: Path) -> None:
    """A second look at files that were just saved is no reason to say that the index is behind."""
    add(daemon, project)
    client = daemon.client()
    states = []
    for number in range(40):
        (project / "greeter/hello.py").write_text(f"def greeting_number_{number}(): pass\n")
        client.call("sync", path=str(project))
        answer = client.call("search", query=f"greeting_number_{number}", roots=[str(project)]).result
        assert f"greeting_number_{number}(" in answer["hits"][0]["snippet"]
        states.append(answer["state"])
    assert states == ["fresh"] * 40


@pytest.fixture
def with_endpoint() -> Iterator[RealDaemon]:
    """A daemon whose model is slow, so that its vectors are stored."""
    with EmbeddingServer() as server:
        model = f'[embedding]\nmodel = "{server.url}/v1#model=some&dimensions=16"\n'
        with real_daemon(f"{model}[workers]\nnice = 0\n") as daemon:
            yield daemon


def test_a_branch_switch_and_back_embeds_nothing_twice(with_endpoint: RealDaemon, project: Path) -> None:
    daemon = with_endpoint

    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.invalid", *arguments],
            cwd=project,
            check=True,
            capture_output=True,
        )

    git("init", "-b", "main")
    git("add", ".")
    git("commit", "-m", "one")
    add(daemon, project)
    until(lambda: pending(daemon) == 0, what="the vectors of the first branch")
    git("checkout", "-b", "other")
    (project / "greeter/hello.py").write_text("def only_on_the_other_branch():\n    pass\n")
    git("commit", "-am", "two")
    assert paths_of(search(daemon, "only_on_the_other_branch", sync=True))[0] == "greeter/hello.py"
    until(lambda: pending(daemon) == 0, what="all vectors")
    before = embedded(daemon)
    for branch, word in (("main", "greet_politely"), ("other", "only_on_the_other_branch")):
        git("checkout", branch)
        assert any(word in hit["snippet"] for hit in search(daemon, word, sync=True)["hits"])
        until(lambda: pending(daemon) == 0, what="the vectors from the store")
    assert before > 0
    assert embedded(daemon) == before


def pending(daemon: RealDaemon) -> int:
    return sum(root["pending_vectors"] for root in daemon.call("status")["roots"])


def embedded(daemon: RealDaemon) -> int:
    """Return how many chunks a model was run on for the present roots since the daemon started."""
    lines = daemon.call("metrics")["text"].splitlines()
    return sum(int(line.split()[-1]) for line in lines if line.startswith("codeindexd_chunks_embedded_total"))


def test_kill_and_restart_answers_at_once_and_catches_up(daemon: RealDaemon, project: Path) -> None:
    add(daemon, project)
    daemon.kill()
    (project / "greeter/hello.py").write_text("def written_while_dead():\n    pass\n")
    daemon.start()
    assert "greeter/server.go" in paths_of(search(daemon, "ListenAndGreet"))
    assert paths_of(search(daemon, "written_while_dead", sync=True))[0] == "greeter/hello.py"
    assert daemon.call("verify")["ok"]


def test_a_kill_in_the_middle_of_a_cold_start_loses_nothing(daemon: RealDaemon, tmp_path: Path) -> None:
    root = tmp_path / "many"
    for number in range(400):
        place = root / f"p{number % 20}" / f"m{number}.py"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(f"def function_number_{number}(argument):\n    return argument + {number}\n" * 5)
    daemon.call("roots.add", path=str(root))
    until(lambda: daemon.call("status")["roots"][0]["files"] > 0, what="the first committed files")
    daemon.kill()
    daemon.start()
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="fresh")
    assert daemon.call("status")["roots"][0]["files"] == 400
    (found,) = daemon.call("verify")["roots"]
    checked = [found[f"{things}_checked"] for things in ("files", "chunks", "vectors")]
    assert (checked, found["differences"]) == ([400, 400, 400], [])


def test_status_and_explain_say_what_was_skipped_and_why(daemon: RealDaemon, project: Path) -> None:
    (project / "image.bin").write_bytes(bytes(range(256)) * 8)
    (project / "huge.py").write_text("x = 1\n" * 500_000)
    add(daemon, project)
    skipped = daemon.call("status")["roots"][0]["skipped"]
    assert skipped["sensitive"] == 1
    assert skipped["oversized"] == 1
    assert skipped["ignored"] == 2
    for name, reason, rule in [
        ("build", "ignored", ".gitignore:1: build/"),
        ("debug.log", "ignored", ".gitignore:2: *.log"),
        ("build/generated.py", "ignored", ".gitignore:1: build/"),
        (".env", "sensitive", None),
        ("huge.py", "oversized", None),
    ]:
        explained = daemon.call("explain", path=str(project / name))
        assert (explained["indexed"], explained["reason"]) == (False, reason), name
        if rule:
            assert explained["rule"] == rule
    explained = daemon.call("explain", path=str(project / "greeter/hello.py"))
    assert explained["indexed"]
    assert explained["language"] == "python"
    assert [chunk["symbol"] for chunk in explained["chunks"]]


def test_an_empty_root_is_fine_and_fills(daemon: RealDaemon, tmp_path: Path) -> None:
    root = tmp_path / "empty"
    root.mkdir()
    assert add(daemon, root)["files"] == 0
    assert search(daemon, "anything")["hits"] == []
    (root / "first.py").write_text("def first_of_all(): pass\n")
    assert paths_of(search(daemon, "first_of_all", sync=True)) == ["first.py"]


def test_a_root_that_goes_away_is_missing_and_comes_back(daemon: RealDaemon, project: Path) -> None:
    add(daemon, project)
    aside = project.with_name("aside")
    project.rename(aside)
    until(lambda: daemon.call("status")["roots"][0]["state"] == "missing", what="missing")
    assert daemon.call("status")["roots"][0]["files"] == 6, "nothing is forgotten"
    aside.rename(project)
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="fresh")
    shutil.rmtree(project)
    project.mkdir()
    (project / "new.py").write_text("def after_recreation(): pass\n")
    until(lambda: paths_of(search(daemon, "after_recreation")) == ["new.py"], what="the recreated root's file")
    assert daemon.call("verify")["ok"]


def test_a_root_that_was_moved_is_added_with_its_index(daemon: RealDaemon, project: Path, tmp_path: Path) -> None:
    before = add(daemon, project)
    now = tmp_path / "workspace/renamed"
    now.parent.mkdir()
    project.rename(now)
    (now / "new.py").write_text("def written_after_the_move(): pass\n")
    until(lambda: daemon.call("status")["roots"][0]["state"] == "missing", what="missing")
    refused = daemon.client().call("search", query="greet", roots=[str(now / "greeter")])["error"]
    assert refused["message"] == f"{now / 'greeter'} is not indexed at this place: {now} was {project}"
    assert refused["data"]["hint"] == f"take its index along: codeindex add {now}"
    moved = add(daemon, now)
    assert (moved["id"], moved["path"]) == (before["id"], str(now))
    assert [root["path"] for root in daemon.call("roots.list")["roots"]] == [str(now)]
    assert daemon.call("status")["roots"][0]["stages"]["read"]["items"] == 1, "only the new file was processed"
    assert paths_of(search(daemon, "written_after_the_move"))[0] == "new.py"
    assert daemon.call("verify")["ok"]
    (now / "new.py").write_text("def changed_after_the_move(): pass\n")
    assert paths_of(search(daemon, "changed_after_the_move", sync=True))[0] == "new.py"


def test_a_missing_root_says_so_and_holds_up_no_other(daemon: RealDaemon, project: Path, tmp_path: Path) -> None:
    other = tree(tmp_path / "other", {"other.py": "def greet_politely_again(): pass\n"})
    add(daemon, project)
    add(daemon, other)
    project.rename(tmp_path / "aside")
    until(lambda: daemon.call("status", path=str(project))["roots"][0]["state"] == "missing", what="missing")
    says = f"{project} is missing: there is no such directory"
    problem = daemon.call("status", path=str(project))["roots"][0]["problems"][0]
    assert problem == {
        "message": says,
        "hint": f"bring it back, add it at its new place, or delete its index: codeindex remove {project}",
    }
    alone = {"roots": [str(project)]}
    assert daemon.call("search", query="greet_politely", **alone)["notes"] == [says]
    assert daemon.call("grep", pattern="greet_politely", **alone)["notes"] == [says]
    for method in ("sync", "reindex", "verify"):
        assert daemon.client().call(method, path=str(project))["error"]["message"] == says
    assert daemon.call("sync")["clock"]
    for method, params in (("search", {"query": "greet_politely_again"}), ("grep", {"pattern": "greet_politely_"})):
        answer = daemon.call(method, sync=True, **params)
        assert [one["path"] for one in answer.get("hits") or answer["matches"]] == ["other.py"]
        assert answer["notes"] == [says]
    verified = daemon.call("verify")
    assert verified["ok"]
    assert {root["path"]: root.get("not_verified") for root in verified["roots"]} == {
        str(project): says,
        str(other): None,
    }


def test_children_are_covered_and_parents_absorb(with_endpoint: RealDaemon, project: Path) -> None:
    daemon = with_endpoint
    add(daemon, project / "greeter")
    until(lambda: pending(daemon) == 0, what="the vectors of the child")
    again = daemon.call("roots.add", path=str(project / "greeter"), wait=True)
    assert again["already_covered"]
    add(daemon, project)
    until(lambda: [root["path"] for root in daemon.call("roots.list")["roots"]] == [str(project)], what="absorption")
    until(lambda: pending(daemon) == 0, what="all vectors")
    assert embedded(daemon) == 3, "only .gitignore, README.md and the test were new"
    covered = daemon.call("roots.add", path=str(project / "tests"), wait=True)
    assert covered["already_covered"]
    assert covered["roots"][0]["path"] == str(project)
    daemon.call("roots.remove", path=str(project))
    assert daemon.call("roots.list") == {"roots": []}
    assert list((daemon.home / "cache/codeindexd/roots").iterdir()) == []


def test_secrets_reach_no_answer(daemon: RealDaemon, project: Path) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    (project / "settings.py").write_text(f"def connect_upstream():\n    return login(token='{token}')\n")
    add(daemon, project)
    answer = search(daemon, "connect_upstream login token")
    assert answer["hits"][0]["path"] == "settings.py"
    assert token not in str(answer)
    assert token not in str(search(daemon, token)["hits"])
    for store in daemon.home.rglob("*"):
        if store.is_file():
            assert token.encode() not in store.read_bytes(), store


def test_files_that_are_not_utf8_named_or_encoded(daemon: RealDaemon, tmp_path: Path) -> None:
    root = tmp_path / "odd"
    root.mkdir()
    Path(os.fsdecode(os.fsencode(root) + b"/caf\xe9.py")).write_bytes("def espresso_doppio(): pass\n".encode("latin-1"))
    (root / "wide.py").write_bytes("def breite_zeichen():\n    return 'ü'\n".encode("utf-16"))
    add(daemon, root)
    hit = search(daemon, "espresso_doppio")["hits"][0]
    assert hit["path"] == "caf\udce9.py"
    assert hit["path_b64"] == "Y2Fm6S5weQ=="
    assert "ü" in search(daemon, "breite_zeichen")["hits"][0]["snippet"]


def test_deleting_the_cache_costs_a_reindex_and_nothing_else(daemon: RealDaemon, project: Path) -> None:
    add(daemon, project)
    shutil.rmtree(daemon.home / "cache/codeindexd")
    (project / "after.py").write_text("def written_after_the_loss(): pass\n")
    until(lambda: "after.py" in str(daemon.call("search", query="written_after_the_loss")["hits"]), what="recovery")
    until(lambda: daemon.call("status")["roots"][0]["state"] == "fresh", what="fresh")
    assert daemon.call("status")["roots"][0]["files"] == 7
    assert daemon.call("verify")["ok"]


def test_stop_is_quick_and_leaves_no_socket(daemon: RealDaemon, project: Path) -> None:
    add(daemon, project)
    assert daemon.stop() == 0
    assert not daemon.socket.exists()
    assert subprocess.run(["pgrep", "-f", str(daemon.home)], capture_output=True, check=False).stdout == b""

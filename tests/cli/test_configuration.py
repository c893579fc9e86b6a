"""The command ``codeindex config``: what applies and why, a file to begin with, and every mistake at once."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from client.fake_daemon import FakeDaemon
from codeindexd.cli.codeindex import run
from codeindexd.cli.terminal import Terminal
from codeindexd.daemon.lock import Lock


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without any file, with a repository in it as the current directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    (tmp_path / "project/.git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path


def config(*words: str, **environ: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = run(["config", *words], environ, Terminal(out, err, environ))
    return code, out.getvalue(), err.getvalue()


def document(*words: str, **environ: str) -> dict[str, Any]:
    return dict(json.loads(config(*words, "--json", **environ)[1]))


def file_of(home: Path, text: str) -> Path:
    path = Path(document("path")["path"])
    assert path.is_relative_to(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_show_says_where_each_value_comes_from(home: Path) -> None:
    path = file_of(
        home, '[index]\n# a comment\nexclude = [\n  "a",\n]\n[embedding]\nmodel = "http://me:pw@host/v1?k=1#m"\n'
    )
    settings = {one["key"]: one for one in document("show", CODEINDEXD_MEMORY_BUDGET_MB="800")["settings"]}
    assert (settings["index.exclude"]["source"], settings["index.exclude"]["line"]) == (str(path), 3)
    assert settings["memory.budget_mb"]["source"] == "CODEINDEXD_MEMORY_BUDGET_MB"
    assert (settings["memory.budget_mb"]["value"], settings["memory.budget_mb"]["default"]) == (800, 400)
    assert settings["watch.debounce_ms"]["source"] is None
    assert settings["embedding.model"]["value"] == "http://...@host/v1?...#m"
    _, out, _ = config("show", CODEINDEXD_MEMORY_BUDGET_MB="800")
    lines = {line.split(" = ")[0]: line.split()[-1] for line in out.splitlines()}
    assert lines["index.exclude"] == "config.toml:3"
    assert lines["memory.budget_mb"] == "CODEINDEXD_MEMORY_BUDGET_MB"
    assert lines["watch.debounce_ms"] == "default"


def test_show_includes_what_the_repository_narrows(home: Path) -> None:
    assert document("show")["root"] is None
    (home / "project/.codeindex.toml").write_text('exclude = ["*.gen.py"]\n')
    assert document("show")["root"]["exclude"] == ["*.gen.py"]
    assert 'exclude = ["*.gen.py"]' in config("show")[1]


def test_init_writes_a_file_that_changes_nothing_and_never_overwrites_one(home: Path) -> None:
    before = document("show")["settings"]
    assert config("init")[0] == 0
    path = Path(document("path")["path"])
    assert path.stat().st_mode & 0o777 == 0o600
    assert document("show")["settings"] == before
    path.write_text("[search]\ndefault_limit = 3\n")
    code, _, err = config("init")
    assert (code, "exists" in err, "--force" in err) == (5, True, True)
    code, _, err = config("init", "--force")
    assert code == 0
    assert Path(err.split()[-1]).read_text() == "[search]\ndefault_limit = 3\n"


def test_init_never_replaces_a_copy(home: Path) -> None:
    path = file_of(home, "# mine\n")
    copies = [document("init", "--force")["before"] for _ in range(3)]
    assert copies == [f"{path}.before", f"{path}.before-2", f"{path}.before-3"]
    assert Path(copies[0]).read_text() == "# mine\n"


def test_init_names_no_copy_of_a_file_that_was_not_there(home: Path) -> None:
    path = file_of(home, "")
    path.unlink()
    path.symlink_to(home / "dotfiles.toml")
    assert document("init", "--force")["before"] is None
    assert "debounce_ms" in (home / "dotfiles.toml").read_text()


def test_init_keeps_a_link_to_a_file_elsewhere(home: Path) -> None:
    path = file_of(home, "")
    path.unlink()
    (home / "dotfiles.toml").write_text("")
    path.symlink_to(home / "dotfiles.toml")
    assert config("init", "--force")[0] == 0
    assert path.is_symlink()
    assert "debounce_ms" in (home / "dotfiles.toml").read_text()


def test_init_says_why_it_cannot_write_through_a_link_to_itself(home: Path) -> None:
    path = file_of(home, "")
    path.unlink()
    path.symlink_to(path.name)
    code, _, err = config("init", "--force")
    assert (code, f"cannot write {path}" in err) == (5, True)


def test_a_file_of_an_editor_on_windows_is_read(home: Path) -> None:
    path = file_of(home, "")
    path.write_bytes(b'\xef\xbb\xbf[watch]\r\npoll = true\r\n\r\n[index]\r\nhidden = "x"\r\n')
    [problem] = document("check")["problems"]
    assert (problem["line"], problem["message"].startswith("[index] hidden: ")) == (5, True)
    path.write_bytes(path.read_bytes().replace(b'"x"', b"true"))
    settings = {one["key"]: (one["value"], one["line"]) for one in document("show")["settings"]}
    assert (settings["watch.poll"], settings["index.hidden"]) == ((True, 2), (True, 5))


def test_check_names_every_mistake_with_its_line_and_remedy(home: Path) -> None:
    path = file_of(home, "watch.debonce_ms = 3\n[index]\nexclude = [\n 'hidden = 1',\n]\nhidden = 1\n[wokers]\n")
    (home / "project/.codeindex.toml").write_text("hidden = true\n")
    code, out, _ = config("check", CODEINDEXD_MEMORY_BUDGET_MB="lots")
    assert code == 2
    assert out.splitlines() == [
        f"{path}:1: [watch] debonce_ms: unknown key",
        "  hint: did you mean debounce_ms?",
        f"{path}:6: [index] hidden: expected true or false, got a whole number: 1",
        "  hint: the default is false",
        f"{path}:7: unknown section [wokers]",
        "  hint: did you mean workers?",
        "CODEINDEXD_MEMORY_BUDGET_MB: expected a whole number from 64 to 100000000, got a string: 'lots'",
        "  hint: the default is 400",
        f"{home}/project/.codeindex.toml: hidden cannot be set for one root",
        "  hint: a root can set only include and exclude; put other settings into config.toml",
    ]
    assert document("check")["problems"][0]["line"] == 1
    code, _, err = config("show")
    assert (code, "codeindex config check" in err) == (2, True)


def test_check_names_the_line_of_a_mistake_in_the_syntax(home: Path) -> None:
    file_of(home, "[watch]\ndebounce_ms = \n")
    assert document("check")["problems"][0]["line"] == 2


def test_check_says_when_all_is_well(home: Path) -> None:
    code, out, _ = config("check")
    assert (code, "does not exist, so every setting has its default" in out) == (0, True)
    path = file_of(home, "[search]\ndefault_limit = 3\n")
    assert config("check")[:2] == (0, f"{path}: correct\n")


def test_check_names_a_model_that_cannot_be_one(home: Path) -> None:
    path = file_of(home, "[embedding]\nmodel = 'bundeld'\n")
    code, out, _ = config("check")
    assert code == 2
    hint = '  hint: did you mean "bundled"?'
    assert out.splitlines() == [f"{path}:2: [embedding] model: bundeld is not a model", hint]
    path.unlink()
    (problem,) = document("check", CODEINDEXD_EMBEDDING_MODEL="http://me:s3cret@/v1")["problems"]
    assert problem["where"] == "CODEINDEXD_EMBEDDING_MODEL"
    assert "s3cret" not in json.dumps(problem)


def test_a_wrong_model_is_named_before_the_daemon_is_stopped(home: Path) -> None:
    file_of(home, "[embedding]\nmodel = '/no/such/directory'\n")
    with FakeDaemon(home / "s") as daemon:
        environ = {"CODEINDEXD_SOCKET": str(daemon.socket_path), "XDG_STATE_HOME": str(home / "state")}
        out, err = io.StringIO(), io.StringIO()
        assert run(["restart"], environ, Terminal(out, err, environ)) == 2
        assert "[embedding] model: /no/such/directory is not a directory" in err.getvalue()
        assert daemon.seen == []


@pytest.mark.parametrize("is_in_file", [True, False])
def test_a_mistake_is_named_before_the_daemon_is_stopped(home: Path, is_in_file: bool) -> None:
    file_of(home, "[search]\ndefault_limit = 'many'\n" if is_in_file else "")
    with FakeDaemon(home / "s") as daemon:
        environ = {"CODEINDEXD_SOCKET": str(daemon.socket_path), "XDG_STATE_HOME": str(home / "state")}
        if not is_in_file:
            environ["CODEINDEXD_SEARCH_DEFAULT_LIMIT"] = "many"
        out, err = io.StringIO(), io.StringIO()
        assert run(["restart"], environ, Terminal(out, err, environ)) == 2
        assert "expected a whole number from 1 to 1000, got a string: 'many'" in err.getvalue()
        assert daemon.seen == []


def test_check_says_that_the_daemon_has_to_be_restarted(home: Path) -> None:
    state = home / "state/codeindexd"
    state.mkdir(parents=True)
    environ = {"XDG_STATE_HOME": str(home / "state")}
    path = file_of(home, "[search]\ndefault_limit = 3\n")
    with Lock(state / "lock"):
        os.utime(state / "lock", ns=(0, path.stat().st_mtime_ns + 1))
        assert document("check", **environ)["needs_restart"] is False
        os.utime(state / "lock", ns=(0, path.stat().st_mtime_ns - 1))
        assert document("check", **environ)["needs_restart"] is True
        assert "codeindex restart" in config("check", **environ)[2]
    assert document("check", **environ)["needs_restart"] is False

"""``codeindex agents`` on files as the agents write them, in a temporary home."""

from __future__ import annotations

import argparse
import io
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from codeindexd.cli.agents import edits, jsonc, options
from codeindexd.cli.agents.command import ALL, Agents
from codeindexd.cli.agents.known_agents import AGENTS, Agent, Format, Places
from codeindexd.cli.terminal import Terminal
from codeindexd.errors import FailedError, UsageError

CLAUDE = """\
{
  "numStartups": 14,
  "tipsHistory": {"shift-enter": 12},
  "mcpServers": {
    "github": {"type": "http", "url": "https://api.githubcopilot.com/mcp/"}
  },
  "projects": {"/home/u/p": {"allowedTools": [], "history": [{"display": "hi // there", "pastedContents": {}}]}}
}"""
CODEX = """\
# my settings
model = "gpt-5"   # the large one

[mcp_servers.context7]
command = "npx"
args = ["-y", "@upstash/context7-mcp"]

[projects."/home/u/p"]
trust_level = "trusted"
"""
CURSOR = '{"mcpServers": {}}\n'
VSCODE = """\
{
\t// servers of mine
\t"servers": {
\t\t"playwright": {
\t\t\t"command": "npx",
\t\t\t"args": ["-y", "@playwright/mcp@latest"], // pinned below
\t\t},
\t},
\t"inputs": [],
}
"""
ZED = """\
// Zed settings
//
// For information on how to configure Zed, see the Zed documentation
{
  "ui_font_size": 16,
  "theme": {
    "mode": "system",
    "light": "One Light",
    "dark": "One Dark",
  },
}
"""
GEMINI = '{\n    "theme": "Default",\n    "selectedAuthType": "oauth-personal"\n}\n'
OPENCODE = (
    '{\n  "$schema": "https://opencode.ai/config.json",\n  "model": "anthropic/claude-sonnet-4-5", // the default\n}\n'
)
CONTINUE = """\
name: Local Assistant
version: 1.0.0
schema: v1
models:
  - name: Claude   # at work
    provider: anthropic
    roles:
      - chat
mcpServers:
  - name: sqlite
    command: uvx
    args: ["mcp-server-sqlite", "--db-path", 'a b.db']
context:
  - provider: code
"""
GOOSE = """\
GOOSE_PROVIDER: anthropic  # or openai
GOOSE_MODEL: "claude-sonnet-4"
extensions:
  developer:
    enabled: true
    type: builtin
    name: developer
    timeout: 300
    bundled: true
# the end
keyring: false
"""
AMP = '{\n  "amp.showCosts": true,\n  "amp.mcpServers": {\n    "a": {"command": "b"}\n  }\n}\n'
CRUSH = '{"$schema": "https://charm.land/crush.json", "lsp": {"go": {"command": "gopls"}}}'
SERVERS = '{\n  "mcpServers": {\n    "other": {\n      "command": "x"\n    }\n  }\n}\n'

FILES: Mapping[str, tuple[str, str]] = {
    "claude-code": (".claude.json", CLAUDE),
    "codex": (".codex/config.toml", CODEX),
    "cursor": (".cursor/mcp.json", CURSOR),
    "vscode": (".config/Code/User/mcp.json", VSCODE),
    "zed": (".config/zed/settings.json", ZED),
    "gemini-cli": (".gemini/settings.json", GEMINI),
    "opencode": (".config/opencode/opencode.jsonc", OPENCODE),
    "windsurf": (".codeium/windsurf/mcp_config.json", SERVERS),
    "cline": (".cline/data/settings/cline_mcp_settings.json", SERVERS),
    "roo": (".config/Code/User/globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json", SERVERS),
    "continue": (".continue/config.yaml", CONTINUE),
    "goose": (".config/goose/config.yaml", GOOSE),
    "amp": (".config/amp/settings.json", AMP),
    "crush": (".config/crush/crush.json", CRUSH),
    "kiro": (".kiro/settings/mcp.json", SERVERS),
    "jetbrains": (".junie/mcp/mcp.json", SERVERS),
}
BY_NAME = {agent.name: agent for agent in ALL}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CONFIG_HOME", "CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path


def agents(*words: str, out: io.StringIO | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    options.add_arguments(parser)
    environ = {"PATH": ""}
    return Agents(parser.parse_args(words), environ, Terminal(out or io.StringIO(), io.StringIO(), environ)).run()


def written(home: Path, name: str) -> Path:
    """Write the file of an agent, and return it."""
    place, text = FILES[name]
    file = home / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def lines_kept(before: str, after: str) -> bool:
    """Return True if every line of ``before`` is still there, in order, but for commas at their ends."""
    left = iter(line.strip().rstrip(",{} ") for line in after.splitlines())
    return all(line.strip().rstrip(",{} ") in left for line in before.splitlines())


def test_every_client_is_known_to_the_options_and_has_a_sample() -> None:
    assert set(FILES) == {agent.name for agent in AGENTS}
    assert len(AGENTS) == 16
    for agent in ALL:
        assert agent.name in options.HELP.replace("\n", " ")
        assert agent.docs.startswith("https://")


@pytest.mark.parametrize("name", FILES)
def test_installing_keeps_the_rest_and_uninstalling_restores_the_file(home: Path, name: str) -> None:
    file = written(home, name)
    before = file.read_bytes()
    (done,) = agents("install", name, "--yes")["changes"]
    assert (done["outcome"], done["path"]) == ("installed", str(file))
    assert Path(done["backup"]).read_bytes() == before
    after = file.read_text()
    assert "codeindex" in after
    assert lines_kept(before.decode(), after) or name in {"crush", "cursor"}  # written in one line
    assert [one["outcome"] for one in agents("install", name, "--yes")["changes"]] == ["unchanged"]
    assert file.read_text() == after
    (done,) = agents("uninstall", name, "--yes")["changes"]
    assert done["outcome"] == "removed"
    assert file.read_bytes() == before
    assert agents("uninstall", name, "--yes")["changes"][0]["outcome"] == "unchanged"


@pytest.mark.parametrize("name", FILES)
def test_after_other_changes_only_our_entry_is_removed(home: Path, name: str) -> None:
    file = written(home, name)
    agents("install", name, "--yes")
    changed = "\n" + file.read_text()
    file.write_text(changed)
    agents("uninstall", name, "--yes")
    assert "codeindex" not in file.read_text()
    assert file.read_text()
    assert agents("list", name)["agents"][0]["installed"] is False


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_does_not_exist_is_made_and_removed_again(home: Path, name: str) -> None:
    (done,) = agents("install", name, "--yes")["changes"]
    file = Path(done["path"])
    assert "codeindex" in file.read_text()
    assert "backup" not in done
    agents("uninstall", name, "--yes")
    assert [path.name for path in home.iterdir()] == ["state"]


def test_directories_that_were_there_stay(home: Path) -> None:
    (home / ".cursor").mkdir()
    agents("install", "cursor", "--yes")
    agents("uninstall", "cursor", "--yes")
    assert (home / ".cursor").is_dir()


@pytest.mark.parametrize("agent", [one for one in AGENTS if one.project_file], ids=lambda one: str(one.name))
def test_a_project_gets_its_own_settings(home: Path, agent: Agent) -> None:
    project = home / "p"
    project.mkdir()
    agents("install", agent.name, "--yes", "--project", str(project))
    text = (project / agent.project_file).read_text()
    assert str(home) not in text  # the file is shared with others
    assert agents("list", agent.name, "--project", str(project))["agents"][0]["installed"]
    agents("uninstall", agent.name, "--yes", "--project", str(project))
    assert list(project.iterdir()) == []


def test_the_entries_have_the_form_that_each_client_documents(home: Path) -> None:
    for name in FILES:
        written(home, name)
    agents("install", "--yes")
    plain = {"command": "codeindex", "args": ["mcp"]}
    read = {name: (home / place).read_text() for name, (place, _) in FILES.items()}

    def of(text: str) -> Any:
        return jsonc.entry(text, ())

    def command(entry: dict[str, Any]) -> dict[str, Any]:
        return {
            key: Path(one).name if key in {"command", "cmd"} and isinstance(one, str) else one
            for key, one in entry.items()
        }

    assert command(of(read["claude-code"])["mcpServers"]["codeindex"]) == {"type": "stdio", **plain}
    assert command(tomllib.loads(read["codex"])["mcp_servers"]["codeindex"]) == plain
    assert command(of(read["cursor"])["mcpServers"]["codeindex"]) == plain
    assert command(of(read["vscode"])["servers"]["codeindex"]) == {"type": "stdio", **plain}
    assert command(of(read["zed"])["context_servers"]["codeindex"]) == {**plain, "env": {}}
    assert of(read["opencode"])["mcp"]["codeindex"]["type"] == "local"
    assert of(read["opencode"])["mcp"]["codeindex"]["command"][1:] == ["mcp"]
    assert command(of(read["amp"])["amp.mcpServers"]["codeindex"]) == plain
    assert command(of(read["crush"])["mcp"]["codeindex"]) == {"type": "stdio", **plain}
    assert "  - name: codeindex\n    command: " in read["continue"]
    assert "  codeindex:\n    enabled: true\n    type: stdio\n" in read["goose"]
    assert all(agent["installed"] for agent in agents("list")["agents"] if agent["name"] in FILES)


def test_only_what_is_found_is_changed_without_names(home: Path) -> None:
    with pytest.raises(FailedError, match="no coding agent was found"):
        agents("install", "--yes")
    written(home, "zed")
    (home / ".gemini").mkdir()
    assert [one["name"] for one in agents("install", "--yes")["changes"]] == ["zed", "gemini-cli"]
    assert [one["name"] for one in agents("uninstall", "--yes")["changes"]] == ["zed", "gemini-cli"]


def test_a_diff_is_shown_and_nothing_is_made_without_agreement(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(home, "zed")
    out = io.StringIO()
    assert agents("install", "zed", "--dry-run", out=out)["changes"][0]["outcome"] == "not made"
    assert f"--- {file}" in out.getvalue()
    assert '+  "context_servers": {' in out.getvalue()

    class Answer(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Answer("n\n"))
    assert agents("install", "zed")["changes"][0]["outcome"] == "not made"
    assert file.read_text() == ZED
    monkeypatch.setattr("sys.stdin", Answer("y\n"))
    assert agents("install", "zed")["changes"][0]["outcome"] == "installed"
    monkeypatch.setattr("sys.stdin", io.StringIO())
    with pytest.raises(UsageError, match="without a terminal"):
        agents("uninstall", "zed")


def test_a_file_that_cannot_be_read_is_left_alone(home: Path) -> None:
    file = written(home, "cursor")
    file.write_text('{"mcpServers": ')
    with pytest.raises(FailedError, match=r"Cursor: .*mcp\.json: line 1 is not valid JSON"):
        agents("install", "cursor", "--yes")
    assert file.read_text() == '{"mcpServers": '
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(FailedError, match="is not UTF-8"):
        agents("install", "cursor", "--yes")


def test_a_file_that_cannot_be_read_does_not_keep_others_from_being_changed(home: Path) -> None:
    written(home, "codex").write_text("broken")
    cursor = written(home, "cursor")
    changes = agents("install", "--yes")["changes"]
    assert {one["name"]: one["outcome"] for one in changes} == {"codex": "failed", "cursor": "installed"}
    assert "not valid TOML" in changes[0]["error"]
    assert jsonc.entry(cursor.read_text(), BY_NAME["cursor"].path) is not None


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cursor", "[" * 100_000),
        ("cursor", '{"a": ' * 100_000),
        ("goose", "[" * 500),
        ("codex", "a = " + "[" * 100_000),
    ],
)
def test_a_file_that_is_nested_too_deeply_is_an_error(home: Path, name: str, text: str) -> None:
    file = written(home, name)
    file.write_text(text)
    with pytest.raises(FailedError):
        agents("install", name, "--yes")
    assert file.read_text() == text
    assert [one["installed"] for one in agents("list", name)["agents"]] == [False]


@pytest.mark.parametrize(
    ("text", "message"),
    [("extensions: []\n", "extensions has the wrong type"), ("- a\n", "the top is not a mapping")],
)
def test_a_list_where_a_mapping_belongs_is_an_error(home: Path, text: str, message: str) -> None:
    file = written(home, "goose")
    file.write_text(text)
    with pytest.raises(FailedError, match=message):
        agents("install", "goose", "--yes")
    assert file.read_text() == text


def test_servers_in_an_inline_table_get_an_inline_table(home: Path) -> None:
    file = written(home, "codex")
    before = 'mcp_servers = { a = { command = "b" } }\n'
    file.write_text(before)
    agents("install", "codex", "--yes")
    servers = tomllib.loads(file.read_text())["mcp_servers"]
    assert servers["a"] == {"command": "b"}
    assert servers["codeindex"]["args"] == ["mcp"]
    agents("uninstall", "codex", "--yes")
    assert file.read_text() == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("codex", 'mcp_servers.a.command = "b"\nmodel = "x"\n\n[tui]\na = 1\n'),
        ("codex", '[mcp_servers.a]\ncommand = "b"\n\n[[x]]\na = 1\n\n[mcp_servers.c]\ncommand = "d"\n# last\n'),
        ("goose", "# nothing yet\n"),
        ("goose", "---\nextensions:\n  a: {enabled: true}\n...\n"),
    ],
    ids=["dotted keys", "scattered tables", "only comments", "marks of the document"],
)
def test_every_form_of_a_file_gets_an_entry_and_nothing_else(home: Path, name: str, text: str) -> None:
    file = written(home, name)
    file.write_text(text)
    agents("install", name, "--yes")
    assert lines_kept(text, file.read_text())
    assert edits.entry_in(file.read_text(), BY_NAME[name]) is not None
    assert agents("install", name, "--yes")["changes"][0]["outcome"] == "unchanged"
    agents("uninstall", name, "--yes")
    assert file.read_text() == text


def test_an_entry_of_codex_is_removed_with_its_lines(home: Path) -> None:
    file = written(home, "codex")
    agents("install", "codex", "--yes")
    file.write_text(file.read_text() + "\n# of mine\n[tui]\na = 1\n")
    agents("uninstall", "codex", "--yes")
    assert file.read_text() == CODEX + "\n# of mine\n[tui]\na = 1\n"


def test_an_edit_that_would_change_more_than_the_entry_is_not_made(home: Path) -> None:
    file = written(home, "goose")
    before = "x: &shared\n  q: 1\nextensions: *shared\n"
    file.write_text(before)
    with pytest.raises(FailedError, match=r"extensions\.codeindex cannot be added without changing other settings"):
        agents("install", "goose", "--yes")
    assert file.read_text() == before


def test_a_mistake_in_yaml_is_located(home: Path) -> None:
    written(home, "goose").write_text("extensions:\n\ta: b\n")
    with pytest.raises(FailedError, match="not valid YAML in line 2: found character"):
        agents("install", "goose", "--yes")


def test_a_symlink_to_a_file_that_was_made_stays(home: Path) -> None:
    link, target = home / ".cursor/mcp.json", home / "dotfiles/mcp.json"
    link.parent.mkdir()
    link.symlink_to(target)
    agents("install", "cursor", "--yes")
    assert target.exists()
    agents("uninstall", "cursor", "--yes")
    assert link.is_symlink()
    assert not target.exists()


def test_line_ends_modes_and_symlinks_are_kept(home: Path) -> None:
    target = home / "dotfiles/mcp.json"
    target.parent.mkdir()
    target.write_bytes(SERVERS.replace("\n", "\r\n").encode())
    target.chmod(0o600)
    link = home / ".cursor/mcp.json"
    link.parent.mkdir()
    link.symlink_to(target)
    agents("install", "cursor", "--yes")
    text = target.read_bytes()
    assert link.is_symlink()
    assert text.count(b"\r\n") == text.count(b"\n") > 10
    assert target.stat().st_mode & 0o777 == 0o600
    agents("uninstall", "cursor", "--yes")
    assert target.read_bytes() == SERVERS.replace("\n", "\r\n").encode()


def test_an_entry_of_an_older_version_is_replaced(home: Path) -> None:
    file = written(home, "cursor")
    file.write_text('{"mcpServers": {"codeindex": {"command": "/old/codeindex", "args": ["mcp"]}}}\n')
    assert agents("install", "cursor", "--yes", "--add")["changes"][0]["outcome"] == "installed"
    assert json.loads(file.read_text())["mcpServers"]["codeindex"]["args"] == ["mcp", "--add"]
    agents("uninstall", "cursor", "--yes")
    assert json.loads(file.read_text()) == {"mcpServers": {}}


def test_installing_twice_still_undoes_to_the_beginning(home: Path) -> None:
    file = written(home, "zed")
    agents("install", "zed", "--yes")
    agents("install", "zed", "--yes", "--add")
    agents("uninstall", "zed", "--yes")
    assert file.read_text() == ZED


def test_instructions_are_installed_on_request(home: Path) -> None:
    (home / ".claude").mkdir()
    (home / "AGENTS.md").write_text("# House rules\n\nBe kind.\n")
    assert "agents-md" not in {one["name"] for one in agents("install", "--yes", "--project", str(home))["changes"]}
    agents("install", "agents-md", "--yes", "--project", str(home))
    text = (home / "AGENTS.md").read_text()
    assert text.startswith("# House rules\n\nBe kind.\n\n<!-- codeindex: begin -->\n## Finding code\n")
    (home / "AGENTS.md").write_text(f"{text}\n## More\n")
    agents("uninstall", "agents-md", "--yes", "--project", str(home))
    assert (home / "AGENTS.md").read_text() == "# House rules\n\nBe kind.\n\n\n## More\n".replace("\n\n\n", "\n\n")
    agents("install", "skill", "--yes")
    skill = (home / ".claude/skills/codeindex/SKILL.md").read_text()
    assert skill.startswith("---\nname: codeindex\ndescription: ")
    assert (home / ".agents/skills/codeindex/SKILL.md").read_text() == skill
    agents("uninstall", "skill", "--yes")
    assert not list(home.glob(".*/skills/codeindex"))
    with pytest.raises(UsageError, match="no settings for all projects"):
        agents("install", "agents-md", "--yes")
    with pytest.raises(UsageError, match="no settings for a single project"):
        agents("install", "goose", "--yes", "--project", str(home))


def test_an_unknown_name_is_corrected(home: Path) -> None:
    with pytest.raises(UsageError) as error:
        agents("install", "claude-cod")
    assert error.value.hint == "did you mean claude-code?"
    with pytest.raises(UsageError, match="cannot ask"):
        agents("install", "zed", "--json")


def test_macos_keeps_settings_of_vs_code_elsewhere(tmp_path: Path) -> None:
    places = Places(tmp_path, {}, is_mac=True)
    assert BY_NAME["vscode"].files(places, None) == (tmp_path / "Library/Application Support/Code/User/mcp.json",)
    assert BY_NAME["zed"].files(places, None) == (tmp_path / ".config/zed/settings.json",)
    assert BY_NAME["zed"].format is Format.JSON


def test_through_uvx_a_client_runs_uvx(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = ("/usr/bin/uvx", "--from", "codeindexd", "codeindex")
    monkeypatch.setattr("codeindexd.cli.installed_by.runner", lambda: runner)
    agents("install", "cursor", "--add", "--yes")
    entry = json.loads((home / ".cursor/mcp.json").read_text())["mcpServers"]["codeindex"]
    assert (entry["command"], entry["args"]) == (runner[0], [*runner[1:], "mcp", "--add"])
    project = home / "p"
    project.mkdir()
    agents("install", "cursor", "--yes", "--project", str(project))
    assert "uvx" not in (project / ".cursor/mcp.json").read_text()  # the file is shared with others

"""The coding agents that can be set up: where each keeps its servers, and how an entry looks there.

Each location and form is from the agent's own documentation, which ``docs`` names.
"""

from __future__ import annotations

import enum
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "codeindex"


class Format(enum.Enum):
    """The format of a configuration file."""

    JSON = "JSON"  # with comments and trailing commas
    TOML = "TOML"
    YAML = "YAML"
    YAML_LIST = "YAML list"  # the entry is an item of a list, and has a name
    BLOCK = "Markdown block"
    WHOLE = "whole file"


@dataclass(frozen=True)
class Places:
    """The directories from which locations are computed."""

    home: Path
    environ: Mapping[str, str]
    is_mac: bool = sys.platform == "darwin"

    @property
    def config(self) -> Path:
        """The directory for configuration, on macOS too: command line programs use it there."""
        given = self.environ.get("XDG_CONFIG_HOME", "")
        return Path(given) if given.startswith("/") else self.home / ".config"

    @property
    def applications(self) -> Path:
        """The directory in which VS Code and its relatives keep their settings."""
        return self.home / "Library/Application Support" if self.is_mac else self.config

    def given(self, variable: str, default: Path) -> Path:
        """Return the directory in an environment variable, else ``default``."""
        value = self.environ.get(variable, "")
        return Path(value) if value.startswith("/") else default


Command = tuple[str, ...]
Entry = Callable[[Command], Any]
UserFiles = Callable[[Places], tuple[Path, ...]]


@dataclass(frozen=True)
class Agent:
    """A coding agent. ``user_files`` returns the files it may use for all projects, the first by default.

    ``project_file`` is relative to a project, "" if there are no settings for a single project. ``traces`` are paths
    that exist where the agent was used, ``programs`` its programs. ``template`` and ``project_template`` are the
    beginnings of new files. With ``only_if_named``, it is set up only if the user names it.
    """

    name: str
    title: str
    docs: str
    format: Format
    path: tuple[str, ...]
    entry: Entry
    user_files: UserFiles
    project_file: str = ""
    traces: UserFiles = lambda places: ()
    programs: tuple[str, ...] = ()
    template: str = ""
    project_template: str = ""
    only_if_named: bool = False

    def files(self, places: Places, project: Path | None) -> tuple[Path, ...]:
        """Return the files to edit; for the user those whose directory exists, or else the first."""
        if project is not None:
            return (project / self.project_file,) if self.project_file else ()
        files = self.user_files(places)
        if self.format is Format.WHOLE:
            return files
        return tuple(file for file in files if file.parent.is_dir()) or files[:1]

    def is_found(self, places: Places) -> bool:
        """Return True if the agent seems to be installed, or to have been used."""
        return any(trace.exists() for trace in self.traces(places)) or any(
            shutil.which(program, path=places.environ.get("PATH", "")) for program in self.programs
        )


def _plain(command: Command) -> dict[str, Any]:
    return {"command": command[0], "args": list(command[1:])}


def _stdio(command: Command) -> dict[str, Any]:
    return {"type": "stdio", **_plain(command)}


def _with_environment(command: Command) -> dict[str, Any]:
    return {**_plain(command), "env": {}}


def _opencode(command: Command) -> dict[str, Any]:
    return {"type": "local", "command": list(command), "enabled": True}


def _goose(command: Command) -> dict[str, Any]:
    return {
        "enabled": True,
        "type": "stdio",
        "name": NAME,
        "description": "Search the code of the project",
        "cmd": command[0],
        "args": list(command[1:]),
        "envs": {},
        "timeout": 300,
    }


def _named(command: Command) -> dict[str, Any]:
    return {"name": NAME, **_plain(command)}


def _first_existing(*files: Path) -> tuple[Path, ...]:
    """Return the file that exists, else the first: where a program reads one of several names."""
    return (next((file for file in files if file.exists()), files[0]),)


_VSCODES = ("Code", "Code - Insiders", "VSCodium")


def _vscode_files(places: Places, below: str) -> tuple[Path, ...]:
    return tuple(places.applications / name / "User" / below for name in _VSCODES)


_CLINE = "globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
_ROO = "globalStorage/rooveterinaryinc.roo-cline/settings/mcp_settings.json"
_CONTINUE_HEAD = "name: Local\nversion: 0.0.1\nschema: v1\n"

AGENTS: tuple[Agent, ...] = (
    Agent(
        name="claude-code",
        title="Claude Code",
        docs="https://code.claude.com/docs/en/mcp",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=_stdio,
        user_files=lambda places: (places.given("CLAUDE_CONFIG_DIR", places.home) / ".claude.json",),
        project_file=".mcp.json",
        traces=lambda places: (places.home / ".claude.json", places.home / ".claude"),
        programs=("claude",),
    ),
    Agent(
        name="codex",
        title="Codex",
        docs="https://developers.openai.com/codex/mcp",
        format=Format.TOML,
        path=("mcp_servers", NAME),
        entry=_plain,
        user_files=lambda places: (places.given("CODEX_HOME", places.home / ".codex") / "config.toml",),
        project_file=".codex/config.toml",
        traces=lambda places: (places.given("CODEX_HOME", places.home / ".codex"),),
        programs=("codex",),
    ),
    Agent(
        name="cursor",
        title="Cursor",
        docs="https://cursor.com/docs/context/mcp",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=_plain,
        user_files=lambda places: (places.home / ".cursor/mcp.json",),
        project_file=".cursor/mcp.json",
        traces=lambda places: (places.home / ".cursor",),
        programs=("cursor", "cursor-agent"),
    ),
    Agent(
        name="vscode",
        title="VS Code",
        docs="https://code.visualstudio.com/docs/agents/reference/mcp-configuration",
        format=Format.JSON,
        path=("servers", NAME),
        entry=_stdio,
        user_files=lambda places: _vscode_files(places, "mcp.json"),
        project_file=".vscode/mcp.json",
        traces=lambda places: _vscode_files(places, ""),
        programs=("code", "code-insiders", "codium"),
    ),
    Agent(
        name="zed",
        title="Zed",
        docs="https://zed.dev/docs/ai/mcp",
        format=Format.JSON,
        path=("context_servers", NAME),
        entry=_with_environment,
        user_files=lambda places: (places.config / "zed/settings.json",),
        project_file=".zed/settings.json",
        traces=lambda places: (places.config / "zed",),
        programs=("zed", "zeditor"),
    ),
    Agent(
        name="gemini-cli",
        title="Gemini CLI",
        docs="https://geminicli.com/docs/tools/mcp-server",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=_plain,
        user_files=lambda places: (places.home / ".gemini/settings.json",),
        project_file=".gemini/settings.json",
        traces=lambda places: (places.home / ".gemini",),
        programs=("gemini",),
    ),
    Agent(
        name="opencode",
        title="OpenCode",
        docs="https://opencode.ai/docs/config",
        format=Format.JSON,
        path=("mcp", NAME),
        entry=_opencode,
        user_files=lambda places: _first_existing(
            places.config / "opencode/opencode.json", places.config / "opencode/opencode.jsonc"
        ),
        project_file="opencode.json",
        traces=lambda places: (places.config / "opencode",),
        programs=("opencode",),
    ),
    Agent(
        name="windsurf",
        title="Windsurf",
        docs="https://docs.windsurf.com/windsurf/cascade/mcp",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=_plain,
        user_files=lambda places: (places.home / ".codeium/windsurf/mcp_config.json",),
        traces=lambda places: (places.home / ".codeium/windsurf",),
        programs=("windsurf",),
    ),
    Agent(
        name="cline",
        title="Cline",
        docs="https://docs.cline.bot/mcp/configuring-mcp-servers",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=lambda command: {**_plain(command), "disabled": False, "autoApprove": []},
        user_files=lambda places: (
            places.home / ".cline/data/settings/cline_mcp_settings.json",
            *_vscode_files(places, _CLINE),
        ),
        traces=lambda places: (
            places.home / ".cline",
            *_vscode_files(places, "globalStorage/saoudrizwan.claude-dev"),
        ),
        programs=("cline",),
    ),
    Agent(
        name="roo",
        title="Roo Code",
        docs="https://docs.roocode.com/features/mcp/using-mcp-in-roo",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=_plain,
        user_files=lambda places: _vscode_files(places, _ROO),
        project_file=".roo/mcp.json",
        traces=lambda places: _vscode_files(places, "globalStorage/rooveterinaryinc.roo-cline"),
    ),
    Agent(
        name="continue",
        title="Continue",
        docs="https://docs.continue.dev/customize/deep-dives/mcp",
        format=Format.YAML_LIST,
        path=("mcpServers", NAME),
        entry=_named,
        user_files=lambda places: (places.home / ".continue/config.yaml",),
        project_file=f".continue/mcpServers/{NAME}.yaml",
        traces=lambda places: (places.home / ".continue",),
        programs=("cn",),
        template=_CONTINUE_HEAD,
        project_template=_CONTINUE_HEAD.replace("Local", NAME),
    ),
    Agent(
        name="goose",
        title="Goose",
        docs="https://block.github.io/goose/docs/guides/config-files",
        format=Format.YAML,
        path=("extensions", NAME),
        entry=_goose,
        user_files=lambda places: (places.config / "goose/config.yaml",),
        traces=lambda places: (places.config / "goose",),
        programs=("goose",),
    ),
    Agent(
        name="amp",
        title="Amp",
        docs="https://ampcode.com/manual#configuration",
        format=Format.JSON,
        path=("amp.mcpServers", NAME),
        entry=_plain,
        user_files=lambda places: _first_existing(
            places.config / "amp/settings.json", places.config / "amp/settings.jsonc"
        ),
        project_file=".amp/settings.json",
        traces=lambda places: (places.config / "amp",),
        programs=("amp",),
    ),
    Agent(
        name="crush",
        title="Crush",
        docs="https://github.com/charmbracelet/crush/blob/main/internal/skills/builtin/crush-config/SKILL.md",
        format=Format.JSON,
        path=("mcp", NAME),
        entry=_stdio,
        user_files=lambda places: (places.config / "crush/crush.json",),
        project_file=".crush.json",
        traces=lambda places: (places.config / "crush",),
        programs=("crush",),
    ),
    Agent(
        name="kiro",
        title="Kiro",
        docs="https://kiro.dev/docs/mcp/configuration",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=lambda command: {**_plain(command), "disabled": False, "autoApprove": []},
        user_files=lambda places: (places.home / ".kiro/settings/mcp.json",),
        project_file=".kiro/settings/mcp.json",
        traces=lambda places: (places.home / ".kiro",),
        programs=("kiro", "kiro-cli"),
    ),
    Agent(
        name="jetbrains",
        title="JetBrains Junie",
        docs="https://www.jetbrains.com/help/junie/model-context-protocol-mcp.html",
        format=Format.JSON,
        path=("mcpServers", NAME),
        entry=_plain,
        user_files=lambda places: (places.home / ".junie/mcp/mcp.json",),
        project_file=".junie/mcp/mcp.json",
        traces=lambda places: (places.home / ".junie",),
        programs=("junie",),
    ),
)

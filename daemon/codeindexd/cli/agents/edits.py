"""What the file of an agent has to look like with our entry, and without it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from codeindexd.cli.agents import jsonc, markdown, toml, yaml
from codeindexd.cli.agents.known_agents import Agent, Command, Format
from codeindexd.errors import FailedError


@contextlib.contextmanager
def _limit_depth() -> Iterator[None]:
    """Raise FailedError for text that is nested too deeply for the parsers, which are recursive."""
    try:
        yield
    except RecursionError:
        raise FailedError("it is nested too deeply", hint="correct the file first") from None


@_limit_depth()
def entry_in(text: str, agent: Agent) -> Any:
    """Return our entry, None if there is none. Raises FailedError for a file that cannot be read."""
    match agent.format:
        case Format.BLOCK:
            return markdown.block(text)
        case Format.WHOLE:
            return text or None
        case _:
            return _value_at(text, agent, agent.path)


@_limit_depth()
def with_entry(text: str, agent: Agent, command: Command, *, in_project: bool) -> str:
    """Return the text with our entry; the same text if it is there already.

    Raises FailedError for a file that cannot be read, and if anything else in it would change.
    """
    wanted = agent.entry(command)
    if entry_in(text, agent) == wanted:
        return text
    start = text or (agent.project_template if in_project else agent.template)
    match agent.format:
        case Format.JSON:
            return _checked(start, jsonc.with_entry(start, agent.path, wanted), agent, wanted)
        case Format.TOML:
            return _checked(start, toml.with_entry(start, agent.path, wanted), agent, wanted)
        case Format.YAML | Format.YAML_LIST:
            in_list = agent.format is Format.YAML_LIST
            return _checked(start, yaml.with_entry(start, agent.path, wanted, in_list=in_list), agent, wanted)
        case Format.BLOCK:
            return markdown.with_block(text, str(wanted))
        case Format.WHOLE:
            return str(wanted)


@_limit_depth()
def without_entry(text: str, agent: Agent) -> str:
    """Return the text without our entry. Raises FailedError, as ``with_entry`` does."""
    match agent.format:
        case Format.JSON:
            return _checked(text, jsonc.without_entry(text, agent.path), agent, None)
        case Format.TOML:
            return _checked(text, toml.without_entry(text, agent.path), agent, None)
        case Format.YAML | Format.YAML_LIST:
            return _checked(text, yaml.without_entry(text, agent.path), agent, None)
        case Format.BLOCK:
            return markdown.without_block(text)
        case Format.WHOLE:
            return ""


def _checked(before: str, after: str, agent: Agent, wanted: Any) -> str:
    """Return ``after``. Raises FailedError if more than our entry, now ``wanted``, differs from ``before``."""
    try:
        is_right = entry_in(after, agent) == wanted and _others(after, agent) == _others(before, agent)
    except FailedError:
        is_right = False
    if not is_right:
        what = "added" if wanted is not None else "removed"
        path = ".".join(agent.path)
        raise FailedError(f"{path} cannot be {what} without changing other settings", hint=f"edit {path} by hand")
    return after


def _others(text: str, agent: Agent) -> Any:
    """Return everything in the file but our entry, and what it is in if nothing else is in that."""
    return _without(_value_at(text, agent, ()), agent.path)


def _value_at(text: str, agent: Agent, path: tuple[str, ...]) -> Any:
    """Return the value at ``path`` of JSON, TOML or YAML, None if there is none. Raises FailedError."""
    match agent.format:
        case Format.JSON:
            return jsonc.entry(text, path)
        case Format.TOML:
            return toml.entry(text, path)
        case _:
            return yaml.entry(text, path)


def _without(value: Any, path: tuple[str, ...]) -> Any:
    """Return ``value`` without what is at ``path``, None if nothing else is in it."""
    if not path:
        return None
    if isinstance(value, list):
        return [item for item in value if not (isinstance(item, dict) and item.get("name") == path[0])] or None
    if not isinstance(value, dict):
        return value
    left = {key: _without(child, path[1:]) if key == path[0] else child for key, child in value.items()}
    return {key: child for key, child in left.items() if key != path[0] or child is not None} or None

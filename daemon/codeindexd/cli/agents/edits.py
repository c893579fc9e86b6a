"""What the file of a client has to look like with our entry, and without it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from codeindexd.cli.agents import jsonc, markdown, toml, yaml
from codeindexd.cli.agents.clients import Client, Command, Format
from codeindexd.errors import FailedError


@contextlib.contextmanager
def _limited_depth() -> Iterator[None]:
    """Raise FailedError for text that is nested too deeply for the parsers, which are recursive."""
    try:
        yield
    except RecursionError:
        raise FailedError("it is nested too deeply", hint="correct the file first") from None


@_limited_depth()
def entry_in(text: str, client: Client) -> Any:
    """Return our entry, None if there is none. Raises FailedError for a file that cannot be read."""
    match client.format:
        case Format.JSON:
            return jsonc.entry(text, client.path)
        case Format.TOML:
            return toml.entry(text, client.path)
        case Format.YAML | Format.YAML_LIST:
            return yaml.entry(text, client.path)
        case Format.BLOCK:
            return markdown.block(text)
        case Format.WHOLE:
            return text or None


@_limited_depth()
def with_entry(text: str, client: Client, command: Command, *, in_project: bool) -> str:
    """Return the text with our entry; the same text if it is there already. Raises FailedError."""
    wanted = client.entry(command)
    if entry_in(text, client) == wanted:
        return text
    start = text or (client.project_template if in_project else client.template)
    match client.format:
        case Format.JSON:
            return jsonc.with_entry(start, client.path, wanted)
        case Format.TOML:
            return toml.with_entry(start, client.path, wanted)
        case Format.YAML | Format.YAML_LIST:
            return yaml.with_entry(start, client.path, wanted, in_list=client.format is Format.YAML_LIST)
        case Format.BLOCK:
            return markdown.with_block(text, str(wanted))
        case Format.WHOLE:
            return str(wanted)


@_limited_depth()
def without_entry(text: str, client: Client) -> str:
    """Return the text without our entry. Raises FailedError."""
    match client.format:
        case Format.JSON:
            return jsonc.without_entry(text, client.path)
        case Format.TOML:
            return toml.without_entry(text, client.path)
        case Format.YAML | Format.YAML_LIST:
            return yaml.without_entry(text, client.path)
        case Format.BLOCK:
            return markdown.without_block(text)
        case Format.WHOLE:
            return ""

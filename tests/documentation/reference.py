"""The pages of the reference that are made from the code, as Markdown. They are not committed, so they cannot drift."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from codeindexd.analysis.chunking.embedded import HOSTS
from codeindexd.analysis.chunking.grammars import _OPTIONAL, _REQUIRED
from codeindexd.analysis.chunking.language_names import BY_EXTENSION, BY_NAME
from codeindexd.analysis.chunking.languages import known_languages
from codeindexd.analysis.chunking.line_outline import LINE_LANGUAGES
from codeindexd.analysis.chunking.notebook import LANGUAGE as NOTEBOOK
from codeindexd.cli import command_line, help_texts, manual
from codeindexd.cli.command_line import Argument, Command, Option
from codeindexd.mcp.toolset import TOOLS
from codeindexd.protocol.methods import METHODS
from codeindexd.search.query import KINDS, LANGUAGE_ALIASES


def commands() -> str:
    """Return the page about all commands, in the groups of ``codeindex --help``."""
    return "\n".join(_commands()) + "\n"


def _commands() -> Iterator[str]:
    known = {command.name: command for command in command_line.commands()}
    common = command_line.program_options()
    yield "# Commands\n\nWhat `codeindex COMMAND --help` and `man codeindex` say, on one page.\n\n## Every command\n"
    yield from _options(common)
    shared = {flag for option in common for flag in option.flags}
    for title, names in help_texts.GROUPS.items():
        yield f"\n## {title[0].upper()}{title[1:]}"
        for name in names:
            yield from _command(known[name], shared)
    yield "\n## Exit codes\n\n| code | meaning |\n| --- | --- |"
    yield from (f"| {code} | {_cell(meaning)} |" for code, meaning in manual.EXIT_CODES)
    yield "\n## Environment variables\n\n| variable | meaning |\n| --- | --- |"
    yield from (f"| `{name}` | {_cell(meaning)} |" for name, meaning in manual.VARIABLES)


def _command(command: Command, shared: set[str]) -> Iterator[str]:
    arguments = " ".join(map(_argument, command.arguments))
    yield f"\n### {command.name}\n\n`codeindex {command.name}{f' {arguments}' if arguments else ''}`\n"
    yield f"{command.summary[0].upper()}{command.summary[1:]}.\n"
    yield from _options([option for option in command.options if not shared & set(option.flags)])
    if command.notes:
        yield f"\n```text\n{command.notes}\n```"
    if examples := help_texts.EXAMPLES.get(command.name):
        lines = "\n".join(f"$ {line}   # {purpose}" for line, purpose in examples)
        yield f"\n```console\n{lines}\n```"


def _argument(argument: Argument) -> str:
    shown = f"{argument.metavar}{'...' if argument.is_last else ''}"
    return f"[{shown}]" if argument.is_optional else shown


def _options(options: list[Option] | tuple[Option, ...]) -> Iterator[str]:
    if options:
        yield "| option | meaning |\n| --- | --- |"
    for option in options:
        flags = ", ".join(f"`{flag}{f' {option.metavar}' if option.metavar else ''}`" for flag in option.flags)
        yield f"| {_cell(flags)} | {_cell(option.purpose)} |"


def tools() -> str:
    """Return the page about the tools that agents see, word for word."""
    lines = [
        "# Tools for agents\n",
        "What a model reads about each tool of `codeindex mcp`. What they are for, and what was measured, is in",
        "[Coding agents](../agents.md).",
    ]
    for tool in TOOLS.values():
        described = tool.described()
        text = textwrap.fill(described["description"], 100)
        lines += [f"\n## {tool.name}\n", f"```text\n{text}\n```\n"]
        lines += ["| parameter | type | meaning |", "| --- | --- | --- |"]
        required = set(described["inputSchema"].get("required", ()))
        for name, schema in described["inputSchema"]["properties"].items():
            shown = f"`{name}`{' (required)' if name in required else ''}"
            lines.append(f"| {shown} | {_cell(_type(schema))} | {_cell(schema.get('description', ''))} |")
    return "\n".join(lines) + "\n"


def _type(schema: Mapping[str, Any]) -> str:
    """Return the type in a JSON schema in a few words."""
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(one) for one in options))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    kind = schema.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def methods() -> str:
    """Return the page about the parameters of all methods of the protocol."""
    lines = [
        "# Methods of the protocol\n",
        "The parameters that the daemon accepts, with their defaults and bounds. [The protocol](../protocol.md) says",
        "how requests and answers look, and what results mean.",
    ]
    for name, parameters in METHODS.items():
        lines.append(f"\n## {name}\n")
        if not parameters:
            lines.append("No parameters.")
            continue
        lines += ["| parameter | type | default | bounds |", "| --- | --- | --- | --- |"]
        for one in parameters:
            default = "required" if one.required else "" if one.default is None else f"`{json.dumps(one.default)}`"
            bounds = [f"from {one.minimum:g}"] if one.minimum > -math.inf else []
            bounds += [f"up to {one.maximum:g}"] if one.maximum < math.inf else []
            lines.append(f"| `{one.name}` | {one.kind.value} | {default} | {' '.join(bounds)} |")
    return "\n".join(lines) + "\n"


def languages() -> str:
    """Return the page about languages and kinds."""
    lines = [
        "# Languages and kinds\n",
        "The values of `lang:` and `--lang`, and of `kind:` and `--kind`.\n",
        "## Languages\n",
    ]
    lines.append("| language | files | definitions | also written |\n| --- | --- | --- | --- |")
    for name in sorted(known_languages()):
        files = [f"`.{extension}`" for extension, language in sorted(BY_EXTENSION.items()) if language == name]
        files += [f"`{file}`" for file, language in sorted(BY_NAME.items()) if language == name]
        more = f" and {len(files) - 8} more" if len(files) > 8 else ""
        aliases = ", ".join(f"`{alias}`" for alias, language in sorted(LANGUAGE_ALIASES.items()) if language == name)
        lines.append(f"| `{name}` | {', '.join(files[:8])}{more} | {_definitions(name)} | {aliases} |")
    lines += ["\n## Kinds\n", ", ".join(f"`{kind}`" for kind in sorted(KINDS)) + ".\n"]
    lines.append("[Symbols and the code graph](../symbols.md) says what each means, and how definitions are found.")
    return "\n".join(lines) + "\n"


def _definitions(language: str) -> str:
    if language in _REQUIRED:
        return "parsed"
    if language in _OPTIONAL:
        return "parsed, with the extra `[languages]`"
    if language == NOTEBOOK:
        return "in its cells"
    if language in HOSTS:
        return "in its script"
    return "line by line" if language in LINE_LANGUAGES else ""


def _cell(text: str) -> str:
    """Return text for a cell of a table."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands,
    "reference/tools.md": tools,
    "reference/methods.md": methods,
    "reference/languages.md": languages,
}
"""The pages by their place in the site."""

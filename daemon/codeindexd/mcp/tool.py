"""What a tool consists of, and the parameters that several tools share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from codeindexd.mcp.answers import DEFAULT_TOKENS, LEAST_TOKENS, MOST_TOKENS, Answer
from codeindexd.mcp.arguments import Kind, Parameter, input_schema, read

if TYPE_CHECKING:
    from codeindexd.client.aio import AsyncClient
    from codeindexd.mcp.scope import Project

ReportProgress = Callable[[float, float | None, str], None]
"""Called with what is done, the total if it is known, and a text."""


@dataclass(frozen=True)
class Call:
    """What a tool runs with."""

    client: AsyncClient
    project: Project
    progress: ReportProgress


Run = Callable[[Call, dict[str, Any]], Awaitable[Answer]]


@dataclass(frozen=True)
class Tool:
    """A tool: how it is described to a model, and the function that runs it."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    output: Mapping[str, Any]
    run: Run
    read_only: bool = True

    def described(self) -> dict[str, Any]:
        """Return the tool as ``tools/list`` has it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": input_schema(self.parameters),
            "outputSchema": self.output,
            "annotations": {
                "title": self.title,
                "readOnlyHint": self.read_only,
                "destructiveHint": False,
                "idempotentHint": True,
                "openWorldHint": False,
            },
        }

    async def call(self, call: Call, arguments: Mapping[str, Any]) -> Answer:
        """Run the tool. Raises UsageError for wrong arguments, CodeindexError if it fails."""
        return await self.run(call, read(self.name, self.parameters, arguments, call.project.base or "/"))


def output_schema(**properties: Any) -> dict[str, Any]:
    """Return the schema of a structured answer with ``properties``; all answers may have notes."""
    notes = {"type": "array", "items": {"type": "string"}}
    return {"type": "object", "properties": {**properties, "notes": notes}}


def listed(**properties: Any) -> dict[str, Any]:
    """Return the schema of a list of objects with ``properties``."""
    return {"type": "array", "items": {"type": "object", "properties": properties}}


TEXT: Mapping[str, Any] = {"type": "string"}
TEXTS: Mapping[str, Any] = {"type": "array", "items": TEXT}
NUMBER: Mapping[str, Any] = {"type": "integer"}

ROOTS = Parameter(
    "roots",
    Kind.ROOTS,
    'Search other directories than the current project: "all" for everything indexed, or a list of directories.',
    aliases=("root", "directory", "directories"),
)
MAX_TOKENS = Parameter(
    "max_tokens",
    Kind.INTEGER,
    "The answer is at most this long.",
    default=DEFAULT_TOKENS,
    minimum=LEAST_TOKENS,
    maximum=MOST_TOKENS,
    aliases=("tokens",),
)
PAGE = Parameter("page", Kind.INTEGER, "Page of the answer, if it said that there are more.", default=1, maximum=1_000)
SYNC = Parameter(
    "sync",
    Kind.BOOLEAN,
    "Include every change made before this call; false answers a little faster.",
    default=True,
)
LANGUAGE = Parameter(
    "language",
    Kind.TEXT,
    "Only this language, for example python; with ! before it, any other.",
    aliases=("lang",),
)
PATHS = Parameter(
    "path",
    Kind.TEXTS,
    "Only paths that match this glob, for example src/** or **/*.test.ts; with ! before it, no such.",
    aliases=("paths", "glob", "include"),
)

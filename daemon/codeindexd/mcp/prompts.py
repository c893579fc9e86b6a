"""Prompts that a user can choose in the host: they tell the model in which order to use the tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from codeindexd.errors import UsageError


@dataclass(frozen=True)
class _Prompt:
    """A prompt with one argument; ``{about}`` in ``text`` stands for it."""

    name: str
    title: str
    description: str
    argument: str
    argument_description: str
    required: bool
    text: str


_PROMPTS = (
    _Prompt(
        "explore_code_base",
        "Explore a code base",
        "Get to know a code base: its parts, their entry points and how they work together.",
        "focus",
        "A part or topic to concentrate on.",
        False,
        "Explore this code base{about}.\n"
        "1. Call map, then search with a question about its entry points, and one for each part you learn of.\n"
        "2. Call symbol for the central classes and functions; open a file only at the lines the answers name.\n"
        "3. Summarise: what the project does, its parts with their main files (path:line), how a typical request or "
        "run passes through them, and where the tests are. Say what you did not look at.",
    ),
    _Prompt(
        "find_where_to_change",
        "Find where to change",
        "Find the places that a change has to touch, before editing anything.",
        "change",
        "The feature to add or the bug to fix, in a sentence or as the pasted report.",
        True,
        "Find where to make this change{about}.\n"
        "1. Call search with the description of the change, and with any message or name in it.\n"
        "2. For each function that would change, call impact to see what depends on it and which tests cover it, and "
        "related to find code that does the same elsewhere.\n"
        "3. Call search with path=**/*test* to find the tests of these places.\n"
        "4. List the places to change as path:line with a reason each, then the tests to change or add. Do not edit "
        "yet.",
    ),
)


def described() -> list[dict[str, Any]]:
    """Return all prompts as ``prompts/list`` has them."""
    return [
        {
            "name": prompt.name,
            "title": prompt.title,
            "description": prompt.description,
            "arguments": [
                {
                    "name": prompt.argument,
                    "description": prompt.argument_description,
                    "required": prompt.required,
                }
            ],
        }
        for prompt in _PROMPTS
    ]


def get(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a prompt as ``prompts/get`` has it. Raises UsageError if it does not exist or lacks its argument."""
    prompt = next((known for known in _PROMPTS if known.name == name), None)
    if prompt is None:
        raise UsageError(f"unknown prompt: {name}; the prompts are: {', '.join(known.name for known in _PROMPTS)}")
    value = str(arguments.get(prompt.argument) or "").strip()
    if prompt.required and not value:
        raise UsageError(f"{name}: {prompt.argument} is missing")
    text = prompt.text.format(about=f": {value}" if value else "")
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {"description": prompt.description, "messages": [message]}

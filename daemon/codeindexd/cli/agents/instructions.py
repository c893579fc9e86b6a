"""Instructions for agents, installed on request: a part of ``AGENTS.md``, and a skill."""

from __future__ import annotations

from codeindexd.cli.agents.known_agents import NAME, Agent, Format

_WHEN = """\
This project is indexed by codeindex; its MCP tools are faster than grep and return only what matters.

- You do not know where something is: `search` with a question in plain words, or with the pasted error message.
- You know a name: `symbol` for its definition, with `of: "references"` for everything that uses it.
- You need every occurrence of a text: `grep`. Its counts are complete.
- Before changing code that may exist several times: `related` with the file and line.
- Open files at the lines that an answer names. Do not search again for what an answer already shows.
- An answer says that a directory is not indexed: call `add_root` with it, then repeat the call.
"""
_SKILL = f"""\
---
name: {NAME}
description: Find code with the codeindex tools (search, symbol, grep, related) instead of grep and reading whole files. Use whenever code has to be located, understood or changed.
---

# Finding code

{_WHEN}"""  # noqa: E501 - the front matter has one line per field

INSTRUCTIONS: tuple[Agent, ...] = (
    Agent(
        name="agents-md",
        title="a part of AGENTS.md",
        docs="https://agents.md",
        format=Format.BLOCK,
        path=(),
        entry=lambda command: f"## Finding code\n\n{_WHEN}",
        user_files=lambda places: (),
        project_file="AGENTS.md",
        only_if_named=True,
    ),
    Agent(
        name="skill",
        title="a skill",
        docs="https://agentskills.io/specification",
        format=Format.WHOLE,
        path=(),
        entry=lambda command: _SKILL,
        user_files=lambda places: (
            places.home / f".agents/skills/{NAME}/SKILL.md",
            *((places.home / f".claude/skills/{NAME}/SKILL.md",) if (places.home / ".claude").is_dir() else ()),
        ),
        project_file=f".agents/skills/{NAME}/SKILL.md",
        only_if_named=True,
    ),
)
"""What is installed only if it is named."""

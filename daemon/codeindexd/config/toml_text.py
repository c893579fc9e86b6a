"""Writes configurations as TOML: the settings that apply, or a file with every setting, commented out."""

from __future__ import annotations

import textwrap

import msgspec

from codeindexd.config.meanings import MEANINGS
from codeindexd.config.settings import DEPRECATED, SECTIONS, Config, default_text, expected, keys_of, toml_value

_COLUMNS = 100
_HEAD = """\
# The configuration of codeindexd: every setting with its default, commented out. To change one, remove its #.
# Check the file with `codeindex config check`. Changes take effect when the daemon starts next: `codeindex restart`.
"""


def to_toml(config: Config) -> str:
    """Return the configuration as a complete ``config.toml``."""
    lines = []
    for section in SECTIONS:
        lines.append(f"[{section}]")
        for key, value in msgspec.to_builtins(getattr(config, section)).items():
            if (section, key) not in DEPRECATED or value:
                lines.append(f"{key} = {toml_value(value)}")
        lines.append("")
    return "\n".join(lines)


def commented() -> str:
    """Return a ``config.toml`` with every setting, its meaning and what it takes, commented out: it changes nothing."""
    lines = [_HEAD]
    for section, kind in SECTIONS.items():
        lines.append(f"[{section}]")
        for key in keys_of(kind):
            if (section, key) not in DEPRECATED:
                text = f"{MEANINGS[f'{section}.{key}']} ({expected(kind, key)})".replace("`", "")
                lines += ["", *textwrap.wrap(text, _COLUMNS, initial_indent="# ", subsequent_indent="# ")]
                lines.append(f"# {key} = {default_text(kind, key)}")
        lines.append("")
    return "\n".join(lines)

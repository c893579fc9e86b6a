"""How this program was installed, and which commands follow from that."""

from __future__ import annotations

import enum
import importlib.util
import itertools
import shutil
import sys
from pathlib import Path

PACKAGE = "codeindexd"
PROGRAM = "codeindex"


class Installer(enum.Enum):
    """The program that made the environment in which we are installed."""

    UV_TOOL = "uv tool"
    UVX = "uvx"
    PIPX = "pipx"
    PIPX_RUN = "pipx run"
    PIP = "pip"


def installer(prefix: str = sys.prefix) -> Installer:
    """Return what made the environment at ``prefix``."""
    path = Path(prefix)
    if (path / "uv-receipt.toml").exists():
        return Installer.UV_TOOL
    if any(part.startswith("archive-v") for part in path.parts):
        return Installer.UVX
    if ("pipx", ".cache") in itertools.pairwise(path.parts):
        return Installer.PIPX_RUN
    if (path / "pipx_metadata.json").exists():
        return Installer.PIPX
    return Installer.PIP


def removal(prefix: str = sys.prefix, executable: str = sys.executable) -> str:
    """Return the command that removes the package."""
    match installer(prefix):
        case Installer.UV_TOOL:
            return f"uv tool uninstall {PACKAGE}"
        case Installer.UVX:
            return f"uv cache clean {PACKAGE}"
        case Installer.PIPX:
            return f"pipx uninstall {PACKAGE}"
        case Installer.PIPX_RUN:
            return "nothing to do: pipx removes it after some days"
    if importlib.util.find_spec("pip") is None:
        return f"uv pip uninstall --python {executable} {PACKAGE}"
    return f"{executable} -m pip uninstall {PACKAGE}"


def runner(prefix: str = sys.prefix) -> tuple[str, ...]:
    """Return the command that runs this program if its environment is temporary, else ().

    The package has another name than the program, and an unrelated package has the program's name.
    """
    match installer(prefix):
        case Installer.UVX:
            return (shutil.which("uvx") or "uvx", "--from", PACKAGE, PROGRAM)
        case Installer.PIPX_RUN:
            return (shutil.which("pipx") or "pipx", "run", "--spec", PACKAGE, PROGRAM)
    return ()

"""The program ``codeindexd``: the daemon in the foreground."""

from __future__ import annotations

import argparse
import functools
import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from codeindexd import __version__
from codeindexd.errors import CodeindexError, UsageError, leaf_errors

if TYPE_CHECKING:
    from codeindexd.config import Config
    from codeindexd.daemon.paths import Paths


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daemon until it is stopped, and return the exit code."""
    args = build_parser().parse_args(argv)
    from codeindexd import config
    from codeindexd.analysis.embedding.create import require_model
    from codeindexd.daemon import paths

    try:
        own_paths = paths.Paths.of_user(os.environ)
        file = args.config or own_paths.config_file
        settings = config.load(file, os.environ, _overrides(args.set), required=args.config is not None)
        require_model(settings.embedding)
        if args.check_config:
            print(f"# {file}" + ("" if file.exists() else " (does not exist: defaults)"))
            print(config.to_toml(settings), end="")
            return 0
        _run(settings, own_paths, log_format=args.log_format, log_level=args.log_level)
    except CodeindexError as error:
        return _report(error)
    except BaseExceptionGroup as group:
        if (known := _only_error(group)) is None:
            raise
        return _report(known)
    return 0


def _run(settings: Config, paths: Paths, *, log_format: str, log_level: str) -> None:
    gc.disable()  # modules make many objects and hardly any garbage
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # structlog would load it wherever it is installed
    import anyio

    from codeindexd.daemon import app, logs

    gc.freeze()  # collections need not examine what is loaded by now
    gc.enable()
    os.umask(0o077)  # files that libraries create must be private too
    paths.create()
    log = logs.configure(format=log_format, level=log_level, file=paths.log_file)
    anyio.run(functools.partial(app.run, settings, paths=paths, log_destination=log))


def _only_error(group: BaseExceptionGroup[BaseException]) -> CodeindexError | None:
    """Return the only error in nested groups if it is a CodeindexError, else None.

    Task groups wrap the errors of their tasks in groups.
    """
    first, *others = leaf_errors(group)
    return first if isinstance(first, CodeindexError) and not others else None


def _report(error: CodeindexError) -> int:
    print(f"codeindexd: {error.message}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
    return error.exit_code


def _overrides(settings: Sequence[str]) -> dict[str, str]:
    """Return the values of ``--set`` options by ``section.key``. Raises UsageError."""
    overrides = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or "." not in name:
            raise UsageError(f"--set {setting}: not SECTION.KEY=VALUE", hint="for example: --set workers.count=2")
        overrides[name] = value
    return overrides


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the daemon's command line."""
    parser = argparse.ArgumentParser(
        prog="codeindexd", description="Keep a search index of your code as fresh as the disk.", allow_abbrev=False
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="read this configuration file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="override one setting (repeatable)"
    )
    parser.add_argument("--check-config", action="store_true", help="check the configuration, print it, and exit")
    parser.add_argument("--log-format", choices=["auto", "console", "json"], default="auto", help="log format (auto)")
    parser.add_argument(
        "--log-level", choices=["debug", "info", "warning", "error"], default="info", help="lowest level to log (info)"
    )
    parser.add_argument("--version", action="version", version=f"codeindexd {__version__}")
    return parser


if __name__ == "__main__":
    sys.exit(main())

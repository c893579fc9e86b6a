"""Checks of the environment, with remedies for the problems found. They work without a daemon."""

from __future__ import annotations

import enum
import functools
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from codeindexd import __version__, protocol
from codeindexd.analysis.embedding.create import BUNDLED_MODEL, ENDPOINT_REMEDY, check_model
from codeindexd.client import core, start
from codeindexd.config import Config, load
from codeindexd.daemon.paths import Paths, check_parents
from codeindexd.errors import CodeindexError, place_of
from codeindexd.watch.filesystem import reason_to_poll

_PACKAGES = ("anyio", "msgspec", "numpy", "structlog", "tantivy", "tree-sitter", "usearch", "watchfiles", "xxhash")
_MIN_WATCHES = 65_536  # one per directory: enough for about a dozen large repositories
_MIN_INSTANCES = 128
_MIN_QUEUED_EVENTS = 16_384
_MIN_OPEN_FILES = 4096
_LOW_DISK_BYTES = 2 << 30
_NO_DISK_BYTES = 200 << 20
_PROGRAM_TIMEOUT_S = 10.0


class CheckState(enum.StrEnum):
    """The outcome of a check; the value is what is printed."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Check(NamedTuple):
    """A check and its outcome. ``remedy`` is empty if there is nothing to do."""

    name: str
    state: CheckState
    detail: str
    remedy: str = ""


def examine(environ: Mapping[str, str]) -> dict[str, Any]:
    """Run all checks and return ``{"ok": no problems, "checks": [{"name", "state", "detail", "remedy"}]}``.

    Never raises: a check that itself fails is reported as a warning, and the others still run.
    """
    checks = [
        *_run_check("versions", _versions),
        *_run_check("open files", _open_files),
        *_run_check("git", _git),
        *(_run_check("inotify", _inotify) if sys.platform == "linux" else ()),
        *_run_check("service manager", lambda: _service_manager(environ)),
        *_run_check("socket", lambda: _with_paths(Paths.of_user(environ), environ)),
    ]
    return {
        "ok": all(check.state is not CheckState.PROBLEM for check in checks),
        "checks": [check._asdict() for check in checks],
    }


def _with_paths(paths: Paths, environ: Mapping[str, str]) -> Iterator[Check]:
    yield from _run_check("daemon", lambda: _daemon(paths.socket, environ))
    for name, directory in (("runtime", paths.runtime), ("state", paths.state), ("cache", paths.cache)):
        yield from _run_check(f"{name} directory", functools.partial(_directory, name, directory))
    yield from _run_check("disk space", lambda: _disk(paths.cache))
    yield from _run_check("configuration", lambda: _configuration(paths.config_file, environ))
    yield from _run_check("roots", lambda: _roots(paths.roots_file))


def _run_check(name: str, check: Callable[[], Check | Iterable[Check]]) -> Iterator[Check]:
    """Yield the outcomes of ``check``; an exception becomes an outcome named ``name``."""
    try:
        found = check()
        yield from [found] if isinstance(found, Check) else found
    except CodeindexError as error:
        yield Check(name, CheckState.PROBLEM, error.message, error.hint)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "check the permissions of its parent directories" if isinstance(error, PermissionError) else ""
        yield Check(name, CheckState.WARNING, f"could not be checked: {error}", remedy)
    except Exception as error:  # noqa: BLE001 - reported without its message, which may quote anything
        yield Check(name, CheckState.WARNING, f"could not be checked: {place_of(error)}")


# the machine


def _versions() -> Check:
    found, missing = [], []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        remedy = "reinstall it with its dependencies: pip install --force-reinstall codeindexd"
        return Check("versions", CheckState.PROBLEM, f"not installed: {', '.join(missing)}", remedy)
    python = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    return Check("versions", CheckState.OK, f"codeindexd {__version__}, {python}, {', '.join(found)}")


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _MIN_OPEN_FILES:
        return Check(
            "open files",
            CheckState.WARNING,
            f"at most {hard}",
            f"raise the hard limit (nofile in /etc/security/limits.conf) to {_MIN_OPEN_FILES}, then log in again",
        )
    return Check(
        "open files", CheckState.OK, f"{soft}, can be raised to {'any' if hard == resource.RLIM_INFINITY else hard}"
    )


def _git() -> Check:
    git = shutil.which("git")
    if git is None:
        detail = "not found; ignore rules work without it, since git's configuration files are read directly"
        return Check("git", CheckState.WARNING, detail, "install git if you use it")
    done = subprocess.run([git, "--version"], capture_output=True, text=True, timeout=_PROGRAM_TIMEOUT_S, check=False)
    return Check("git", CheckState.OK, done.stdout.strip())


def _inotify() -> Iterator[Check]:
    for name, least in (
        ("max_user_watches", _MIN_WATCHES),
        ("max_user_instances", _MIN_INSTANCES),
        ("max_queued_events", _MIN_QUEUED_EVENTS),
    ):
        key = f"fs.inotify.{name}"
        try:
            value = int(Path(f"/proc/sys/fs/inotify/{name}").read_text("ascii"))
        except (OSError, ValueError) as error:
            yield Check(
                key,
                CheckState.WARNING,
                f"cannot be read: {error}",
                "none needed: if events fail, changes are found by scanning",
            )
            continue
        if value < least:
            file = "/etc/sysctl.d/60-codeindexd.conf"
            remedy = f"echo {key}={least} | sudo tee -a {file} && sudo sysctl -p {file}"
            yield Check(key, CheckState.WARNING, f"{value}; at least {least} is recommended", remedy)
        else:
            yield Check(key, CheckState.OK, str(value))


def _service_manager(environ: Mapping[str, str]) -> Check:
    name = "service manager"
    if sys.platform == "darwin":
        return Check(name, CheckState.OK, "launchd")
    systemctl = shutil.which("systemctl")
    detached = "none needed: codeindex starts the daemon itself; only `codeindex service install` needs systemd"
    if systemctl is None:
        return Check(name, CheckState.WARNING, "systemd is not installed", detached)
    done = subprocess.run(
        [systemctl, "--user", "is-system-running"],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=_PROGRAM_TIMEOUT_S,
        check=False,
    )
    state = done.stdout.strip()
    if state in {"running", "degraded", "starting"}:
        return Check(name, CheckState.OK, f"systemd user manager: {state}")
    return Check(name, CheckState.WARNING, f"no systemd user manager: {state or done.stderr.strip()}", detached)


# our files and directories


def _daemon(path: Path, environ: Mapping[str, str]) -> Check:
    """Check the daemon that clients would use."""
    try:
        check_parents(path)
    except FileNotFoundError:
        pass  # the directory is created when needed, with private access
    except CodeindexError as error:
        return Check("daemon", CheckState.PROBLEM, error.message, error.hint)
    advertised = start.advertised_socket(str(path), environ)
    addresses = [path, Path(advertised)] if advertised else [path]
    for address in addresses:
        try:
            return _running_daemon(_ask(address), address, expected=path)
        except (OSError, CodeindexError, KeyError, TypeError) as error:
            reason = str(error)
    if (holder := start.running_daemon(environ)) is not None:
        detail = f"{holder.description} is running, but cannot be reached at {addresses[-1]}: {reason}"
        if not holder.is_ours:
            remedy = "it may run in another container or on another machine: stop it there"
            return Check("daemon", CheckState.PROBLEM, detail, remedy)
        return Check("daemon", CheckState.WARNING, detail, "to replace it: codeindex restart")
    if path.exists():
        remedy = "run any codeindex command to start one"
        return Check("daemon", CheckState.WARNING, f"{path} exists, but no daemon answers: {reason}", remedy)
    return Check("daemon", CheckState.OK, f"not running; it will listen at {path}")


def _running_daemon(info: Mapping[str, Any], address: Path, *, expected: Path) -> Check:
    """Check the daemon that answered at ``address`` with ``info``; ``expected`` is the socket of this environment."""
    if core.has_lost_installation(info):
        detail = f"its installation was {info['installation']} since it was started (pid {info['pid']})"
        return Check("daemon", CheckState.WARNING, detail, "to replace it: codeindex restart")
    if info["version"] != __version__:
        detail = f"version {info['version']} is running (pid {info['pid']}), but {__version__} is installed"
        remedy = "run any codeindex command: it replaces an older daemon, unless another installation's service runs it"
        return Check("daemon", CheckState.WARNING, detail, remedy)
    where = str(address)
    if address != expected:
        where += f" (found by its address file; in this environment, the path would be {expected})"
    return Check("daemon", CheckState.OK, f"version {info['version']}, pid {info['pid']}, {where}")


def _ask(path: Path) -> Mapping[str, Any]:
    """Return the ``server.info`` of the daemon at ``path``. Raises OSError, CodeindexError, KeyError and TypeError."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        raw.settimeout(5)
        raw.connect(str(path))
        protocol.check_peer(raw, str(path))
        raw.sendall(protocol.request(1, "server.info", {}))
        info: Mapping[str, Any] = protocol.decode(raw.makefile("rb").readline())["result"]
    return {**info, "version": str(info["version"]), "pid": int(info["pid"])}


def _directory(name: str, directory: Path) -> Check:
    title = f"{name} directory"
    try:
        found = directory.lstat()
    except FileNotFoundError:
        parent = next(above for above in directory.parents if above.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Check(title, CheckState.OK, f"{directory} (created when needed)")
        return Check(
            title,
            CheckState.PROBLEM,
            f"{directory} cannot be created: {parent} is not writable",
            f"chmod u+wx {_quoted(parent)}",
        )
    if not directory.is_dir():
        return Check(title, CheckState.PROBLEM, f"{directory} is not a directory", _move_away(directory))
    if found.st_uid != os.geteuid():
        remedy = f"sudo chown -R {os.geteuid()} {_quoted(directory)}"
        return Check(title, CheckState.PROBLEM, f"{directory} belongs to another user (uid {found.st_uid})", remedy)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        remedy = f"chmod u+rwx {_quoted(directory)}"
        return Check(title, CheckState.PROBLEM, f"{directory} cannot be written", remedy)
    try:
        check_parents(directory)
    except CodeindexError as error:
        return Check(title, CheckState.PROBLEM, error.message, error.hint)
    if found.st_mode & 0o077:
        remedy = f"chmod 700 {_quoted(directory)}"
        return Check(title, CheckState.WARNING, f"{directory} is open to other users", remedy)
    return Check(title, CheckState.OK, str(directory))


def _disk(cache: Path) -> Check:
    existing = next(directory for directory in (cache, *cache.parents) if directory.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{free / (1 << 30):,.1f} GiB free at {existing}"
    if free < _NO_DISK_BYTES:
        return Check(
            "disk space",
            CheckState.PROBLEM,
            detail,
            "free some space, or set XDG_CACHE_HOME to a directory on a larger disk",
        )
    if free < _LOW_DISK_BYTES:
        return Check(
            "disk space", CheckState.WARNING, detail, "free some space, or lower [disk] budget_gb in config.toml"
        )
    return Check("disk space", CheckState.OK, detail)


def _configuration(file: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    config = load(file, environ)
    yield Check("configuration", CheckState.OK, f"{file} ({'read' if file.exists() else 'does not exist: defaults'})")
    yield from _run_check("model", lambda: _model(config))


def _model(config: Config) -> Check:
    name = config.embedding.model
    check_model(name)
    if name == BUNDLED_MODEL:
        spec = importlib.util.find_spec("codeindexd.analysis.embedding.static")
        if spec is None:
            return Check("model", CheckState.PROBLEM, "the bundled model is not installed", "reinstall codeindexd")
        return Check("model", CheckState.OK, "bundled")
    if name.startswith(("http://", "https://")):
        from codeindexd.analysis.embedding.openai_api import Endpoint

        endpoint = Endpoint.parse(name)
        not_asked = f"endpoint {endpoint.name}, which is not asked here: codeindex status says whether it answers"
        if importlib.util.find_spec("httpx") is None:
            detail = f"endpoint {endpoint.name} needs httpx, which is not installed"
            return Check("model", CheckState.PROBLEM, detail, ENDPOINT_REMEDY)
        if endpoint.is_local:
            return Check("model", CheckState.OK, not_asked)
        remedy = "your code is sent there: use only an https address that you trust"
        return Check("model", CheckState.WARNING, not_asked, remedy)
    if importlib.util.find_spec("sentence_transformers") is None:
        remedy = "pip install 'codeindexd[transformers]', or set [embedding] model = \"bundled\" in config.toml"
        return Check("model", CheckState.PROBLEM, f"{name} needs sentence-transformers, which is not installed", remedy)
    return Check("model", CheckState.OK, name)


def _roots(file: Path) -> Iterator[Check]:
    try:
        roots = [Path(root["path"]) for root in json.loads(file.read_text("utf-8"))["roots"]]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Check(
            "roots",
            CheckState.PROBLEM,
            f"{file} cannot be read: {error}",
            f"add the roots again after: {_move_away(file)}",
        )
        return
    for root in roots:
        yield from _run_check("root", functools.partial(_root, root))


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def _move_away(path: Path) -> str:
    """Return the shell command that renames ``path``."""
    return f"mv {_quoted(path)} {_quoted(path.with_name(path.name + '.old'))}"


def _root(root: Path) -> Check:
    if not root.is_dir():
        remedy = f"bring it back, add it at its new place, or remove it: codeindex remove {_quoted(root)}"
        return Check("root", CheckState.WARNING, f"{root} is missing", remedy)
    if reason := reason_to_poll(root):
        detail = f"{reason}: scanned every 30 seconds instead of watched"
        return Check("root", CheckState.WARNING, detail, "for updates within milliseconds, use a clone on a local disk")
    return Check("root", CheckState.OK, str(root))

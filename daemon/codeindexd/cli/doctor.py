"""Looks for problems of the environment, each with its remedy; no daemon is needed."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from codeindexd import __version__, protocol
from codeindexd.config import Config, load
from codeindexd.daemon.paths import Paths, check_place
from codeindexd.errors import CodeindexError, place_of
from codeindexd.watch.filesystem import reason_to_poll

_PACKAGES = ("anyio", "msgspec", "numpy", "structlog", "tantivy", "tree-sitter", "usearch", "watchfiles", "xxhash")
_WATCHES = 65_536  # a watch a directory: enough for about a dozen large repositories
_INSTANCES = 128
_QUEUE = 16_384
_FILES = 4096
_LOW_DISK = 2 << 30
_NO_DISK = 200 << 20
_PATIENCE_S = 10.0  # with a program that is asked


class Check(NamedTuple):
    """One thing looked at. ``remedy`` is empty when there is nothing to do."""

    name: str
    state: Literal["ok", "warning", "problem"]
    detail: str
    remedy: str = ""


def examine(environ: Mapping[str, str]) -> dict[str, Any]:
    """``{"ok": no problems, "checks": [{"name", "state", "detail", "remedy"}]}``. Never raises: a check that cannot be
    made is a warning, and the others are made."""
    checks = [
        *_guarded("versions", _versions),
        *_guarded("open files", _open_files),
        *_guarded("git", _git),
        *(_guarded("inotify", _inotify) if sys.platform == "linux" else ()),
        *_guarded("service manager", lambda: _service_manager(environ)),
        *_guarded("socket", lambda: _with_paths(Paths.of_user(environ), environ)),
    ]
    return {"ok": all(check.state != "problem" for check in checks), "checks": [check._asdict() for check in checks]}


def _with_paths(paths: Paths, environ: Mapping[str, str]) -> Iterator[Check]:
    yield from _guarded("daemon", lambda: _socket(paths.socket))
    for name, directory in (("runtime", paths.runtime), ("state", paths.state), ("cache", paths.cache)):
        yield from _guarded(f"{name} directory", functools.partial(_directory, name, directory))
    yield from _guarded("disk space", lambda: _disk(paths.cache))
    yield from _guarded("configuration", lambda: _configuration(paths.config_file, environ))
    yield from _guarded("roots", lambda: _roots(paths.roots_file))


def _guarded(name: str, look: Callable[[], Check | Iterable[Check]]) -> Iterator[Check]:
    """What ``look`` finds; what it raises is a finding too."""
    try:
        found = look()
        yield from [found] if isinstance(found, Check) else found
    except CodeindexError as error:
        yield Check(name, "problem", error.message, error.hint)
    except (OSError, subprocess.SubprocessError) as error:
        remedy = "Check the permissions of the directories on the way." if isinstance(error, PermissionError) else ""
        yield Check(name, "warning", f"could not be looked at: {error}", remedy)
    except Exception as error:  # noqa: BLE001 - nobody foresaw it: told by its place, its text may quote anything
        yield Check(name, "warning", f"could not be looked at: {place_of(error)}")


# -- the machine -----------------------------------------------------------------------------------------------------


def _versions() -> Check:
    found, missing = [], []
    for package in _PACKAGES:
        try:
            found.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(package)
    if missing:
        remedy = "Install codeindexd again, with its dependencies."
        return Check("versions", "problem", f"not installed: {', '.join(missing)}", remedy)
    python = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    return Check("versions", "ok", f"codeindexd {__version__}, {python}, {', '.join(found)}")


def _open_files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < _FILES:
        return Check("open files", "warning", f"at most {hard}", f"Raise the limit to {_FILES}: ulimit -Hn {_FILES}")
    return Check("open files", "ok", f"{soft}, can be raised to {'any' if hard == resource.RLIM_INFINITY else hard}")


def _git() -> Check:
    git = shutil.which("git")
    if git is None:
        detail = "not found; ignore rules work without it, git's own configuration is read as files"
        return Check("git", "warning", detail, "Install git, if you use it.")
    done = subprocess.run([git, "--version"], capture_output=True, text=True, timeout=_PATIENCE_S, check=False)
    return Check("git", "ok", done.stdout.strip())


def _inotify() -> Iterator[Check]:
    for name, least in (
        ("max_user_watches", _WATCHES),
        ("max_user_instances", _INSTANCES),
        ("max_queued_events", _QUEUE),
    ):
        key = f"fs.inotify.{name}"
        try:
            value = int(Path(f"/proc/sys/fs/inotify/{name}").read_text("ascii"))
        except (OSError, ValueError) as error:
            yield Check(key, "warning", f"cannot be read: {error}", "Changes are found by walking if events fail.")
            continue
        if value < least:
            file = "/etc/sysctl.d/60-codeindexd.conf"
            remedy = f"echo {key}={least} | sudo tee -a {file} && sudo sysctl -p {file}"
            yield Check(key, "warning", f"{value}, at least {least} is better", remedy)
        else:
            yield Check(key, "ok", str(value))


def _service_manager(environ: Mapping[str, str]) -> Check:
    name = "service manager"
    if sys.platform == "darwin":
        return Check(name, "ok", "launchd")
    systemctl = shutil.which("systemctl")
    detached = "codeindex starts the daemon itself; `codeindex service install` needs a systemd user manager."
    if systemctl is None:
        return Check(name, "warning", "systemd is not there", detached)
    done = subprocess.run(
        [systemctl, "--user", "is-system-running"],
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    state = done.stdout.strip()
    if state in {"running", "degraded", "starting"}:
        return Check(name, "ok", f"systemd user manager: {state}")
    return Check(name, "warning", f"no systemd user manager: {state or done.stderr.strip()}", detached)


# -- our places ------------------------------------------------------------------------------------------------------


def _socket(path: Path) -> Check:
    try:
        check_place(path)
    except FileNotFoundError:
        pass  # its directory is made when needed, private
    except CodeindexError as error:
        return Check("daemon", "problem", error.message, error.hint)
    if not path.exists():
        return Check("daemon", "ok", f"not running; it will listen at {path}")
    try:
        info = _ask(path)
    except (OSError, CodeindexError, KeyError, TypeError) as error:
        remedy = "The next codeindex command starts one; end the old one if it is stuck."
        return Check("daemon", "warning", f"{path} is there and nobody answers: {error}", remedy)
    if info["version"] != __version__:
        detail = f"version {info['version']} runs (pid {info['pid']}), {__version__} is installed"
        remedy = "The next codeindex command replaces an older daemon, unless another installation's service runs it."
        return Check("daemon", "warning", detail, remedy)
    return Check("daemon", "ok", f"version {info['version']}, pid {info['pid']}, {path}")


def _ask(path: Path) -> Mapping[str, Any]:
    """What the daemon says of itself."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as raw:
        raw.settimeout(5)
        raw.connect(str(path))
        protocol.trust(raw, str(path))
        raw.sendall(protocol.request(1, "server.info", {}))
        info: Mapping[str, Any] = protocol.decode(raw.makefile("rb").readline())["result"]
    return {"version": str(info["version"]), "pid": int(info["pid"])}


def _directory(name: str, directory: Path) -> Check:
    title = f"{name} directory"
    try:
        found = directory.lstat()
    except FileNotFoundError:
        parent = next(place for place in directory.parents if place.exists())
        if os.access(parent, os.W_OK | os.X_OK):
            return Check(title, "ok", f"{directory} (made when needed)")
        return Check(title, "problem", f"{directory} cannot be made: {parent} is not writable", f"chmod u+wx {parent}")
    if not directory.is_dir():
        return Check(title, "problem", f"{directory} is not a directory", f"mv {directory} {directory}.old")
    if found.st_uid != os.geteuid():
        remedy = f"sudo chown -R {os.geteuid()} {directory}"
        return Check(title, "problem", f"{directory} belongs to another user (uid {found.st_uid})", remedy)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return Check(title, "problem", f"{directory} cannot be written", f"chmod u+rwx {directory}")
    try:
        check_place(directory)
    except CodeindexError as error:
        return Check(title, "problem", error.message, error.hint)
    if found.st_mode & 0o077:
        return Check(title, "warning", f"{directory} is open to other users", f"chmod 700 {directory}")
    return Check(title, "ok", str(directory))


def _disk(cache: Path) -> Check:
    place = next(place for place in (cache, *cache.parents) if place.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / (1 << 30):,.1f} GiB free at {place}"
    if free < _NO_DISK:
        return Check("disk space", "problem", detail, "Make room, or set XDG_CACHE_HOME to a larger disk.")
    if free < _LOW_DISK:
        return Check("disk space", "warning", detail, "Make room; [disk] budget_gb bounds what the daemon keeps.")
    return Check("disk space", "ok", detail)


def _configuration(file: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    config = load(file, environ)
    yield Check("configuration", "ok", f"{file} ({'read' if file.exists() else 'not there: defaults'})")
    yield from _guarded("model", lambda: _model(config))


def _model(config: Config) -> Check:
    name = config.embedding.model
    if name == "bundled":
        spec = importlib.util.find_spec("codeindexd.analysis.embedding.static")
        if spec is None:
            return Check("model", "problem", "the bundled model is not installed", "Install codeindexd again.")
        return Check("model", "ok", "bundled")
    if name.startswith(("http://", "https://")):
        from codeindexd.analysis.embedding.openai_api import Endpoint

        endpoint = Endpoint.parse(name)
        if endpoint.is_local:
            return Check("model", "ok", f"endpoint {endpoint.name}")
        remedy = "Text of your code is sent there; use an https address you trust."
        return Check("model", "warning", f"endpoint {endpoint.name}", remedy)
    if importlib.util.find_spec("sentence_transformers") is None:
        remedy = "pip install 'codeindexd[transformers]', or set [embedding] model = \"bundled\""
        return Check("model", "problem", f"{name} needs sentence-transformers, which is not installed", remedy)
    if ("/" in name and name.startswith(("/", "~", "."))) and not Path(name).expanduser().is_dir():
        return Check("model", "problem", f"{name} is not a directory", "Correct [embedding] model.")
    return Check("model", "ok", name)


def _roots(file: Path) -> Iterator[Check]:
    try:
        roots = [Path(root["path"]) for root in json.loads(file.read_text("utf-8"))["roots"]]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield Check("roots", "problem", f"{file} cannot be read: {error}", "Move it away and add the roots again.")
        return
    for root in roots:
        yield from _guarded("root", functools.partial(_root, root))


def _root(root: Path) -> Check:
    if not root.is_dir():
        return Check("root", "warning", f"{root} is missing", f"Bring it back, or: codeindex remove {root}")
    if reason := reason_to_poll(root):
        detail = f"{reason}: it is walked every half minute"
        return Check("root", "warning", detail, "A clone on a local disk is found fresh within milliseconds.")
    return Check("root", "ok", str(root))

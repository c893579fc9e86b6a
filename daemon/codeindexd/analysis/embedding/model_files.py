"""Examines the files of a sentence-transformers model: where they are, their hash, dimensions, and safety.

sentence-transformers is not imported here, because that takes seconds and hundreds of megabytes.

A model may be untrusted, and its formats can contain programs: modules given by class name, and pickled weights. Models
with programs are refused here, before a library reads them.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import xxhash

from codeindexd.errors import EmbedderError

_SUFFIXES = frozenset({".safetensors", ".bin", ".json", ".txt", ".model", ".py", ".jinja"})
_OTHER_RUNTIMES = frozenset({"onnx", "openvino"})
_READ_BYTES = 1 << 20
_HUB_NAME = re.compile(r"(?:[A-Za-z0-9][\w.-]*/)?[A-Za-z0-9][\w.-]*")
_LIBRARY = "sentence_transformers."
_MODULES = frozenset(
    {
        "Transformer",
        "Pooling",
        "Normalize",
        "Dense",
        "Dropout",
        "LayerNorm",
        "StaticEmbedding",
        "WeightedLayerPooling",
    }
)


def find(model: str, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the directory of a model: ``model`` itself, or the snapshot of a downloaded hub model; None without one.

    A directory must be given as an absolute path: names are never looked up in the current directory, which may be an
    untrusted repository. Raises EmbedderError for a directory without a model, and for an invalid name.
    """
    directory = Path(model).expanduser()
    if directory.is_absolute():
        if not directory.is_dir():
            raise EmbedderError(f"{directory} is not a directory", hint="correct [embedding] model in config.toml")
        if not any((directory / name).is_file() for name in ("modules.json", "config.json")):
            raise EmbedderError(
                f"{directory} has no sentence-transformers model: modules.json is missing",
                hint="correct [embedding] model in config.toml",
            )
        return directory.resolve()
    if not _HUB_NAME.fullmatch(model) or ".." in model:
        hint = 'set [embedding] model to "bundled", a model\'s name, an absolute path, or an http(s) URL'
        raise EmbedderError(f"{model} is not a valid model name", hint=hint)
    names = [model] if "/" in model else [f"sentence-transformers/{model}", model]
    for name in names:
        repository = _hub_cache(environ) / f"models--{name.replace('/', '--')}"
        try:
            revision = (repository / "refs" / "main").read_text("ascii").strip()
        except OSError:
            continue
        snapshot = repository / "snapshots" / revision
        if any((snapshot / name).is_file() for name in ("modules.json", "config.json")):
            return snapshot
    return None


def refuse_programs(directory: Path) -> None:
    """Raise EmbedderError if loading the model might run a program in it, with whatever version of the library."""
    for module in _json(directory / "modules.json", []):
        kind = str(module.get("type", "")) if isinstance(module, dict) else ""
        path = directory / str(module.get("path", "") if isinstance(module, dict) else "")
        if not kind.startswith(_LIBRARY) or kind.rpartition(".")[2] not in _MODULES:
            raise _refused(directory, f"its module {kind!r} is not one of {', '.join(sorted(_MODULES))}")
        if not path.resolve().is_relative_to(directory.resolve()):
            raise _refused(directory, f"its module {kind!r} is outside the directory")
        activation = str(_json(path / "config.json", {}).get("activation_function") or "torch.nn.")
        if kind.endswith(".Dense") and not activation.startswith("torch.nn."):
            raise _refused(directory, f"its activation function is {activation!r}")
    for path in directory.rglob("pytorch_model*"):
        if path.suffix == ".bin" and not any(path.parent.glob("*.safetensors")):
            raise _refused(
                directory, f"{path.relative_to(directory)} is a pickle, which can run any program when loaded"
            )


def _refused(directory: Path, why: str) -> EmbedderError:
    hint = "use a model of plain modules with weights in the safetensors format, or serve it at an endpoint"
    return EmbedderError(f"refusing to load the model in {directory}: {why}", hint=hint)


def is_offline(environ: Mapping[str, str] = os.environ) -> bool:
    """Return True if the environment forbids access to the hub."""
    return any(
        environ.get(n, "").upper() in ("1", "ON", "YES", "TRUE") for n in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    )


def stat_key(directory: Path) -> str:
    """Return a cache key that changes if a file of the model may have changed. Raises OSError, EmbedderError."""
    state = xxhash.xxh3_128()
    for name, path in _files(directory):
        stat = path.stat()
        state.update(f"{name}\0{stat.st_size}\0{stat.st_mtime_ns}\0{stat.st_ino}\n".encode())
    return f"st1 {directory} {state.hexdigest()}"


def content_identity(directory: Path) -> str:
    """Return a hex hash of everything that determines a vector, independent of the directory's path.

    Reads all files. Raises OSError, EmbedderError.
    """
    state = xxhash.xxh3_128(b"st1\n")
    for name, path in _files(directory):
        content = xxhash.xxh3_128()
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_READ_BYTES):
                content.update(piece)
        state.update(f"{name}\0{content.hexdigest()}\n".encode())
    return state.hexdigest()


def declared_dimensions(directory: Path) -> int:
    """Return the dimensions according to the configuration files; 0 if only the loaded model tells them."""
    truncated = _json(directory / "config_sentence_transformers.json", {}).get("truncate_dim")
    if truncated:
        return int(truncated)
    dimensions = 0
    for module in _json(directory / "modules.json", []):
        kind = str(module.get("type", "")).rpartition(".")[2]
        config = _json(directory / str(module.get("path", "")) / "config.json", {})
        match kind:
            case "Pooling":
                modes = sum(value is True for key, value in config.items() if key.startswith("pooling_mode_"))
                modes = modes or (1 if isinstance(config.get("pooling_mode"), str) else 0)
                width = config.get("word_embedding_dimension") or config.get("embedding_dimension") or 0
                dimensions = int(width) * modes
            case "Dense":
                dimensions = int(config.get("out_features", 0))
            case "Transformer" | "Normalize" | "Dropout":
                continue
            case _:
                return 0
    return dimensions


def _files(directory: Path) -> Iterator[tuple[str, Path]]:
    """Yield (name relative to ``directory``, path) of the files that determine a vector, sorted by path.

    Raises EmbedderError if the directory cannot be read.
    """
    try:
        found = sorted(path for path in directory.rglob("*") if path.suffix in _SUFFIXES and path.is_file())
    except OSError as error:
        raise EmbedderError(f"cannot read {directory}: {error.strerror}", hint="check its permissions") from error
    for path in found:
        relative = path.relative_to(directory)
        if relative.parts[0] in _OTHER_RUNTIMES or relative.parts[0].startswith("."):
            continue
        if path.suffix == ".bin" and (path.parent / "model.safetensors").exists():
            continue  # the same weights in an older format
        yield relative.as_posix(), path


def _hub_cache(environ: Mapping[str, str]) -> Path:
    if cache := environ.get("HF_HUB_CACHE"):
        return Path(cache)
    home = environ.get("HF_HOME") or Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    return Path(home) / "hub"


def _json(path: Path, default: Any) -> Any:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return default
    return value if isinstance(value, type(default)) else default

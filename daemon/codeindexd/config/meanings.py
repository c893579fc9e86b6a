"""What each setting means, in Markdown: for ``codeindex config``, the file that it writes, and the documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MEANINGS: Final[Mapping[str, str]] = {
    "watch.debounce_ms": "how long a file must rest before a save is indexed",
    "watch.deadline_ms": "the longest a change waits for that rest",
    "watch.max_hints": "beyond this many changed paths, their parent directories are scanned instead",
    "watch.reconcile_minutes": "how often the whole root is scanned, whatever events reported",
    "watch.backend": (
        "how changes are noticed: `inotify` (Linux), `watchfiles` (any system), or `poll`: scan every 30 seconds "
        "instead of listening for events. `auto` takes the first that the system has"
    ),
    "watch.poll": 'the old spelling of `watch.backend = "poll"`',
    "index.max_file_bytes": "larger files are skipped as `oversized`",
    "index.max_notebook_bytes": (
        "the same for Jupyter notebooks, most of which are outputs; the text of their cells may have "
        "`index.max_file_bytes`"
    ),
    "index.max_chunk_bytes": "larger definitions are split at inner nodes",
    "index.include": (
        "patterns (gitignore syntax); if there are any, only paths that match one of them are indexed, unless another "
        "rule leaves them out"
    ),
    "index.exclude": "patterns to leave out",
    "index.hidden": "index dot files and directories",
    "index.gitignore": (
        "follow the ignore rules of version control (git's and `.hgignore`). `.ignore`, `.rgignore` and "
        "`.codeindexignore` always count"
    ),
    "workers.count": "worker processes; 0 = a single one, one file after the other",
    "workers.nice": "priority of bulk work; 19 is the lowest",
    "memory.budget_mb": "memory for all processes together; decides how many workers run",
    "disk.budget_gb": ("how large the shared vector store may grow (it has the vectors of transformers and endpoints)"),
    "embedding.model": ("`bundled`, a sentence-transformers model (name or absolute path), or the URL of an endpoint"),
    "embedding.batch_size": "chunks per call of a transformer or an endpoint",
    "embedding.device": "`cuda`, `mps` or `cpu`; `auto` takes the first that there is",
    "embedding.idle_unload_minutes": "an unused transformer is unloaded after this long",
    "search.default_limit": "hits in an answer",
    "history.enabled": "index the commits of git repositories, for `codeindex log` and what builds on it",
    "history.max_commits": "the newest commits that are indexed of each repository",
    "history.branches": (
        "patterns for branches whose commits are indexed besides those of `HEAD`: `release/*`, `origin/main`, `*`"
    ),
    "privacy.mask_secrets": "mask secrets before indexing and in snippets",
}
"""By ``section.key``."""

"""The version of all that turns a file's bytes into chunks; files with a different version are processed again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import xxhash

from codeindexd.analysis import secrets, tokens
from codeindexd.analysis.chunking.encoding import is_guessed
from codeindexd.analysis.chunking.grammars import fingerprint
from codeindexd.analysis.chunking.legacy_encoding import detector_version
from codeindexd.analysis.references.rules import REFERENCES_VERSION
from codeindexd.workers.jobs import WorkerSettings

PIPELINE_VERSION = 4
"""Increase it when the text given to the model, the terms of the lexical index, or the set of skipped files changes."""

TEXT_VERSION = 3
"""Increase it when the trigrams or the long runs of a file change, for example because decoding does."""


HISTORY_VERSION = 2
"""Increase it when a commit gets another record, other terms or another vector."""


def text_version(settings: WorkerSettings) -> str:
    """Return the version of the text index's content; an index with a different version is rebuilt."""
    return f"text={TEXT_VERSION} secrets={secrets.SECRETS_VERSION if settings.mask_secrets else 'off'}"


def history_fingerprint(model: str, *, mask_secrets: bool) -> str:
    """Return the version of the records of commits; a history store with a different version is built again.

    ``model`` is the identity of the bundled model.
    """
    parts = (HISTORY_VERSION, tokens.TOKENIZER_VERSION, secrets.SECRETS_VERSION if mask_secrets else "off", model)
    return "|".join(map(str, parts))


def fingerprints(settings: WorkerSettings) -> Callable[[str, str], bytes]:
    """Return a function from language and encoding to fingerprint (16 bytes), the same in the daemon and in workers."""

    @cache
    def of(language: str, encoding: str) -> bytes:
        parts = (
            fingerprint(language),
            f"pipeline={PIPELINE_VERSION}",
            f"references={REFERENCES_VERSION}",
            f"tokens={tokens.TOKENIZER_VERSION}",
            f"secrets={secrets.SECRETS_VERSION if settings.mask_secrets else 'off'}",
            f"chunk={settings.max_chunk_bytes}",
            *([f"encoding={detector_version()}"] if is_guessed(encoding) else []),
        )
        return xxhash.xxh3_128_digest("|".join(parts).encode())

    return of

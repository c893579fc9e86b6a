"""The version of everything that turns a file's bytes into chunks; files with another one are processed again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import xxhash

from codeindexd.analysis import chunking, secrets, tokens
from codeindexd.workers.jobs import WorkerSettings

PIPELINE_VERSION = 4
"""To be raised whenever the text given to the model, the terms of the lexical index or what is skipped change."""

TEXT_VERSION = 3
"""To be raised whenever the trigrams of a file change; they depend on decoding, too."""


def text_version(settings: WorkerSettings) -> str:
    """Return the version of what the text index holds: an index of another one is made again."""
    return f"text={TEXT_VERSION} secrets={secrets.SECRETS_VERSION if settings.mask_secrets else 'off'}"


def fingerprints(settings: WorkerSettings) -> Callable[[str, str], bytes]:
    """Return a function from language and encoding to 16-byte fingerprint, the same in daemon and workers."""

    @cache
    def of(language: str, encoding: str) -> bytes:
        parts = (
            chunking.fingerprint(language),
            f"pipeline={PIPELINE_VERSION}",
            f"tokens={tokens.TOKENIZER_VERSION}",
            f"secrets={secrets.SECRETS_VERSION if settings.mask_secrets else 'off'}",
            f"chunk={settings.max_chunk_bytes}",
            *([f"encoding={chunking.detector_version()}"] if chunking.is_guessed(encoding) else []),
        )
        return xxhash.xxh3_128_digest("|".join(parts).encode())

    return of

"""The version of everything that turns a file's bytes into chunks; a file with another one is processed again."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import xxhash

from codeindexd.analysis import chunking, secrets, tokens
from codeindexd.workers.jobs import WorkerSettings

PIPELINE_VERSION = 1
"""Raised whenever the text given to the model, or what is made of its words for the lexical index, changes."""


def fingerprints(settings: WorkerSettings) -> Callable[[str], bytes]:
    """The 16-byte fingerprint of a language under these settings, the same in daemon and workers."""

    @cache
    def of(language: str) -> bytes:
        parts = (
            chunking.fingerprint(language),
            f"pipeline={PIPELINE_VERSION}",
            f"tokens={tokens.TOKENIZER_VERSION}",
            f"secrets={secrets.SECRETS_VERSION if settings.mask_secrets else 'off'}",
            f"chunk={settings.max_chunk_bytes}",
        )
        return xxhash.xxh3_128_digest("|".join(parts).encode())

    return of

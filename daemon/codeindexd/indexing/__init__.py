"""From a queued file to a committed one."""

from __future__ import annotations

PIPELINE = "codeindexd.indexing.pipeline:Pipeline"
"""What the daemon's workers run ("module:class"); named, not imported, so that only they load parsers and models."""

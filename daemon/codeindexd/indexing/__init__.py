"""Takes files from the queue to the commit."""

from __future__ import annotations

PIPELINE = "codeindexd.indexing.pipeline:Pipeline"
"""The class that the workers run, as "module:class": a name, so that only workers load parsers and models."""

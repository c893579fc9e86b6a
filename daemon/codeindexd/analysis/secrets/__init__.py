"""Masks credentials in source text."""

from codeindexd.analysis.secrets.mask import SECRETS_VERSION, mask

__all__ = ["SECRETS_VERSION", "mask"]

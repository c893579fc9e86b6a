"""Secrets in source text: masking credentials."""

from codeindexd.analysis.secrets.mask import SECRETS_VERSION, mask

__all__ = ["SECRETS_VERSION", "mask"]

"""Secrets in source text: where they are, and the text without them."""

from codeindexd.analysis.secrets.mask import SECRETS_VERSION, mask

__all__ = ["SECRETS_VERSION", "mask"]

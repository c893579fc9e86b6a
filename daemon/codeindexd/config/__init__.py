"""The configuration: a frozen object, built from defaults, file, environment and command line."""

from codeindexd.config.settings import Config, Embedding, Index, RootConfig
from codeindexd.config.sources import load, load_root_config
from codeindexd.config.toml_text import to_toml

__all__ = ["Config", "Embedding", "Index", "RootConfig", "load", "load_root_config", "to_toml"]

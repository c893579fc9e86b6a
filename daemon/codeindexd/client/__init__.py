"""The Python library for the daemon: ``Client`` and, for asyncio and trio, ``AsyncClient``.

>>> with Client() as client:                                        # doctest: +SKIP
...     client.add("~/src/project", on_progress=print)
...     for hit in client.search("where are passwords checked")["hits"]:
...         print(hit["path"], hit["start_line"], hit["symbol"])

Results are the JSON documents of the protocol, typed as dictionaries (``codeindexd.client.results``): fields that a
newer daemon adds are kept. Errors are the classes of ``codeindexd.errors``. Importing the package is fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from codeindexd.client.sync import Client

if TYPE_CHECKING:
    from codeindexd.client.aio import AsyncClient

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    if name == "AsyncClient":  # imported on demand: anyio is slow to load
        from codeindexd.client.aio import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

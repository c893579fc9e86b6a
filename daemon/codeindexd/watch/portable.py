"""Events of directories by watchfiles, on systems whose own interface is not read directly."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import watchfiles

from codeindexd.watch.pacer import PollPacer

_GROUP_MS = 100  # a stream of events without a pause is delivered this often
_STEP_MS = 10  # a set of events waits this long for more; the shorter, the more wake-ups and losses


def watch(paths: Collection[str], pace: PollPacer, *, recursive: bool) -> Iterator[set[tuple[watchfiles.Change, str]]]:
    """Yield what changed directly inside (``recursive``: anywhere below) ``paths`` until ``pace`` is stopped.

    Raises OSError, and RuntimeError if a name is not UTF-8 or the stream breaks.
    """
    return watchfiles.watch(
        *paths,
        watch_filter=None,
        debounce=_GROUP_MS,
        step=_STEP_MS,
        stop_event=pace,
        rust_timeout=0,
        raise_interrupt=False,
        force_polling=False,
        recursive=recursive,
        ignore_permission_denied=False,
    )

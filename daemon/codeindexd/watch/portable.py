"""Events of directories through watchfiles, for systems other than Linux."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import watchfiles

from codeindexd.watch.pacer import PollPacer

_GROUP_MS = 100  # events that keep arriving without a pause are delivered this often
_STEP_MS = 10  # how long to wait for more events before delivering; the shorter, the more wake-ups and losses


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

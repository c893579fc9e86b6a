from __future__ import annotations

import anyio
import pytest

from codeindexd.roots.unreadable import UnreadablePaths

pytestmark = pytest.mark.anyio


def _message(unreadable: UnreadablePaths) -> str:
    assert unreadable.problem is not None
    return unreadable.problem.message


async def test_a_path_is_unreadable_until_a_scan_of_it_succeeds() -> None:
    unreadable = UnreadablePaths()
    assert unreadable.problem is None
    unreadable.update([b""], [(b"a/x", "Permission denied"), (b"b", "Input/output error")])
    assert _message(unreadable) == "a/x: Permission denied and 1 more"
    assert unreadable.paths == {b"a/x", b"b"}
    unreadable.update([b"a/xy", b"bb"], [])
    assert unreadable.paths == {b"a/x", b"b"}, "other paths were scanned"
    unreadable.update([b"a"], [])
    assert _message(unreadable) == "b: Input/output error"
    unreadable.update([b""], [])
    assert unreadable.problem is None


async def test_wait_returns_while_something_is_unreadable() -> None:
    unreadable = UnreadablePaths()
    unreadable.update([b""], [(b"a", "no")])
    with anyio.fail_after(5):
        await unreadable.wait()
    unreadable.update([b"a"], [])
    with anyio.move_on_after(0.01) as scope:
        await unreadable.wait()
    assert scope.cancelled_caught


async def test_a_waiting_task_is_woken_after_scans_without_errors() -> None:
    unreadable = UnreadablePaths()
    heard = anyio.Event()

    async def wait() -> None:
        await unreadable.wait()
        heard.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        unreadable.update([b""], [])
        unreadable.update([b""], [(b"a", "no")])
        with anyio.fail_after(5):
            await heard.wait()

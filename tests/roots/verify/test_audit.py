"""One comparison of a whole index with the disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from codeindexd.roots.verify.audit import audit
from codeindexd.scan.scanner import Scan, Scanner
from roots.real_root import harness
from support.trees import tree

pytestmark = [pytest.mark.anyio, pytest.mark.processes]


async def test_what_cannot_be_read_is_no_difference_but_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a.py": "def alpha(): pass\n", "b.py": "def beta(): pass\n", "closed/deep/c.py": "def gamma(): pass\n"}
    async with harness(tmp_path) as made:
        tree(made.path, files)
        async with made.running() as root:
            await root.sync(30)
            await root.pause()
            hidden = [made.path / "b.py", made.path / "closed"]
            scan = Scanner.scan

            def without_permission(self: Scanner, *arguments: Any, **more: Any) -> Scan:
                for number, path in enumerate(hidden):
                    path.rename(tmp_path / str(number))
                found = scan(self, *arguments, **more)
                for number, path in enumerate(hidden):
                    (tmp_path / str(number)).rename(path)
                    found.errors.append((path.name.encode(), "Permission denied"))
                return found

            with monkeypatch.context() as closed:
                closed.setattr(Scanner, "scan", without_permission)
                found = await audit(root.audit_target)
            assert found.differences == []
            assert found.notes == ["2 files were not compared, because they cannot be read now"]
            assert found.files == 1
            found = await audit(root.audit_target)
            assert (found.differences, found.notes, found.files) == ([], [], 3)

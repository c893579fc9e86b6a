#!/usr/bin/env python3
"""Print the commits that fixed bug reports, as questions for ``history_questions.py``.

python tests/benchmarks/report_fixes.py REPORTS [--git PATTERN] [--chosen-on | --reported-on] > FILE

REPORTS has one JSON object a line, as for ``quality.py``: the ``commit`` before the fix, the ``files`` that the fix
changed, and an ``id`` that ends with the number of the pull request. The question is the title of the report. Wanted
are the merge of the pull request and the commits in it that change these files, or the commits whose subjects end with
its number. Failing these, it is the first of the next commits that changes these files and a test. Reports whose fix is
not found are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.judged import Report, plain, reports

_NEXT = 5  # commits after the one that was reported on
_SHORT = 12


class _Repository:
    """A git directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def lines(self, *arguments: str) -> list[str]:
        """Return the lines that git prints; none if it fails."""
        command = ["git", "--git-dir", str(self._directory), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()

    def with_message(self, expression: str) -> list[str]:
        """Return the commits with a line of the message that matches an extended regular expression, newest first."""
        return self.lines("log", "--format=%H", "-E", f"--grep={expression}", "HEAD")

    def changed(self, commit: str) -> set[str]:
        """Return the paths that a commit changed, against its first parent."""
        return set(self.lines("diff-tree", "-r", "--no-commit-id", "--name-only", "-m", "--first-parent", commit))


def fixes(repository: _Repository, report: Report) -> list[str]:
    """Return the ids of the commits that fixed a report."""
    pull = report.name.rpartition("-")[2]
    files = {target.path for target in report.targets}
    merges = repository.with_message(rf"^Merge (pull request|PR) #{pull}\b")
    if merges:
        inside = repository.lines("rev-list", "--no-merges", f"{merges[-1]}^1..{merges[-1]}")
        return [merges[-1], *(one for one in inside if files & repository.changed(one))]
    subjects = repository.lines("log", "--format=%H %s", "--no-merges", f"{report.commit}..HEAD")
    numbered = [line.split(" ", 1)[0] for line in subjects if re.search(rf" \(#{pull}\)(?: \(#\d+\))*$", line)]
    if numbered:
        return numbered
    later = repository.lines("rev-list", "--reverse", "--ancestry-path", f"{report.commit}..HEAD")[:_NEXT]
    return list(_first_fix(repository, later, files))


def _first_fix(repository: _Repository, commits: Sequence[str], files: set[str]) -> Iterator[str]:
    """Yield the first of ``commits`` that changes all ``files`` and a test, if there is one."""
    for commit in commits:
        changed = repository.changed(commit)
        if files <= changed and any("test" in path for path in changed):
            yield commit
            return


def main() -> None:
    """Print one question a line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", type=Path, metavar="REPORTS")
    parser.add_argument("--git", default="{owner}+{name}/repo", help="where the git directory of a project is")
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--chosen-on", action="store_true", help="only projects on which weights are chosen")
    part.add_argument("--reported-on", action="store_true", help="only the other projects")
    args = parser.parse_args()
    for report in reports(args.reports):
        if (args.chosen_on and report.is_reported) or (args.reported_on and not report.is_reported):
            continue
        owner, name = report.project.split("/")
        found = fixes(_Repository(Path(args.git.format(owner=owner, name=name))), report)
        if found:
            title = plain(report.text.strip().split("\n", 1)[0])
            commits = [one[:_SHORT] for one in found]
            print(json.dumps({"repository": report.project, "question": title, "commits": commits}))


if __name__ == "__main__":
    main()

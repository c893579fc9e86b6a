"""Questions about the lines of a file and their history, which a worker answers, and the answers."""

from __future__ import annotations

import msgspec

from codeindexd.analysis.history.line_origins import BlamedLines, ChangedLines
from codeindexd.analysis.history.record import Commit

MOST_TEXT_LINES = 200
"""The lines of a question for more lines are not in the answer."""


class LineQuestion(msgspec.Struct, frozen=True, array_like=True):
    """A question about the file ``path`` below ``root``, which is ``tracked_as`` below the ``top`` of its repository.

    - ``first`` and ``last``: the lines whose origins are asked for; none if ``first`` is 0.
    - ``changed_first`` and ``changed_last``: the lines whose changes are asked for, at most ``limit`` commits; none if
      ``changed_first`` is 0. With origins, only commits that are older than the newest of them.
    """

    root: bytes
    path: bytes
    top: bytes
    tracked_as: bytes
    first: int = 0
    last: int = 0
    changed_first: int = 0
    changed_last: int = 0
    limit: int = 0


class LineAnswer(msgspec.Struct, frozen=True, array_like=True):
    """The origins of lines and the commits that changed them, newest first, with the records of all these commits.

    - ``line_count``: how many lines the file has; ``text``: the lines asked for, unless they are very many.
    - ``has_more``: more commits changed the lines than the limit allows.
    - ``boundary``: the commits at which the history ends because the repository was cloned without what is before.
    - ``ignored``: how many commits were looked through because the repository lists them as mere reformatting.
    """

    line_count: int
    text: list[str] = []
    origins: list[BlamedLines] = []
    changes: list[ChangedLines] = []
    commits: list[Commit] = []
    boundary: list[bytes] = []
    has_more: bool = False
    ignored: int = 0

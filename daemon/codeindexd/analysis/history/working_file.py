"""A file of a work tree and its committed versions: in HEAD, and in the commits that are being merged."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from codeindexd.analysis.history.file_versions import FileVersion, FileVersions
from codeindexd.analysis.history.location import GitLocation
from codeindexd.analysis.history.renames import RemovedFile, former_file

IGNORED_COMMITS_FILE = b".git-blame-ignore-revs"
"""The file at the top of a repository in which many projects list commits that blame should look through."""

_ID = re.compile(rb"[0-9a-f]{40}")
_MOST_BYTES = 1 << 20


def as_stored(data: bytes, committed: list[bytes]) -> bytes:
    """Return the content of a working file with line endings as in its ``committed`` contents.

    Which endings a work tree has depends on configuration that is not read. Blame does not count the difference.
    """
    if b"\r\n" in data and not any(b"\r\n" in content for content in committed):
        return data.replace(b"\r\n", b"\n")
    return data


def committed_versions(
    versions: FileVersions, location: GitLocation, head: bytes, path: bytes, data: bytes
) -> list[FileVersion]:
    """Return the versions of a working file in HEAD and in the commits being merged. Blocking; reads the work tree.

    ``path`` is relative to the top of the repository, ``data`` the content of the file. A file that is not in a commit
    may have been renamed since: then its former file is returned, as long as that one is not in the work tree.

    Raises MissingObjectError.
    """
    found = []
    for commit in [head, *_merged_commits(location)]:
        version = versions.find(commit, path)
        if version is None and location.top is not None and versions.can_be_renamed_to(commit, path):
            removed = sorted(_not_in_work_tree(versions, commit, os.fsencode(location.top)))
            former = former_file(path, versions.blob_id(data), data, removed, versions.data)
            version = FileVersion(commit, *former) if former is not None else None
        if version is not None:
            found.append(version)
    return found


def ignored_commits(location: GitLocation) -> frozenset[bytes]:
    """Return the commits that the file ``IGNORED_COMMITS_FILE`` of the work tree lists. Blocking."""
    if location.top is None:
        return frozenset()
    content = _read(os.fsencode(location.top) + b"/" + IGNORED_COMMITS_FILE)
    lines = (line.partition(b"#")[0].strip() for line in content.split(b"\n"))
    return frozenset(bytes.fromhex(line.decode()) for line in lines if _ID.fullmatch(line))


def _merged_commits(location: GitLocation) -> list[bytes]:
    ids = _read(os.fsencode(location.git_dir) + b"/MERGE_HEAD").split()
    return [bytes.fromhex(hex_id.decode()) for hex_id in ids if _ID.fullmatch(hex_id)]


def _not_in_work_tree(versions: FileVersions, commit: bytes, top: bytes) -> Iterator[RemovedFile]:
    for file in versions.files(commit):
        if not os.path.lexists(top + b"/" + file.path):
            yield file


def _read(file: bytes) -> bytes:
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    with os.fdopen(descriptor, "rb") as stream:
        try:
            return stream.read(_MOST_BYTES)
        except OSError:
            return b""

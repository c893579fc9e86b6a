"""What a history store knows of each root: from which commits its history was read, and how complete it is."""

from __future__ import annotations

import msgspec


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The history of one root in the store that it shares with the other clones of its repository.

    - ``signature``: a hash of all that decides which commits are wanted; ``tips``: the commits it was read from;
      ``base``: a hash of all but these.
    - ``branch``: the branch that is checked out, "" if none.
    - ``top``: the top of the work tree, b"" for a bare repository; ``prefix``: the root below it, with a final slash.
    - ``wanted``: how many commits the history has; ``unreadable``: how many of them the repository cannot deliver.
    - ``mailmap``: the content of ``.mailmap`` in HEAD, for a repository without a work tree.
    - ``is_truncated``: older commits were left out; ``is_shallow``: they were not fetched; ``missing``: parents that
      are lacking without a reason.
    """

    root: str
    git_dir: bytes
    common_dir: bytes
    top: bytes
    prefix: bytes
    signature: bytes
    base: bytes
    tips: tuple[bytes, ...]
    branch: str
    wanted: int
    is_complete: bool
    is_truncated: bool = False
    is_shallow: bool = False
    missing: int = 0
    unreadable: int = 0
    mailmap: bytes = b""

    @property
    def lacks_objects(self) -> bool:
        """True if the repository may gain objects that the history needs, without a change of its references."""
        return bool(self.missing or self.unreadable)


NO_VIEW = View(
    root="",
    git_dir=b"",
    common_dir=b"",
    top=b"",
    prefix=b"",
    signature=b"",
    base=b"",
    tips=(),
    branch="",
    wanted=0,
    is_complete=False,
)
"""The view of no root, for looking at commits as such."""

_decoder = msgspec.msgpack.Decoder(View)


def encode_view(view: View) -> bytes:
    """Return a view as bytes."""
    return msgspec.msgpack.encode(view)


def decode_view(data: bytes) -> View:
    """Return an encoded view. Raises msgspec.MsgspecError for damaged data."""
    return _decoder.decode(data)

"""The ends of an edge: a definition in its file, and how sure it is that a reference means it."""

from __future__ import annotations

import enum

from msgspec import Struct

from codeindexd.search.graph.code_file import CodeFile
from codeindexd.types import DECLARATION, FUNCTION_KINDS, Definition


class Confidence(enum.IntEnum):
    """How a reference was resolved, from the least certain way to the most certain."""

    POSSIBLE = 0
    """The names are equal, but several definitions or a type of the language have this name."""

    NAME = 1
    """The receiver is unknown, but only one definition, or one family of types, has this name."""

    IMPORT = 2
    """An import, the package or a base class leads to the definition."""

    EXACT = 3
    """The scope or the plain type of the receiver determines the definition."""

    @property
    def label(self) -> str:
        """The name in answers."""
        return self.name.lower()


class Target(Struct, frozen=True, eq=False):
    """A definition in its file: ``file.definitions[number]``."""

    file: CodeFile
    number: int

    @property
    def definition(self) -> Definition:
        """The definition itself."""
        return self.file.definitions[self.number]

    @property
    def key(self) -> tuple[int, int]:
        """What identifies the definition within its root and generation."""
        return self.file.file.file_id, self.number

    @property
    def container(self) -> Definition | None:
        """The definition around it, if there is one."""
        number = self.definition.container
        return self.file.definitions[number] if number >= 0 else None

    @property
    def owner(self) -> str:
        """The name of the type of which this is a member; "" if it is not a member."""
        return self.file.owner_of(self.number)

    @property
    def is_local(self) -> bool:
        """True if it is defined inside a function, so that only this function can refer to it."""
        container = self.container
        return container is not None and container.kind in FUNCTION_KINDS

    @property
    def is_assigned(self) -> bool:
        """True for a field that methods assign to and nothing declares."""
        return self.file.is_assigned(self.number)

    @property
    def is_function(self) -> bool:
        """True for functions, methods, constructors and macros, also those that are only declared."""
        one = self.definition
        return one.kind in FUNCTION_KINDS or (one.kind == DECLARATION and "(" in one.signature)

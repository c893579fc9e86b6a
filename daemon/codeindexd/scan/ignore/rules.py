"""Decides which paths below a root are left out, and by which rule.

The first of these that applies decides:

1. version control stores and sensitive names: always left out;
2. ``exclude`` and ``include`` of the configuration;
3. ``.codeindexignore``, the deepest file first: a negation here also overrides every default below;
4. ``.rgignore``, then ``.ignore``, which search tools read: the deepest file first; a negation overrides git's rules;
5. git's own rules, exactly as git applies them to untracked files: ``.gitignore``, the deepest first, then the
   repository's ``info/exclude``, then the user's global excludes. A negation here only overrides git's rules:
   a lock file that git should track is still not worth searching. A ``.hgignore`` beside ``.hg`` counts as one of them;
6. the defaults: hidden directories, vendored, generated, minified and binary files, backups of editors.

A name that is decomposed (NFD, as macOS writes "é") also matches as the composed one that people type in patterns.
``gitignore=False`` turns off only the rules of version control (the fifth), not those of search tools.

A file that git tracks is neither ignored by git's rules nor left out as hidden or as a backup. In a directory that is
kept only because it contains tracked files, nothing else is kept, as git itself ignores everything else there.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from codeindexd.scan.ignore.builtin import (
    FINAL,
    UNLESS_TRACKED,
    Verdict,
    directory_verdict,
    file_verdict,
    marker_verdict,
    package_file_among,
)
from codeindexd.scan.ignore.mercurial import compiled_hgignore
from codeindexd.scan.ignore.patterns import PatternSet, compiled, rule_text
from codeindexd.scan.ignore.sieve import suspects
from codeindexd.scan.relpath import name_of, nfc

GITIGNORE = b".gitignore"
OWN_IGNORE = b".codeindexignore"
HGIGNORE = b".hgignore"
_SEARCH_IGNORE = (b".rgignore", b".ignore")
IGNORE_FILES = frozenset({GITIGNORE, OWN_IGNORE, HGIGNORE, *_SEARCH_IGNORE})


class ExcludeFile(NamedTuple):
    """One of git's exclude files: its name for users, its content, and whether users may be shown its lines."""

    name: str
    content: bytes
    quotable: bool = True


class Tracked(Protocol):
    """The paths that git tracks in a repository, relative to the root."""

    def keeps(self, path: bytes, verdict: Verdict, *, is_dir: bool) -> bool:
        """Return True if git tracks ``path`` or a file in it, so that it is kept although ``verdict`` leaves it out.

        Raises OSError if the process has no free file descriptor.
        """

    def overridden_verdict(self, directory: bytes) -> Verdict | None:
        """Return the verdict that :meth:`keeps` overrode for ``directory``, or None."""


class _Level(Struct, frozen=True):
    """A pattern file, with what makes a path relative to its directory.

    ``skip`` leading bytes are removed from a path relative to the root; for a file above the root, the prefix ``above``
    is added. ``source`` names the file to users, and ``quotable`` says whether its lines may be shown.
    """

    source: str
    patterns: PatternSet
    skip: int = 0
    above: bytes = b""
    quotable: bool = True

    def verdict(self, name: bytes, path: bytes, is_dir: bool) -> Verdict | None:
        """Return the verdict of this file on ``path``, which is relative to the root; None if no pattern matches."""
        path = self.above + path if self.above else path[self.skip :]
        pattern = self.patterns.last_match(name, path, is_dir)
        if not path.isascii() and (composed := nfc(path)) != path:
            also = self.patterns.last_match(name_of(composed), composed, is_dir)
            pattern = max(filter(None, (pattern, also)), key=lambda candidate: candidate.line, default=None)
        if pattern is None:
            return None
        rule = rule_text(self.source, pattern) if self.quotable else f"{self.source}:{pattern.line}"
        return Verdict(not pattern.negative, "ignored", rule)


class IgnoreRules(Struct, frozen=True):
    """The rules for the children of one directory. Immutable; shared with the parent if nothing is added."""

    _git: tuple[_Level, ...]
    _search: tuple[tuple[_Level, ...], ...]
    _own: tuple[_Level, ...]
    _exclude: _Level | None
    _include: _Level | None
    _hidden: bool
    _gitignore: bool
    _defaults: bool
    _tracked: Tracked | None = None
    _only_tracked: Verdict | None = None
    _package_file: bytes = b""

    @classmethod
    def for_root(
        cls,
        *,
        exclude_sources: Sequence[ExcludeFile] = (),
        above: Sequence[tuple[str, bytes, bytes]] = (),
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        hidden: bool = False,
        gitignore: bool = True,
        defaults: bool = True,
        tracked: Tracked | None = None,
    ) -> IgnoreRules:
        """Return the rules from outside the root; ``enter(b"", ...)`` adds those in the root itself.

        - ``exclude_sources``: info/exclude and the global excludes, in this order of precedence.
        - ``above``: ignore files above a root that lies inside a repository, the nearest first, as (name, content, path
          of the root relative to that file's directory, ending in ``/``).
        - ``include``, ``exclude``: patterns in gitignore syntax. If ``include`` is not empty, files that match none of
          its patterns are left out.
        - ``hidden``: keep hidden directories. ``gitignore``: apply the rules of git, Mercurial and search tools.
          ``defaults``: apply the default rules.
        - ``tracked``: the index of the repository that contains the root.
        """
        top = above[-1][2] if above else b""
        levels = [_Level(name, compiled(content), above=prefix) for name, content, prefix in above]
        levels += [
            _Level(name, compiled(content), above=top, quotable=quotable) for name, content, quotable in exclude_sources
        ]
        return cls(
            tuple(level for level in levels if level.patterns) if gitignore else (),
            (),
            (),
            _configured("exclude", exclude),
            _configured("include", include),
            hidden,
            gitignore,
            defaults,
            tracked,
        )

    def enter(
        self,
        directory: bytes,
        files: Mapping[bytes, bytes],
        repository: Sequence[ExcludeFile] | None = None,
        tracked: Tracked | None = None,
        *,
        names: Collection[bytes] = (),
    ) -> IgnoreRules:
        """Return the rules for the children of ``directory`` (relative to the root), which contains ``names``.

        Call it on the rules of the parent. ``files`` maps the names of the ignore files in ``directory`` to their
        content. If ``directory`` is the top of another repository, ``repository`` are its exclude sources, as in
        ``for_root``, and ``tracked`` is its index; git rules from above do not apply in it.
        """
        skip = len(directory) + 1 if directory else 0
        prefix = directory.decode("utf-8", "backslashreplace") + "/" if directory else ""
        git = self._git
        if self._gitignore:
            git = self._git_levels(files, repository, prefix, skip, has_hg=b".hg" in names)
        search = self._search_levels(files, prefix, skip)
        own = self._own
        if patterns := compiled(files.get(OWN_IGNORE, b"")):
            own = (_Level(f"{prefix}.codeindexignore", patterns, skip), *own)
        include = self._include
        if include is not None and directory and self._is_included(directory, is_dir=True):
            include = None
        only_tracked = self._only_tracked
        if repository is not None:
            only_tracked = None
        else:
            tracked = self._tracked
            if only_tracked is None and directory and tracked is not None:
                only_tracked = tracked.overridden_verdict(directory)
        package_file = package_file_among(names)
        same = git is self._git and search is self._search and own is self._own and include is self._include
        same = same and tracked is self._tracked and only_tracked is self._only_tracked
        if same and package_file == self._package_file:
            return self
        return replace(
            self,
            _git=git,
            _search=search,
            _own=own,
            _include=include,
            _tracked=tracked,
            _only_tracked=only_tracked,
            _package_file=package_file,
        )

    def _git_levels(
        self,
        files: Mapping[bytes, bytes],
        repository: Sequence[ExcludeFile] | None,
        prefix: str,
        skip: int,
        *,
        has_hg: bool,
    ) -> tuple[_Level, ...]:
        """Return the rules of version control with those of one more directory, as :meth:`enter` is given them."""
        git = self._git
        if repository is not None:
            fresh = [_Level(name, compiled(content), skip, quotable=quotable) for name, content, quotable in repository]
            git = tuple(level for level in fresh if level.patterns)
        if patterns := compiled(files.get(GITIGNORE, b"")):
            git = (_Level(f"{prefix}.gitignore", patterns, skip), *git)
        if has_hg:
            found = compiled_hgignore(files.get(HGIGNORE, b""))
            git = (*(_Level(f"{prefix}.hgignore", patterns, skip) for patterns in found), *git)
        return git

    def _search_levels(self, files: Mapping[bytes, bytes], prefix: str, skip: int) -> tuple[tuple[_Level, ...], ...]:
        """Return the rules of search tools with those of one more directory."""
        if not any(files.get(name) for name in _SEARCH_IGNORE):
            return self._search
        return tuple(
            (_Level(f"{prefix}{name.decode()}", patterns, skip), *levels)
            if (patterns := compiled(files.get(name, b"")))
            else levels
            for name, levels in zip(_SEARCH_IGNORE, self._search or ((), ()), strict=True)
        )

    def verdict(self, path: bytes, *, is_dir: bool) -> Verdict | None:
        """Return why ``path``, a child of the entered directory, is left out; None if it is kept.

        A symbolic link is not a directory, whatever it points to. Raises OSError as :meth:`Tracked.keeps`.
        """
        return self.judge(name_of(path), path, is_dir)

    def suspects(self, directory: bytes, names: Sequence[bytes]) -> Collection[bytes]:
        """Return the file ``names`` in the entered ``directory`` that :meth:`verdict` may leave out.

        All others are kept. Names must not be empty or contain a slash.
        """
        if self._include is not None or self._only_tracked is not None:
            return set(names)
        prefix = directory + b"/" if directory else b""
        levels = (*self._own, *itertools.chain(*self._search), *self._git)
        levels = levels if self._exclude is None else (self._exclude, *levels)
        found = suspects([(level.patterns, (level.above + prefix)[level.skip :]) for level in levels], names)
        if levels and not (prefix.isascii() and b"".join(names).isascii()):
            found.update(name for name in names if nfc(prefix + name) != prefix + name)
        return found

    def judge(self, name: bytes, path: bytes, is_dir: bool) -> Verdict | None:
        """Return the result of :meth:`verdict`, given also ``name``, the last component of ``path``."""
        default = directory_verdict(name, self._package_file) if is_dir else file_verdict(name)
        if default is not None and default.reason in FINAL:
            return default
        if (self._exclude or self._include) and (configured := self._configured_verdict(name, path, is_dir)):
            return configured
        for level in self._own:
            if (own := level.verdict(name, path, is_dir)) is not None:
                return own if own.ignored else None
        searched = self._verdict_of_search_files(name, path, is_dir) if self._search else None
        if searched is not None and searched.ignored:
            return searched
        ignored = self._only_tracked or (None if searched else self._ignored_by_git(name, path, is_dir))
        if default is not None and not self._is_in_force(default):
            default = None
        if default is not None and default.reason in UNLESS_TRACKED:
            ignored, default = ignored or default, None
        if ignored is not None and (self._tracked is None or not self._tracked.keeps(path, ignored, is_dir=is_dir)):
            return ignored
        return default

    def _verdict_of_search_files(self, name: bytes, path: bytes, is_dir: bool) -> Verdict | None:
        for levels in self._search:
            for level in levels:
                if (verdict := level.verdict(name, path, is_dir)) is not None:
                    return verdict
        return None

    def _ignored_by_git(self, name: bytes, path: bytes, is_dir: bool) -> Verdict | None:
        for level in self._git:
            if (git := level.verdict(name, path, is_dir)) is not None:
                return git if git.ignored else None
        return None

    def content_verdict(
        self, directory: bytes, names: Collection[bytes], other: Verdict | None = None
    ) -> Verdict | None:
        """Return why ``directory`` is left out for the ``names`` in it, such as a virtual environment; None if kept.

        Call it on the rules of the parent. ``other`` is a further default that the caller found to apply. The root is
        always kept.
        """
        name = name_of(directory)
        if not directory or not self._defaults or (verdict := marker_verdict(name, names) or other) is None:
            return None
        overridden = next((own for level in self._own if (own := level.verdict(name, directory, is_dir=True))), None)
        return verdict if overridden is None else None

    def _is_in_force(self, default: Verdict) -> bool:
        return not self._hidden if default.reason == "hidden" else self._defaults

    def _configured_verdict(self, name: bytes, path: bytes, is_dir: bool) -> Verdict | None:
        if self._exclude is not None:
            excluded = self._exclude.verdict(name, path, is_dir)
            if excluded is not None and excluded.ignored:
                return Verdict(ignored=True, reason="excluded", rule=excluded.rule)
        if self._include is None or self._is_included(path, is_dir=is_dir):
            return None
        if is_dir and any(self._include.patterns.may_match_below(form + b"/") for form in {path, nfc(path)}):
            return None
        return Verdict(ignored=True, reason="excluded", rule="include: no pattern matches")

    def _is_included(self, path: bytes, *, is_dir: bool) -> bool:
        assert self._include is not None
        matched = self._include.verdict(name_of(path), path, is_dir)
        return matched is not None and matched.ignored


def _configured(source: str, patterns: Sequence[str]) -> _Level | None:
    content = "\n".join(patterns).encode("utf-8", "surrogateescape")
    return _Level(source, compiled(content)) if patterns else None

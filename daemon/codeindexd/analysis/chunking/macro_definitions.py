"""Finds what macros of C define: well-known ones of Linux, those that a function body follows, and those of the file.

``DEFINE_MUTEX(lock)`` defines ``lock``, ``BPF_CALL_2(name, ...) {`` the function ``name``, and ``FLAG(Busy)`` in a file
with ``#define FLAG(name) int Is##name(void) { ... }`` the function ``IsBusy``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from codeindexd.types import DECLARATION

_MOST_LEVELS: Final = 4  # of macros that use others
_MOST_MACROS: Final = 500  # of a file, in whose bodies definitions are looked for
_MOST_BODY: Final = 4_000  # bytes
_MOST_DEFINED: Final = 20_000  # by the macros of one file

_WORDS: Final = (
    b"DEFINE_", b"DECLARE_", b"TRACE_EVENT", b"LIST_HEAD(", b"NOTIFIER_HEAD(", b"_ATTR(", b"_ATTR_R", b"_ATTR_WO",
    b"SYSCALL_DEFINE",
)  # fmt: skip
"""What a macro in ``_WELL_KNOWN`` contains: finding a few words is far cheaper than a regex over all lines."""

_WELL_KNOWN: Final = re.compile(  # groups: the macro, its first argument, its second argument
    rb"(?:(?:static|extern|const|__\w+)[ \t]+)*+(DEFINE_[A-Z]\w*|(?:COMPAT_)?SYSCALL_DEFINE\d|DECLARE_[A-Z]\w*"
    rb"|TRACE_EVENT\w*|[HL]?LIST_HEAD|(?:ATOMIC|BLOCKING|RAW|SRCU)_NOTIFIER_HEAD|(?:DEVICE|DRIVER|BUS|CLASS|BIN)_ATTR(?:_RW|_RO|_WO)?)"
    rb"\(\s*+([A-Za-z_]\w*+)\s*+(?:,\s*+(\w++)\s*+)?(?=[,()])"
)
_ACCESS: Final = re.compile(rb"(?<=_ATTR)_(?:RW|RO|WO)\Z")
_FUNCTION: Final = re.compile(rb"TRACE_EVENT|DEFINE_EVENT|(?:COMPAT_)?SYSCALL_DEFINE")
_SECOND: Final = re.compile(rb"DEFINE_EVENT\w*\Z")
"""Macros whose second argument is the name."""

_PER_TYPE: Final = re.compile(
    rb"(?:(?:static|extern)[ \t]+)*+(DE(?:FINE|CLARE)_PER_CPU\w*)\([^,()\n]*+,\s*+(\w++)\s*+(?:\[[^\]\n]*\]\s*+)*+\)"
)
_ONLY_DECLARING: Final = re.compile(rb"DECLARE_(?:PER_CPU|STATIC_KEY|STATIC_CALL|TRACE|EVENT)")
_DERIVED: Final[Mapping[bytes, tuple[str, ...]]] = {
    b"BIN_ATTR": ("bin_attr_%",),
    b"BUS_ATTR": ("bus_attr_%",),
    b"CLASS_ATTR": ("class_attr_%",),
    b"DEFINE_EVENT": ("%", "trace_%"),
    b"DEFINE_PROC_SHOW_ATTRIBUTE": ("%_proc_ops",),
    b"DEFINE_SEQ_ATTRIBUTE": ("%_fops",),
    b"DEFINE_SHOW_ATTRIBUTE": ("%_fops",),
    b"DEFINE_SHOW_STORE_ATTRIBUTE": ("%_fops",),
    b"DEVICE_ATTR": ("dev_attr_%",),
    b"DRIVER_ATTR": ("driver_attr_%",),
    b"TRACE_EVENT": ("%", "trace_%"),
}
"""Names that macros make of an argument."""

_USING: Final = re.compile(
    rb"^(?:static[ \t]+)?(?:DEFINE_(?:PROC_)?(?P<show>SHOW)(?P<write>_STORE)?_ATTRIBUTE|DEFINE_(?P<seq>SEQ)_ATTRIBUTE"
    rb"|(?:DEVICE|DRIVER|BUS|CLASS)_ATTR_(?P<attribute>RW|RO|WO))\((\w++)\)",
    re.MULTILINE,
)

_WITH_BODY: Final = re.compile(  # ``BPF_CALL_2(name, int, a)`` and a body
    rb"\n(?:static[ \t]+)?([A-Z][A-Z0-9_]{2,})\(\s*+([A-Za-z_]\w*+)(?=\s*+[,)])"
    rb"(?:[^;{}()#\"]|\([^;{}()#]*\)){0,500}+\)\s*+\{"
)
_HEAD: Final = re.compile(
    rb"^[ \t]*+#[ \t]*+define[ \t]++(\w++)\(([\w\s,.\\]*+)\)((?:[^\\\n]|\\\r?\n|\\.){0,%d}+)" % _MOST_BODY, re.MULTILINE
)
_PASTED: Final = rb"\w++(?:\s*+##\s*+\w++)*+"
_TEMPLATE: Final = re.compile(  # groups: a function, a variable, a type, a macro and its arguments
    rb"[\w*]\s[\s*\\]*+(" + _PASTED + rb")\s*+\((?=(?:[^(){};]|\([^(){};]*\))*\)[\s\\]*+\{)"
    rb"|[\w*]\s[\s*\\]*+(" + _PASTED + rb")\s*+(?:\[[^\[\]]*\]\s*+)*+(?:=|;|\Z)"
    rb"|\b(?:struct|union|enum)\s++(" + _PASTED + rb")[\s\\]*+\{"
    rb"|(?<![\w#])(\w++)\(([^(){};]*+)\)"
)
_JOINED: Final = re.compile(rb"\s*##\s*")
_NAME: Final = re.compile(rb"[A-Za-z_]\w*")
_NOT_NAMES: Final = frozenset(b"if for while switch return sizeof do else defined".split())


class _Template(NamedTuple):
    """A name in the body of a macro, as parts that are joined; one that is a parameter is replaced by an argument."""

    kind: str
    parts: list[bytes]


class _Use(NamedTuple):
    """The use of another macro in the body of one."""

    macro: bytes
    arguments: list[bytes]


class _Macro(NamedTuple):
    parameters: list[bytes]
    body: bytes


def made_by_macros(text: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield (kind, name, offset of the argument that names it) of what macros of C define in a text."""
    yield from _well_known(text)
    for match in _WITH_BODY.finditer(text):
        yield "function", match[2].decode(), match.start(2)
    if b"##" in text:
        yield from _made_here(text)


def used_by_macros(text: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield (offset, name) of the functions that well-known macros refer to by a part of their names: ``name_show``."""
    if b"_ATTR" not in text:
        return
    for match in _USING.finditer(text):
        attribute = match["attribute"] or b""
        suffixes = [
            *([b"_show"] if match["show"] or b"R" in attribute else []),
            *([b"_store"] if b"W" in attribute else []),
            *([b"_write"] if match["write"] else []),
            *([b"_sops"] if match["seq"] else []),
        ]
        for suffix in suffixes:
            yield match.start(5), match[5] + suffix


def _well_known(text: bytes) -> Iterator[tuple[str, str, int]]:
    for start in sorted({start for word in _WORDS for start in _lines_with(text, word)}):
        if match := _PER_TYPE.match(text, start):
            kind = DECLARATION if match[1].startswith(b"DECLARE") else "variable"
            yield kind, match[2].decode(), match.start(2)
        elif match := _WELL_KNOWN.match(text, start):
            macro = match[1]
            number = 3 if _SECOND.match(macro) and match[3] else 2
            kind = DECLARATION if _ONLY_DECLARING.match(macro) else "variable"
            kind = "function" if _FUNCTION.match(macro) else kind
            for name in _DERIVED.get(_ACCESS.sub(b"", macro), ("%",)):
                yield kind, name.replace("%", match[number].decode()), match.start(number)


def _lines_with(text: bytes, word: bytes) -> Iterator[int]:
    """Yield the offsets at which the lines with a word begin."""
    at = text.find(word)
    while at >= 0:
        yield text.rfind(b"\n", 0, at) + 1
        at = text.find(b"\n", at)
        at = text.find(word, at) if at >= 0 else at


def _made_here(text: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield what the macros of a text that join names define where it uses them, at the beginning of a line."""
    macros: dict[bytes, _Macro] = {}
    for match in _HEAD.finditer(text):
        if match[1] not in macros and len(macros) < _MOST_MACROS:
            parameters = [part.strip(b" \t\\\r\n") for part in match[2].split(b",")]
            macros[match[1]] = _Macro(parameters, match[3])
    templates = {name: _templates(one) for name, one in macros.items()}
    joining = _joining(templates)
    if not joining:
        return
    uses = re.compile(
        rb"^(?:(?:static|extern|inline|const)[ \t]+)*+((?:(?:"
        + b"|".join(sorted(joining))
        + rb")\([^(){};#\n]*\)[ \t]*+)+)",
        re.MULTILINE,
    )
    count = 0
    for line in uses.finditer(text):
        for use in re.finditer(rb"(\w+)\(([^()]*)\)", line[1]):
            first = line.start(1) + use.start(2)
            at = first + len(use[2]) - len(use[2].lstrip())
            for kind, name in _expanded(use[1], use[2].split(b","), templates, macros, _MOST_LEVELS):
                count += 1
                if count > _MOST_DEFINED:
                    return
                yield kind, name.decode("utf-8", "replace"), at


def _joining(templates: Mapping[bytes, list[_Template | _Use]]) -> set[bytes]:
    """Return the macros that define a name, or use one that does."""
    found = {name for name, parts in templates.items() if any(isinstance(one, _Template) for one in parts)}
    for _ in range(_MOST_LEVELS):
        more = {
            name
            for name, parts in templates.items()
            if name not in found and any(isinstance(one, _Use) and one.macro in found for one in parts)
        }
        if not more:
            break
        found |= more
    return found


def _templates(macro: _Macro) -> list[_Template | _Use]:
    """Return what a macro defines outside braces with a name that depends on its arguments, and the macros it uses."""
    body = macro.body
    found: list[_Template | _Use] = []
    depth = at = 0
    for match in _TEMPLATE.finditer(body):
        depth += body.count(b"{", at, match.start()) - body.count(b"}", at, match.start())
        at = match.start()
        if depth > 0:
            continue
        kinds = ("function", "variable", "struct")
        number = match.lastindex or 0
        if number in (1, 2, 3):
            parts = _JOINED.split(match[number])
            if set(parts) & set(macro.parameters) and parts[0] not in _NOT_NAMES:
                found.append(_Template(kinds[number - 1], parts))
        elif match[4] not in _NOT_NAMES:
            found.append(_Use(match[4], [one.strip(b" \t\\\r\n") for one in match[5].split(b",")]))
    return found


def _expanded(
    name: bytes,
    arguments: list[bytes],
    templates: Mapping[bytes, list[_Template | _Use]],
    macros: Mapping[bytes, _Macro],
    levels: int,
) -> Iterator[tuple[str, bytes]]:
    """Yield the (kind, name) of what one use of a macro defines."""
    values = dict(zip(macros[name].parameters, (argument.strip() for argument in arguments), strict=False))

    def joined(parts: list[bytes]) -> bytes:
        return b"".join(values.get(part, part) for part in parts)

    for part in templates[name]:
        if isinstance(part, _Template):
            made = joined(part.parts)
            if _NAME.fullmatch(made):
                yield part.kind, made
        elif part.macro in macros and part.macro != name and levels:
            inner = [joined(_JOINED.split(argument)) for argument in part.arguments]
            yield from _expanded(part.macro, inner, templates, macros, levels - 1)

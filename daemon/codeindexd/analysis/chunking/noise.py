"""Blanks out text that a grammar does not know, byte for byte, so that what is around it can be parsed.

Offsets stay what they are: everything is replaced by spaces, and line ends are kept. Only what is known to be noise is
blanked: conflict markers with the side that comes second, macros of C and C++ where no grammar allows them, all
branches of ``#if`` but one, two constructs of Kotlin, and commands of SQL clients.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

_ARGUMENTS: Final = rb"(?:\s?\((?:[^()\n]|\((?:[^()\n]|\([^()\n]*\))*\))*\))"
_MACRO: Final = rb"[A-Z](?<!\w[A-Z])(?=[A-Z0-9]*_)[A-Z0-9_]*+"
_NOT_NEWLINE: Final = re.compile(rb"[^\n]")
_CONFLICT: Final = re.compile(
    rb"^<{7}(?: [^\n]*)?\n|^(?:\|{7}[^\n]*\n(?:(?!={7})[^\n]*\n)*)?={7}\n(?:(?!>{7})[^\n]*\n)*>{7}[^\n]*$", re.MULTILINE
)


class _Macro(NamedTuple):
    """Macros that are noise: ``pattern`` matches from the macro (group 1) on, ``before`` the text that ends at it.

    A search for capital letters is several times as fast as one that begins with what may stand before them.
    """

    pattern: re.Pattern[bytes]
    before: re.Pattern[bytes]


_REACH: Final = 1_000  # bytes before a macro that are looked at
_NEAR: Final = 60  # the same, if one word tells
_BEFORE_TYPE_NAME: Final = tuple(  # ``class LIB_API Button``, ``struct __declspec(align(8)) S``
    _Macro(
        re.compile(
            rb"(" + first + _ARGUMENTS + rb"?+\s++(?:(?:[A-Z][A-Z0-9_]*|__\w+)" + _ARGUMENTS + rb"?+\s++){0,6})"
            rb"(?=[A-Za-z_]\w*(?:<[^;{}]{0,500}>)?\s*(?:final\b\s*)?(?::(?!:)|\{))"
        ),
        re.compile(rb"(?<![\w.])(?:class|struct|union|enum(?:\s++class)?)\s++\Z"),
    )
    for first in (rb"[A-Z](?<=[smnt\s]\s[A-Z])[A-Z0-9_]*", rb"__(?<=[smnt\s]\s__)\w+")
)
_BEFORE_SCOPE: Final = re.compile(  # ``LIB_BEGIN_NAMESPACE`` on a line of its own, before something of the file's
    rb"^[ \t]*+([A-Z][A-Z0-9_]{3,}" + _ARGUMENTS + rb"?)[ \t]*+"
    rb"(?=\s*\n\s*(?:namespace|class|struct|template|enum|using)\b)",
    re.MULTILINE,
)
_AT_START: Final = re.compile(rb"(?:^|(?<=[;{}>]))[ \t]*+\Z", re.MULTILINE)
_BEFORE_KEYWORD: Final = _Macro(  # ``LIB_EXPORT template <typename T> class X``
    re.compile(
        rb"(" + _MACRO + _ARGUMENTS + rb"?)\s++"
        rb"(?=(?:template|class|struct|enum|union|using|typedef|namespace|inline|static|constexpr|explicit|virtual)\b)"
    ),
    _AT_START,
)
_AT_LINES_OF_C: Final = tuple(  # the same in C, where they begin lines: that is found several times as fast
    (re.compile(rb"\n" + pattern), re.compile(pattern))
    for pattern in (
        rb"[ \t]*+(?:(?:typedef|static|const|extern)[ \t]++)*+(?:struct|union|enum)[ \t]++"
        rb"([A-Z][A-Z0-9_]*" + _ARGUMENTS + rb"?+\s++(?:(?:[A-Z][A-Z0-9_]*|__\w+)" + _ARGUMENTS + rb"?+\s++){0,6})"
        rb"(?=[A-Za-z_]\w*\s*\{)",
        rb"[ \t]*+([A-Z][A-Z0-9_]{3,}" + _ARGUMENTS + rb"?)[ \t]*+(?=\s*\n\s*(?:struct|enum)\b)",
        rb"[ \t]*+(" + _MACRO + _ARGUMENTS + rb"?)\s++(?=(?:struct|enum|union|typedef|inline|static)\b)",
    )
)
_ALONE: Final = re.compile(
    rb"^[ \t]*+([A-Z](?:[A-Z0-9_]{2,}+" + _ARGUMENTS + rb"?|[A-Z0-9]?" + _ARGUMENTS + rb"))[ \t]*+;?[ \t]*+$",
    re.MULTILINE,
)
_BEFORE_FUNCTION: Final = _Macro(  # ``LIB_API void f(``, also after other specifiers
    re.compile(
        rb"(" + _MACRO + _ARGUMENTS + rb"?)\s++"
        rb"(?=(?:[A-Za-z_][\w:]*(?:<[^;{}()]{0,500}>)?[\s*&]++){1,12}+[*&]*[\w:~]+\s*+[({;=])"
    ),
    re.compile(
        rb"(?:^|(?<=[;{}>]))[ \t]*+"
        rb"(?:(?:static|inline|virtual|explicit|extern|friend|constexpr|template\s*+<[^;{}()]*>)\s++)*+\Z",
        re.MULTILINE,
    ),
)
_BEFORE_CONSTRUCTOR: Final = _Macro(  # ``LIB_CONSTEXPR Point(int x) : x_(x) {``
    re.compile(
        rb"(" + _MACRO + _ARGUMENTS + rb"?)\s++"
        rb"(?=[A-Za-z_]\w*+\s*+\([^;{}]{0,1000}\)\s*+(?:noexcept\b[^;{}:]{0,100}+)?(?::(?!:)|\{|=\s*+(?:default|delete)\b))"
    ),
    _AT_START,
)
_AFTER_PARAMETERS: Final = re.compile(
    rb"\)\s*+(?:(?:const|noexcept|override|final)\s++)*+(" + _MACRO + _ARGUMENTS + rb"?)(?=\s*+(?:[;{]|->|=\s*0))"
)
_BEFORE_POINTER: Final = re.compile(rb"\(\s*+([A-Z][A-Z0-9_]++)\s++\*\s*+(?:const\s++)?\w++\s*+\)\s*+\(")
"""A calling convention in a pointer to a function: ``typedef int (WINAPI *callback)(int)``."""

_NO_ANNOTATION: Final = (  # types, and words that the grammar knows
    rb"(?!(?:u|s|le|be|int|uint|m|float|fp|bf)[0-9]|(?:builtin|kernel)_|(?:attribute|asm|typeof|extension|inline"
    rb"|restrict|volatile|const|declspec|sum16|wsum|poll_t|va_list|stdcall|cdecl|fastcall|thiscall|vectorcall"
    rb"|forceinline|unaligned|try|except|finally|signed|alignof|auto_type|real|imag|complex|thread)(?:__)?\b)"
)
_ONE_ANNOTATION: Final = (  # with arguments before another such word, it is the name of a function
    rb"__(?<=\s__)" + _NO_ANNOTATION + rb"[a-z]\w*+(?:\([0-9, ]+\)|" + _ARGUMENTS + rb"(?!\s*+__))?+"
)
_ANNOTATION: Final = rb"(" + _ONE_ANNOTATION + rb")"
_TYPE_WORD: Final = rb"(?:const|unsigned|signed|long|short|struct|union|enum|volatile)\s++"
_ANNOTATIONS: Final = (
    _Macro(  # ``int x __read_mostly = 1;``, ``void f(void) __releases(lock);``, ``struct { ... } __packed;``
        re.compile(
            rb"(__(?<=[\s\])}]__)(?:(?:(?:__)?(?:read_mostly|ro_after_init|init(?:data|const)\w*|ref(?:data|const)?|exitdata"
            rb"|cacheline_\w+|aligned|packed|section|used|maybe_unused|always_unused|unused|weak|visible|deprecated"
            rb"|guarded_by|counted_by|percpu|nosave\w*|page_aligned\w*|lsm_ro_after_init|designated_init"
            rb"|(?:no_)?randomize_layout|acquires|releases|must_hold|cond_\w+|must_check|printf|scanf|malloc|pure|cold"
            rb"|noreturn|compiletime_\w+|alloc_size|realloc_size|nonnull\w*|returns_nonnull|attribute_\w+|no_\w+)"
            rb"|THROW|THROWNL|wur|nonnull)\b" + _ARGUMENTS + rb"?+\s*+){1,6})(?=[;{=,]|:\s*[0-9])"
        ),
        re.compile(rb"[\w)\]}]\s*+\Z"),
    ),
    _Macro(  # ``int __must_check f(``, ``char __user *p``, ``extern u64 __aligned(8) x;``
        re.compile(_ANNOTATION + rb"(?=\s[\s*]*+(?:__[a-z]\w*+\s++){0,3}+[\s*]*+\w++\s*+[;=,(\[:)])"),
        re.compile(
            rb"(?:\*|(?<![\w#])(?!(?:const|volatile|struct|union|enum|static|extern|inline|typedef|unsigned|signed"
            rb"|register|goto|return|sizeof|case|else|define|undef|ifdef|ifndef|if|elif|defined|asmlinkage|do)\b)"
            rb"[A-Za-z_]\w*+)\s++\Z"
        ),
    ),
    _Macro(  # ``static __init int f(``, ``__printf(1, 2) __cold void f(``
        re.compile(
            rb"(" + _ONE_ANNOTATION + rb"(?:\s++" + _ONE_ANNOTATION + rb"){0,4})"
            rb"(?=\s++(?:(?:static|inline|extern|__[a-z]\w*+)\s++){0,5}+(?:" + _TYPE_WORD + rb")*+\w++[\s*]++"
            rb"(?:__[a-z]\w*+\s++){0,3}+\w++\s*+[(\[;=])"
        ),
        re.compile(rb"(?:\b(?:static|extern|inline|asmlinkage)\s++|(?<!\\)\n[ \t]*+|\A\s*+)\Z"),
    ),
)
"""Annotations of C in the style of Linux and glibc: words with two underscores, where no grammar allows them."""

_DIRECTIVE: Final = re.compile(rb"^[ \t]*+#[ \t]*+(if|ifdef|ifndef|elif|else|endif)\b[^\n]*+", re.MULTILINE)
_COMMENT_IN_MACRO: Final = re.compile(rb"(/\*(?:[^*\n]|\*(?!/)){0,300}+\*/)[ \t]*+\\\r?\n")
"""A comment before the end of a line that the next one continues: grammars take what follows for code."""

_SELF_MACRO: Final = re.compile(rb"^([ \t]*+#[ \t]*+define[ \t]++(\w++)[ \t]++\2)[ \t\r]*+$", re.MULTILINE)
_IF_CPP: Final = re.compile(rb"if(?:def)?[\s(]++(?:defined[\s(]*+)?__cplusplus\b")
_LIST_MACRO: Final = re.compile(  # ``#define X(name) P_##name,``, ``ALL(X)``, ``#undef X`` in a list
    rb"^([ \t]*+#[ \t]*+define[ \t]++(\w++)\((?:[^\\\n]|\\\r?\n|\\.)*+\n(?:[ \t]*+\w++\(\2\)[ \t]*+;?[ \t\r]*+\n)+"
    rb"[ \t]*+#[ \t]*+undef[ \t]++\2)[ \t\r]*+$",
    re.MULTILINE,
)
_OF_ENUM: Final = re.compile(rb"\benum\b[^;{}]*+\{[\s\w(),]*+\Z")
_ENUM_MACRO: Final = re.compile(  # ``NS_ENUM(NSInteger, Colour)``, with which Apple's headers define types
    rb"\b((?:NS|CF)_(?:CLOSED_|ERROR_)?(?:ENUM|OPTIONS)[ \t]*\([ \t]*[\w ]+,[ \t]*)\w+[ \t]*(\))(?=\s*\{)"
)
_ENUM_WORDS: Final = tuple(
    prefix + word for prefix in (b"NS_", b"CF_") for word in (b"ENUM", b"OPTIONS", b"CLOSED_", b"ERROR_")
)
_FUN_INTERFACE: Final = re.compile(rb"^[^\n\"]*?\b(fun)(?=[ \t]+interface\b)", re.MULTILINE)
_DELEGATE: Final = _Macro(  # ``class A(val b: B) : C by b {``, whose body the grammar takes for a lambda
    re.compile(rb"(by(?<=\sby)[ \t]+[\w.]++)(?=[ \t]*+\{)"),
    re.compile(
        rb"\b(?:class|object)\b(?:[^(){};\n]|\n(?!\s*+(?:[\w@]+\s+)*(?:val|var|fun)\b)"
        rb"|\((?:[^()]|\((?:[^()]|\([^()]*\))*+\))*+\))*+\Z"
    ),
)
_WHEN_GUARD: Final = re.compile(rb"(?:^|(?<=[{;]))[ \t]*+(?:!?is|!?in)\s[^\n]*?\s(if\b[^\n]*?)(?=->)", re.MULTILINE)
_UNSEPARATED: Final = re.compile(rb"(?<=[\w)>\]?])[ \t](?=[ \t]*\})")  # Kotlin's grammar wants a line end here
_SQL_COMMAND: Final = re.compile(  # of a client (``DELIMITER $$``, ``GO``), and the definers of MySQL
    rb"^(\\[^\n]*|(?:delimiter[ \t]+\S+|go)[ \t\r]*$)|\b(definer[ \t]*=[ \t]*\S+)[ \t]",
    re.IGNORECASE | re.MULTILINE,
)
_ITEM_MACRO: Final = re.compile(  # ``cfg_net! {`` on a line, then an item; not where code is quoted
    rb"^([ \t]*+)((?!\w*quote)\w++!\s?\{)[ \t]*+\n(?=(?:\s*+(?://[^\n]*+|#!?\[[^\n]*+)\n)*+"
    rb"\s*+(?:pub\b(?!\s+static\s+ref\b)|(?:async |const |unsafe )?fn\b|(?:unsafe )?impl\b|mod\b|struct\b|enum\b"
    rb"|trait\b|macro_rules!))",
    re.MULTILINE,
)
_CLOSING_LINE: Final = re.compile(rb"^([ \t]*+)(\});?[ \t]*+$", re.MULTILINE)
_CONTINUES: Final = (b",", b"(", b"=", b"|", b"&", b"+", b"?", b"<", b"\\")
_CLOSES: Final = (b"}", b")", b",", b"=", b"{")


def without_item_macros(text: bytes) -> bytes:
    """Return Rust without the macros around items, such as ``cfg_rt! { ... }``; the same object if there are none.

    A macro may do anything to what is in it, but those whose lines begin as items do hardly ever change their names.
    """
    opening = list(_ITEM_MACRO.finditer(text))
    if not opening:
        return text
    ends: defaultdict[bytes, list[int]] = defaultdict(list)  # by indentation
    for match in _CLOSING_LINE.finditer(text):
        ends[match[1]].append(match.start(2))
    ranges: list[tuple[int, int]] = []
    for match in opening:
        later = ends[match[1]]
        number = bisect_right(later, match.end())
        if number < len(later):
            ranges += [match.span(2), (later[number], later[number] + 1)]
    return _with_blanks(text, ranges)


def without_noise(text: bytes, language: str) -> bytes:
    """Return ``text`` without what is always noise; the same object if there is none."""
    text = _without_conflicts(text)
    if language in ("c", "cpp", "objectivec"):
        text = _with_plain_enums(text)
    if language in ("c", "cpp"):
        text = _blanked(text, _COMMENT_IN_MACRO)
        if b" __" in text or b"\t__" in text:
            for annotation in _ANNOTATIONS:
                text = _without_macros(text, annotation, _NEAR)
        text = _without_macros(_blanked(text, _BEFORE_POINTER), _BEFORE_TYPE_NAME[1])
        if language == "c":
            return _without_macros_at_lines(text)
        text = _blanked(_without_macros(text, _BEFORE_TYPE_NAME[0]), _BEFORE_SCOPE)
        return _without_macros(text, _BEFORE_KEYWORD)
    if language == "sql":
        return _blanked(text, _SQL_COMMAND)
    if language == "kotlin":
        text = _blanked(text, _FUN_INTERFACE) if b"interface" in text else text
        return _without_macros(text, _DELEGATE) if b" by " in text else text
    return text


def without_suspects(text: bytes, language: str) -> bytes:
    """Return ``text`` also without what may be noise, for a text that cannot be parsed as it stands."""
    if language in ("c", "cpp"):
        ranges = [match.span(1) for match in _SELF_MACRO.finditer(text)]  # next to a member of an enum
        text = _with_blanks(text, ranges) if ranges else text
        if b"#undef" in text or b"# undef" in text:
            ranges = [match.span(1) for match in _LIST_MACRO.finditer(text)]
            text = _with_blanks(text, ranges) if ranges else text
        text = _without_lone_macros(text)
        for _ in range(2):
            text = _without_macros(text, _BEFORE_FUNCTION)
        text = _without_macros(text, _BEFORE_CONSTRUCTOR)
        for _ in range(2):
            text = _blanked(text, _AFTER_PARAMETERS)
        return text
    return _UNSEPARATED.sub(b";", _blanked(text, _WHEN_GUARD)) if language == "kotlin" else text


_MUCH_LONGER: Final = 3


class _Branch(NamedTuple):
    """A directive of ``#if`` and the text after it, up to the next one of that ``#if``; one that counts may be kept."""

    start: int
    body: int
    counts: bool


def with_main_branches(text: bytes, language: str) -> bytes:
    """Return ``text`` without conditional directives, and with only one branch of each.

    That is the first that counts, which none of ``#if 0`` does, nor one of C++ in C; or the longest, if it is much
    longer, since the first then is a stub for other platforms.
    """
    if language not in ("c", "cpp", "csharp") or b"#" not in text:
        return text
    ranges: list[tuple[int, int]] = []
    open_: list[list[_Branch]] = []
    for match in _DIRECTIVE.finditer(text):
        word = match[1]
        if word.startswith(b"if"):
            counts = word != b"if" or match[0].split()[-1:] != [b"0"]
            counts &= language != "c" or word == b"ifndef" or _IF_CPP.search(match[0]) is None
            open_.append([_Branch(match.start(), match.end(), counts)])
        elif open_ and word != b"endif":
            open_[-1].append(_Branch(match.start(), match.end(), counts=True))
        elif open_:
            ranges += _all_but_main(open_.pop(), match.start(), match.end())
    ranges += [(branches[0].start, branches[0].body) for branches in open_]
    out = bytearray(text)
    done = 0
    for start, end in sorted(ranges):  # those of inner directives may be inside others
        _blank(out, max(start, done), end)
        done = max(done, end)
    return bytes(out)


def _all_but_main(branches: Sequence[_Branch], end: int, after: int) -> Iterator[tuple[int, int]]:
    """Yield the directives of an ``#if`` whose ``#endif`` is from ``end`` to ``after``, and all branches but one."""
    ends = [*(branch.start for branch in branches[1:]), end]
    lengths = [last - one.body if one.counts else -1 for one, last in zip(branches, ends, strict=True)]
    first = next((number for number, branch in enumerate(branches) if branch.counts), 0)
    longest = lengths.index(max(lengths))
    main = longest if lengths[longest] > _MUCH_LONGER * lengths[first] else first
    for number, (branch, last) in enumerate(zip(branches, ends, strict=True)):
        is_kept = number == main and branch.counts
        yield branch.start, branch.body if is_kept else last
    yield end, after


def _without_conflicts(text: bytes) -> bytes:
    """Return ``text`` with its merge conflicts blanked, except for the first side of each."""
    if b"<<<<<<<" not in text or b"\n>>>>>>>" not in text:
        return text
    return _CONFLICT.sub(lambda match: _NOT_NEWLINE.sub(b" ", match[0]), text)


def _without_lone_macros(text: bytes) -> bytes:
    """Return ``text`` without macros on lines of their own, unless they are part of a list or an expression."""
    out: bytearray | None = None
    end, before = 0, b""  # of the macro before, and what is before that
    for match in _ALONE.finditer(text):
        if not end or not text[end : match.start()].isspace():
            before = _last_letter(text, match.start())
        end = match.end()
        after = text[match.end() : match.end() + 200].lstrip()[:1]
        is_before_member = before == b"," and after[:1].isalpha()
        is_last = after == b"}" and (before == b";" or (before == b"{" and _is_in_struct(text, match.start())))
        if (before in _CONTINUES and not is_before_member) or (after in _CLOSES and not is_last):
            continue
        out = bytearray(text) if out is None else out
        _blank(out, *match.span(1))
    return bytes(out) if out is not None else text


def _is_in_struct(text: bytes, end: int) -> bool:
    """Return True if the brace before ``end`` does not open a list of members of an enum."""
    return _OF_ENUM.search(text, max(0, end - _REACH), end) is None


def _last_letter(text: bytes, end: int) -> bytes:
    """Return the last byte before ``end`` that is neither white space nor in a comment; b"" if there is none."""
    while end:
        if text[end - 1 : end].isspace():
            end -= 1
        elif text.endswith(b"*/", 0, end) and (start := text.rfind(b"/*", 0, end)) >= 0:
            end = start
        else:
            break
    return text[max(0, end - 1) : end]


def _with_plain_enums(text: bytes) -> bytes:
    """Return ``text`` with every ``NS_ENUM(type, Name)`` as ``enum Name``, in as many bytes and lines."""
    if (b"NS_" not in text and b"CF_" not in text) or not any(word in text for word in _ENUM_WORDS):
        return text
    out = bytearray(text)
    for match in _ENUM_MACRO.finditer(text):
        _blank(out, *match.span(1))
        _blank(out, *match.span(2))
        out[match.start(1) : match.start(1) + 4] = b"enum"
    return bytes(out)


def _blanked(text: bytes, pattern: re.Pattern[bytes]) -> bytes:
    """Return ``text`` with the last matching group of every match blanked; the same object if nothing matches."""
    ranges = [match.span(match.lastindex or 1) for match in pattern.finditer(text)]
    return _with_blanks(text, ranges) if ranges else text


def _without_macros(text: bytes, macro: _Macro, reach: int = _REACH) -> bytes:
    """Return ``text`` with macros blanked where they are noise; the same object if there are none.

    At most ``reach`` bytes before a macro say what it is.
    """
    before = macro.before.search
    ranges = [
        match.span(1)
        for match in macro.pattern.finditer(text)
        if before(text, max(0, match.start() - reach), match.start())
    ]
    return _with_blanks(text, ranges) if ranges else text


def _without_macros_at_lines(text: bytes) -> bytes:
    for on_later_line, on_first in _AT_LINES_OF_C:
        first = on_first.match(text)
        matches = [*([first] if first is not None else []), *on_later_line.finditer(text)]
        text = _with_blanks(text, [match.span(1) for match in matches]) if matches else text
    return text


def _with_blanks(text: bytes, ranges: Sequence[tuple[int, int]]) -> bytes:
    out = bytearray(text)
    for start, end in ranges:
        _blank(out, start, end)
    return bytes(out)


def _blank(out: bytearray, start: int, end: int) -> None:
    out[start:end] = _NOT_NEWLINE.sub(b" ", bytes(out[start:end]))

"""Finds values that are assigned to names of credentials, such as ``password = "..."``.

A value counts if its name denotes a credential (``db_password`` does, ``password_hash`` and ``token_url`` do not), and
if it looks real (``changeme``, ``${PASSWORD}``, ``self.password`` and ``utf-8`` do not).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator

_MAX_JUDGED_BYTES = 100  # of a value, or of the end of a name, since hostile input has long ones

_PASSWORD = re.compile(rb"passw(?:or[dt])?|passwd|passphrase|pwd|passcode")
_STRONG = re.compile(rb"secret|token|bearer|credential|sessionid|" + _PASSWORD.pattern)
_KEY = re.compile(
    rb"(?:api|apps?|access|secret|private|auth|encrypt(?:ion)?|decrypt(?:ion)?|sign(?:ing|ature)?|master|account|shared|"
    rb"storage|service|client|session|admin|subscription|deploy|server|webhook|write|instrumentation|hmac|jwt|aes|"
    rb"license|function|host|primary|secondary|consumer|user|team|bot|sdk|integration|project)[_.\- ]?key\d?\Z"
)
_NOT_SECRET = re.compile(
    rb"(?:hash(?:ed)?|digest|checksum|sum|fingerprint|public|pub|path|file(?:name)?|dir|folder|ur[li]|name|field|label|"
    rb"placeholder|id|ids|type|len(?:gth)?|size|count|format|regex|pattern|header|param|column|prefix|suffix|version|"
    rb"expir\w*|ttl|timeout|algorithm|alg|method|class|model|policy|message|msg|error|prompt|help|description|text|hint|"
    rb"title|input|element|selector|xpath|css|endpoint|host|port|user|email|scope|kind|status|state|mode|index|attr|"
    rb"provider|manager|helper|factory|store|util|arn|ref|template|rule|required|enabled|valid|usage|separator|"
    rb"tokeni[sz]er|vocab|words?|etag|commit|revision|sha\d*|md5|uuid|event|action|topic|queue|table|bucket)s?\Z"
)
_TAIL = re.compile(rb"[A-Za-z][a-z]*\d*\Z")
_PLACEHOLDER = re.compile(
    rb"change[_-]?(?:me|it|this)|example|placeholder|your[_-]?|dummy|sample|x{4,}|\*{3,}|\.{3,}|-{4,}|_{4,}|#{4,}|0{6,}|"
    rb"redacted|masked|hidden|replace|insert|todo|fixme|undefined|removed|encrypted"
)
_WEAK = re.compile(
    rb"pass(?:w(?:or)?d|phrase|wort)|secret|token|credential|test|fake|mock|foo|bar\b|baz|qwert|asdf|1234|abcd|"
    rb"letmein|hunter2|hello|world|default|admin|root|none|null|true|false|value|string|temp|demo|spam|dolphin|monkey"
)
_TEMPLATE = re.compile(
    rb"[{}<>]|\$\(|\$[A-Za-z_]|%[sd(]|%\w+%|\\[dwsb]|\[\^|::|\(\?|\)\Z|^[:=@/.\\]|//|[:,;]\Z|^.{0,15}=\Z"
)
_UUID = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_IDENTIFIER = re.compile(rb"[$@&*]?[A-Za-z_][\w.$-]*(?:->\w+)*\Z")
_CURSOR = re.compile(rb"(?:next|change|request|continuation|page|starting|idempotency|cancell?ation)[_-]?token\Z")
_NUMBER = re.compile(rb"[-+]?[0-9][0-9_.,eExXuUlL]*\Z|0[xX][0-9a-fA-F]+[uUlL]*\Z")
_PIECES = re.compile(rb"[A-Z]?[a-z]+|[A-Z]+")
_WORDS = (b"secret", b"passw", b"passphrase", b"pwd", b"token", b"key", b"auth", b"cred", b"bearer")
_NAME = re.compile(rb"[A-Za-z0-9_.$-]*")
_NAME_BYTES = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.$-")
_AFTER_NAME = frozenset(b"\"'`]) \t=:,(>\\")
_ASSIGNED = re.compile(
    rb"""
    (?:\\?["'`\])]){0,3}[ \t]{0,12}                                   # the rest of a quoted or indexed name
    (?::[ \t]?[A-Za-z_][\w.\[\]|,\ ]{0,40}?[ \t]?(?==))?              # a type annotation
    (?:(?P<op>:=|=>|={1,3}|!=|:|,|\(|<-|[ ](?:value|content)=)[ \t]{0,12}|(?P<tag>>)|(?P<gap>[ \t]{1,4}))
    (?:
        (?:@?[bBrRuUfF]{1,2}|new[ ]\w+\()?
        (?P<quote>\\?["'`])(?P<quoted>(?:(?!(?P=quote)).){1,400})(?P=quote)
        |(?P<bare>[^\s"'`,;(){}\[\]<>\\]{6,400})
    )""",
    re.VERBOSE,
)
_HEADER = re.compile(
    rb"""
    [\w-]{0,20}["'`]?[ \t]{0,4}[:=,]?[ \t]{0,4}["'`]?
    (?:(?:bearer|basic|token|apikey|negotiate)[ \t:]{1,4})?
    ([A-Za-z0-9_.~+/-]{12,4000}={0,2})""",
    re.VERBOSE | re.IGNORECASE,
)
_PARSER_NAME = re.compile(rb"(?:split|parse|strip)[_a-z]")


class Credential(enum.Enum):
    """The kind of credential that a name denotes."""

    PASSWORD = enum.auto()
    TOKEN = enum.auto()


def credential_of_name(name: bytes) -> Credential | None:
    """Return the kind of credential that ``name`` (a variable, key, option or tag) denotes, or None."""
    name = name[-_MAX_JUDGED_BYTES:]
    tail = _TAIL.search(name)
    lowered = name.lower()
    if tail is not None and _NOT_SECRET.match(tail[0].lower()):
        return None
    if _NOT_SECRET.match(re.split(rb"[_.\-$]", lowered)[-1] or b"-"):
        return None
    if _CURSOR.search(lowered):
        return None
    if b"hash" in lowered or b"public" in lowered or lowered.endswith((b"tokens", b"max_token")):
        return None
    if _PASSWORD.search(lowered):
        return Credential.PASSWORD
    if _STRONG.search(lowered) or _KEY.search(lowered) or lowered.endswith((b"_auth", b"dockerauth")):
        return Credential.TOKEN
    return None


def changes(value: bytes) -> float:
    """Return the share (0 to 1) of neighbouring characters of different classes: digits, lower case, upper case.

    An upper-case letter before a lower-case one does not count. Random tokens have 0.4 or more, identifiers and words
    with numbers less than 0.25.
    """
    count = 0
    before = 0
    for byte in value:
        if 48 <= byte <= 57:
            now = 1
        elif 97 <= byte <= 122:
            now = 2
        elif 65 <= byte <= 90:
            now = 3
        else:
            continue
        if before and now != before and not (before == 3 and now == 2):
            count += 1
        before = now
    return count / max(1, len(value) - 1)


def _digits(value: bytes) -> int:
    return sum(48 <= byte <= 57 for byte in value)


def is_random(value: bytes, *, least: int = 16) -> bool:
    """Return True if a token looks random: at least ``least`` bytes, with digits and letters mixed, not repetitive."""
    value = value[:_MAX_JUDGED_BYTES]
    if len(value) < least or _digits(value) < 2 or len(set(value)) < min(8, len(value) // 2):
        return False
    return changes(value) >= 0.2


def is_token(value: bytes) -> bool:
    """Return True if a value in a provider's format looks real: it has a digit and at least eight different bytes."""
    return _digits(value) > 0 and len(set(value)) >= 8 and not _PLACEHOLDER.search(value[:_MAX_JUDGED_BYTES].lower())


def is_placeholder(value: bytes) -> bool:
    """Return True if a value is a placeholder for a credential, such as ``changeme`` or ``${TOKEN}``."""
    value = value[:_MAX_JUDGED_BYTES]
    lowered = value.lower()
    if _PLACEHOLDER.search(lowered) or _TEMPLATE.search(value):
        return True
    if len(value) < 24 and _WEAK.search(lowered):
        return True
    return len(set(value)) < 4


def is_secret_value(value: bytes, credential: Credential, *, quoted: bool) -> bool:
    """Return True if ``value`` looks like a real credential of its kind; an unquoted value must not look like code."""
    value = value[:_MAX_JUDGED_BYTES]
    if not value or b" " in value or b"\t" in value or is_placeholder(value):
        return False
    if not quoted and (_NUMBER.match(value) or (_IDENTIFIER.match(value) and not _is_unquoted_secret(value))):
        return False
    if credential is Credential.PASSWORD:
        return _is_password(value)
    if _UUID.match(value):
        return True
    return is_random(value, least=12 if quoted else 16) and not _is_words(value)


def _is_unquoted_secret(value: bytes) -> bool:
    if len(value) < 8 or b"." in value or b"->" in value or _digits(value) < 2:
        return False
    return changes(value) >= (0.25 if len(value) < 24 else 0.2) and not _is_words(value)


def _is_words(value: bytes) -> bool:
    """Return True if the letters form words of four on average (``oauth2-token-v1``, ``XAmzSecurityToken``)."""
    pieces = _PIECES.findall(value)
    return bool(pieces) and sum(map(len, pieces)) >= 4 * len(pieces)


def _is_password(value: bytes) -> bool:
    if len(value) < 6:
        return False
    special = sum(byte in b"!\"#$%&'()*+,;=?@[]^`{|}~\\" for byte in value)
    classes = (value != value.upper()) + (value != value.lower()) + bool(_digits(value)) + bool(special)
    if len(value) < 8:
        return classes >= 3
    if special and special < len(value) // 2:
        return classes >= 2
    if not _digits(value) or value.isdigit():
        return False
    return classes >= 3 or changes(value) >= 0.2 or (len(value) >= 10 and not _is_words(value))


def assigned_ranges(text: bytes) -> Iterator[tuple[int, int]]:
    """Yield the ranges ``[start, end)`` of values assigned to names of credentials, and of authorization headers."""
    lowered = text.lower()
    seen = -1
    hits: list[int] = []
    for word in _WORDS:
        at = lowered.find(word)
        while at >= 0:
            hits.append(at)
            at = lowered.find(word, at + len(word))
    hits.sort()
    for at in hits:
        if at < seen:
            continue
        named = _NAME.match(text, at)
        end = named.end() if named else at
        seen = end
        if end >= len(text) or text[end] not in _AFTER_NAME:
            continue
        if lowered[at:end] in (b"authorization", b"bearer") and not lowered[at - 1 : at].isalnum():
            yield from _header(text, end)
        start = at
        while start > 0 and at - start < 80 and text[start - 1] in _NAME_BYTES:
            start -= 1
        yield from _assigned(text, start, end)


def _header(text: bytes, end: int) -> Iterator[tuple[int, int]]:
    """Yield the credential of an authorization header whose name ends at ``end``."""
    match = _HEADER.match(text, end)
    if match and is_random(match[1], least=12) and not is_placeholder(match[1]):
        yield match.span(1)


def _assigned(text: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield the value assigned to the name ``text[start:end]``, if it is a credential."""
    match = _ASSIGNED.match(text, end)
    if match is None:
        return
    name = text[start:end]
    passed = match["op"] in (
        b"(",
        b",",
    )  # as an argument of a function with that name, or after an argument with that name
    credential = credential_of_name(name.rpartition(b".")[2] if passed else name)
    if credential is None or (passed and _PARSER_NAME.match(name.rpartition(b".")[2])):
        return
    if match["gap"] is not None and not _is_option(text, start, name):
        return
    if match["op"] == b"," and b"]" in text[end : match.start("op")]:
        return  # a slice or an optional part, not a key
    if text.startswith(b"::", start - 2) and text[end] in b"\"'":
        return  # the last part of a quoted type name
    if match["op"] == b":" and (text.startswith(b":", start - 1) or (match["bare"] or b"").count(b":") > 1):
        return  # a part of a resource's name, as in arn:aws:...:secret:name
    if match["tag"] is not None and text[start - 1 : start] != b"<":
        return
    quoted = match["quoted"]
    if quoted is not None:
        if is_secret_value(quoted, credential, quoted=True):
            yield match.span("quoted")
    elif (
        match["op"] not in (b",", b"(")
        and not text.startswith(b"(", match.end())
        and is_secret_value(match["bare"], credential, quoted=match["tag"] is not None)
    ):
        yield match.span("bare")


def _is_option(text: bytes, start: int, name: bytes) -> bool:
    """Return True if a space may separate name and value, as in ``--password x`` and netrc's ``password x``."""
    if name.startswith(b"--"):
        return True
    line = text[text.rfind(b"\n", 0, start) + 1 : start]
    return b"login " in line or b"machine " in line

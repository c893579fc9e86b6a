"""Tests whether a value assigned to a name is a real credential.

Two tests: the name must denote a credential (``db_password`` does, ``password_hash`` and ``token_url`` do not), and the
value must look real (``changeme``, ``${PASSWORD}``, ``self.password`` and ``utf-8`` do not).
"""

from __future__ import annotations

import enum
import re

_MAX_JUDGED_BYTES = 100  # of a value, or of the end of a name; hostile input has many long ones

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
    """Return the share of steps that change the class (digit, lower, upper), 0 to 1; a word's capital does not count.

    Random tokens score 0.4 or more, identifiers and words with numbers below 0.25.
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
    """Return True if a token looks generated: long, with digits and letters well mixed, not repetitive."""
    value = value[:_MAX_JUDGED_BYTES]
    if len(value) < least or _digits(value) < 2 or len(set(value)) < min(8, len(value) // 2):
        return False
    return changes(value) >= 0.2


def is_token(value: bytes) -> bool:
    """Return True for a token in a provider's form, by a weaker test: a digit, and not one repeated character."""
    return _digits(value) > 0 and len(set(value)) >= 8 and not _PLACEHOLDER.search(value[:_MAX_JUDGED_BYTES].lower())


def is_placeholder(value: bytes) -> bool:
    """Return True if a value is a placeholder for a credential."""
    value = value[:_MAX_JUDGED_BYTES]
    lowered = value.lower()
    if _PLACEHOLDER.search(lowered) or _TEMPLATE.search(value):
        return True
    if len(value) < 24 and _WEAK.search(lowered):
        return True
    return len(set(value)) < 4


def is_secret_value(value: bytes, credential: Credential, *, quoted: bool) -> bool:
    """Return True if ``value`` fits the kind that its name denotes; an unquoted value must not look like code."""
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
    """Return True if the letters form words (``oauth2-token-v1``, ``XAmzSecurityToken``), not ones and twos."""
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

"""Secrets of every kind are masked; text that only resembles them stays searchable."""

from __future__ import annotations

import itertools
import re
import sysconfig
import time
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.secrets import planted
from codeindexd.analysis.secrets.mask import mask, secret_ranges

KINDS = sorted(planted.all_kinds(Random(0)))
CODE = b"def add(a, b):\n    return a + b  # plain\n\n"

LOOKALIKES = [
    'password = "changeme"',
    'password = "your-password-here"',
    'password = os.environ["DB_PASSWORD"]',
    "password = self.password",
    "password = get_password2(user)",
    'password: str = ""',
    "DB_PASSWORD=${DB_PASSWORD}",
    'api_key = "<your api key>"',
    'api_key = "xxxxxxxxxxxxxxxxxxxx"',
    'API_KEY = "YOUR_API_KEY_GOES_HERE_1234"',
    'secret = "{{ vault_secret_1 }}"',
    'token_url = "https://example.org/oauth2/token"',
    'password_hash = "5f4dcc3b5aa765d61d8327deb882cf99"',
    'token_type = "bearer-2-legged-oauth1"',
    'header = "x-amz-security-token"',
    'secret_name = "prod/db/main-2024-01-02"',
    "public_key = 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4'",
    "max_tokens = 4096",
    "tokens = tokenizer.encode(text2)",
    'sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"',
    'commit = "da39a3ee5e6b4b0d3255bfef95601890afd80709"',
    'id = "123e4567-e89b-12d3-a456-426614174000"',
    'key = "2b7e151628aed2a6abf7158809cf4f3c"',
    'integrity = "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="',
    "AWS_ACCESS_KEY_ID=AKIA" + "IOSFODNN7" + "EXAMPLE",
    "postgres://user:password@localhost:5432/db",
    "postgres://$USER:$PASSWORD@localhost/db",
    "http://localhost:8080/path@version",
    'Authorization: "Bearer " + token',
    "from oauth2.authorization_server_v2 import TokenEndpoint",
    'raise KeyError("no such key: k1")',
    "self.assertRaisesRegex(ValueError, 'null', pwd.getpwnam, 'a\\x00b')",
    "self.assertEqual(splitpasswd('user+1:a+b'), ('user+1', 'a+b'))",
    "parse_token('user:a1B2c3D4e5F6g7H8')",
    'input("Password: ")',
    'AutoTokenizer.from_pretrained("example-org/Model-8x7B-v0.1")',
    '"AWS::IAM::AccessKey": "72c2d9dd90025459",',
    '"ARN": "arn:aws:secretsmanager:us-west-2:123456789012:secret:MyDatabase-a1b2c3"',
    '"NextToken": "abCDeFGhiJKlmnOPqrSTuvwxYZ1aBCdE",',
    "TOO_LONG_PASSPHRASE = -2144272214",
    '-----BEGIN CERTIFICATE-----"',
    'if line == "-----BEGIN RSA PRIVATE KEY-----":\n    return parse(lines)\n# -----END RSA PRIVATE KEY-----',
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_masked_in_place(kind: str) -> None:
    for seed in range(5):
        line, secret = planted.all_kinds(Random(seed))[kind]
        text = CODE + line.encode() + b"\n" + CODE
        masked = mask(text)
        assert secret.encode() not in masked, line
        assert len(masked) == len(text)
        start = text.index(secret.encode())
        hidden = masked[start : start + len(secret)]
        assert hidden.count(b"*") >= 0.6 * len(secret), (line, masked)
        assert masked.startswith(CODE)
        assert masked.endswith(CODE)
        assert mask(masked) == masked


def test_more_than_a_hundred_kinds_are_planted() -> None:
    assert len(KINDS) >= 150


@pytest.mark.parametrize("line", LOOKALIKES)
def test_lookalikes_stay_searchable(line: str) -> None:
    assert mask(line.encode()) == line.encode()


def test_hardly_anything_is_masked_in_code_without_secrets() -> None:
    """Python's own modules: 10 MB, with many ways of handling passwords and tokens."""
    read = hidden = 0
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if not {"site-packages", "test", "tests", "idle_test"} & set(path.parts):
            text = path.read_bytes()
            read += len(text)
            hidden += len(secret_ranges(text))
    assert read > 5_000_000
    assert hidden <= read // 5_000_000


@pytest.mark.parametrize("name", ["RSA ", "EC ", "OPENSSH ", "ENCRYPTED ", ""])
def test_the_body_of_a_private_key_is_masked_line_by_line(name: str) -> None:
    key = planted.private_key(Random(1), name)
    masked = mask(f'KEY = """\n{key}\n"""\n'.encode()).decode()
    body = masked.split("KEY-----")[1].split("-----END")[0]
    assert set(body) <= set("*\n")
    assert masked.count("\n") == key.count("\n") + 3
    assert f"BEGIN {name}PRIVATE KEY" in masked


def test_a_private_key_on_one_line_of_json_is_masked() -> None:
    key = planted.private_key(Random(2), "").replace("\n", "\\n")
    body = [line for line in key.split("\\n") if "KEY" not in line]
    masked = mask(f'{{"private_key": "{key}"}}'.encode()).decode()
    assert not any(line in masked for line in body if len(line) > 30)


def test_every_piece_of_a_private_key_is_masked() -> None:
    lines = planted.private_key(Random(3), lines=40).split("\n")
    for first in range(0, len(lines), 10):
        piece = "\n".join(lines[first : first + 10])
        masked = mask(piece.encode()).decode()
        assert not any(line in masked for line in lines[1:-1]), piece


def test_putty_keys_are_masked() -> None:
    body = planted.random_text(Random(4), "b", 64)
    head = "PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 1\n"
    assert mask(f"{head}{body}\nPrivate-MAC: 00\n".encode()) == f"{head}{'*' * 64}\nPrivate-MAC: 00\n".encode()


def test_a_single_line_is_masked_as_in_its_file() -> None:
    lines = [line for line, _ in planted.all_kinds(Random(5)).values()] + LOOKALIKES[:-1]
    Random(5).shuffle(lines)
    whole = mask("\n".join(lines).encode()).split(b"\n")
    assert whole == [mask(line.encode()) for line in lines]


def test_ranges_are_sorted_and_disjoint() -> None:
    text = "\n".join(line for line, _ in planted.all_kinds(Random(6)).values()).encode()
    ranges = secret_ranges(text)
    assert all(start < end for start, end in ranges)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
    for start, end in ranges:
        assert re.fullmatch(rb"\**", mask(text)[start:end])


_PIECES = st.sampled_from([line for line, _ in planted.all_kinds(Random(7)).values()] + LOOKALIKES)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(_PIECES.map(str.encode), st.binary(max_size=30)), max_size=8))
def test_masking_keeps_length_and_lines_and_is_idempotent(pieces: list[bytes]) -> None:
    text = b"\n".join(pieces)
    masked = mask(text)
    assert len(masked) == len(text)
    assert [i for i, byte in enumerate(masked) if byte in b"\r\n"] == [
        i for i, byte in enumerate(text) if byte in b"\r\n"
    ]
    assert mask(masked) == masked


def _line_ends(text: bytes) -> list[int]:
    return [index for index, byte in enumerate(text) if byte in b"\r\n"]


def test_long_hostile_runs_are_masked_quickly() -> None:
    for text in (b"A" * 200_000, b"eyJ" * 60_000, b"password=" * 2_000, b"://a:" * 40_000, b"a1B-" * 50_000):
        assert len(mask(text)) == len(text)


@pytest.mark.parametrize("unit", [b"-eyJ1", b"/AQE1", b"-eyJ1" * 800 + b"..", b"key", b"Password"])
def test_masking_takes_linear_time(unit: bytes) -> None:
    started = time.process_time()
    mask(unit * (200_000 // len(unit)))
    assert time.process_time() - started < 8  # with patterns that scan the rest from every position: 20 s and more


@settings(max_examples=100, deadline=None)
@given(st.text(min_size=300, max_size=900), st.sampled_from(["password=", 'token: "', "api_key = '", "://u:", "-u a:"]))
def test_utf8_stays_utf8(text: str, before: str) -> None:
    masked = mask((before + "a1B2" + text.replace("\n", "é")).encode("utf-8", "surrogatepass"))
    masked.decode("utf-8", "surrogatepass")

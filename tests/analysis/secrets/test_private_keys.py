"""Private keys are found in every form, whole, cut off or in pieces; text about keys is not masked."""

from __future__ import annotations

import time
from random import Random

import pytest

from analysis.secrets.secret_files import key_files, key_lines
from codeindexd.analysis.secrets.mask import KEY_REACH, mask, secret_ranges

BEGIN, END = "-----BEGIN " + "EC PRIVATE KEY-----", "-----END " + "EC PRIVATE KEY-----"
CODE = "def sign(it):\n    return it\n\n\n"
DRESSES = [
    "{}", "    {}", " * {}", "// {}", "# {}", "-- {}", "; {}", "> {}", "| {}", "%% {}", "rem {}", "dnl {}", "+{}",
    '-{}', '"{}\\n"', "'{}',", '"{}" +', "$key .= '{}';", 'key += "{}\\n"', '    pem.append("{}").append(NEWLINE);',
    'echo "{}" >> pem',
]  # fmt: skip


def left(masked: bytes, lines: list[str]) -> list[str]:
    return [line for line in lines if line.encode() in masked]


@pytest.mark.parametrize("form", DRESSES)
@pytest.mark.parametrize("size", [121, 1190, 2350])
@pytest.mark.parametrize("width", [32, 64, 76])
def test_a_key_is_masked_in_any_form_even_cut_off(form: str, size: int, width: int) -> None:
    body = key_lines(Random(size), size, width)
    for lines in ([BEGIN, *body, END], [BEGIN, *body], [*body, END]):
        text = CODE + "\n".join(map(form.format, lines)) + "\n\n" + CODE
        masked = mask(text.encode())
        assert left(masked, body) == []
        assert masked.startswith(CODE.encode())
        assert masked.endswith(CODE.encode())
        assert mask(masked) == masked


@pytest.mark.parametrize(
    "form", ["{begin}\\n{body}\\n{end}", "{begin} {body} {end}", "{begin}\\n{body}", "{begin}\\\\n{body}\\\\n{end}"]
)
def test_a_key_on_one_line_is_masked(form: str) -> None:
    body = key_lines(Random(1), 1159)
    between = "\\\\n" if "\\\\" in form else "\\n" if "\\" in form else " "
    text = 'pem = "' + form.format(begin=BEGIN, body=between.join(body), end=END) + '"\n'
    assert left(mask(text.encode()), body) == []


def test_the_text_before_each_end_without_a_begin_is_masked() -> None:
    one, other = key_lines(Random(1), 1190), key_lines(Random(2), 1190)
    text = "\n".join([*one, END, "", CODE, *other, END]).encode()
    assert left(mask(text), [*one, *other]) == []
    assert CODE.encode() in mask(text)


def test_headers_and_checksums_belong_to_the_key() -> None:
    body = key_lines(Random(1), 1190)
    begin, end = (mark.replace("EC PRIVATE KEY", "PGP PRIVATE KEY BLOCK") for mark in (BEGIN, END))
    head = ["Comment: of somebody", "Version: GnuPG v2", ""]
    assert left(mask("\n".join([begin, *head, *body]).encode()), body) == []
    assert left(mask("\n".join([*body, "=aB3d", end]).encode()), [*body, "=aB3d"]) == []


def test_keys_in_the_form_of_rfc_4716_are_masked() -> None:
    body = key_lines(Random(1), 1190, 70)
    begin, end = "---- BEGIN SSH2 ENCRYPTED " + "PRIVATE KEY ----", "---- END SSH2 ENCRYPTED " + "PRIVATE KEY ----"
    assert left(mask("\n".join([begin, *body, end]).encode()), body) == []


@pytest.mark.parametrize("bits", [2048, 4096])
def test_a_piece_is_masked_as_in_its_file(bits: int) -> None:
    for name, text in key_files(key_lines(Random(bits), bits // 2 + bits // 16)).items():
        if "wide" in name:
            continue
        rows = text.splitlines(keepends=True)
        whole = mask(text)
        for first in range(0, len(rows), 7):
            before, piece = b"".join(rows[:first]), b"".join(rows[first : first + 7])
            after = b"".join(rows[first + 7 :])
            masked = mask(piece, before=before[-KEY_REACH:], after=after[:KEY_REACH])
            assert len(masked) == len(piece)
            for place, byte in enumerate(masked):
                assert byte == ord("*") or byte == whole[len(before) + place], (name, first)


def test_code_between_a_mention_and_a_key_is_not_masked() -> None:
    code = "SomeVeryLongClassName.someVeryLongMethodName(anotherVeryLongArgument)\n" * 20
    body = key_lines(Random(1), 1190)
    text = "\n".join([f'IF_IT_IS = "{BEGIN}"', code, BEGIN, *body, END, code]).encode()
    masked = mask(text)
    assert left(masked, body) == []
    assert masked.count(code.encode()) == 2


@pytest.mark.parametrize(
    "text",
    [
        f'if line == "{BEGIN}":\n    return SomeVeryLongClassName2.parse(lines)\n# {END}\n',
        f'MARKS = (\n    "{BEGIN}",\n    "{END}",\n    "-----BEGIN CERTIFICATE-----",\n)\n',
        f"{BEGIN}\n...\n{END}\n",
        f"{BEGIN}\n\nThe quick brown fox\n",
        f"The quick brown fox\n{END}\n",
    ],
)
def test_text_about_keys_is_not_masked(text: str) -> None:
    assert secret_ranges(text.encode()) == []


@pytest.mark.parametrize(
    "text",
    [
        f"{BEGIN}\n{'+' * 3000}\xe9",
        f"{BEGIN}\n" + "++++=" * 40_000,
        "++++=" * 40_000 + f"\n{END}",
        f"{BEGIN}\n" * 6000,
        f"{END}\n" * 6000,
        f"{BEGIN}x" * 3000 + END,
        (f"{'A1b2C3d4' * 8}\n" * 300 + f"{END}\n") * 10,
        "LS0tLS1CRUdJTiBSU0EgUFJJVkFUR " * 10_000,
        "-" * 200_000 + "PRIVATE KEY",
    ],
    ids=range(9),
)
def test_hostile_text_is_masked_quickly(text: str) -> None:
    started = time.process_time()
    mask(text.encode())
    assert time.process_time() - started < 8  # cubic time in the length of a line would take an hour and more

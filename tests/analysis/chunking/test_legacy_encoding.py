"""Encodings of texts that are not Unicode."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codeindexd.analysis.chunking.encoding import is_guessed
from codeindexd.analysis.chunking.legacy_encoding import guess_encoding

CODE = "def compute(items):\n    return len(items)\n"
COMMENTS = {
    "cp932": ("在庫の数を計算する", "ファイルを開く", "初期化処理"),
    "euc_jp": ("在庫の数を計算する", "設定を読み込む"),
    "gb18030": ("计算订单总价", "打开文件", "连接数据库失败时返回错误"),
    "cp950": ("計算訂單總價，並且回傳結果", "開啟檔案"),
    "cp949": ("주문의 총 가격을 계산한다", "파일을 연다"),
    "cp1251": ("вычисляет сумму заказа", "открыть файл"),
    "koi8_r": ("вычисляет сумму заказа", "получить список"),
    "cp1253": ("υπολογισμός του συνόλου της παραγγελίας",),
    "tis_620": ("ฟังก์ชันคำนวณราคาสินค้า",),
    "cp1252": ("Größe des Fensters", "créé à l'aide de", "señal de año", "© 2001 José", "the user’s “name” – below"),
}


@pytest.mark.parametrize(("encoding", "comment"), [(one, text) for one, texts in COMMENTS.items() for text in texts])
def test_a_comment_tells_the_encoding_of_its_file(encoding: str, comment: str) -> None:
    data = f"# {comment}\n{CODE}".encode(encoding)
    assert data.decode(guess_encoding(data)) == f"# {comment}\n{CODE}"


@pytest.mark.parametrize(
    "declaration",
    [
        "# -*- coding: cp1251 -*-",
        "# vim: set fileencoding=windows-1251 :",
        '<?xml version="1.0" encoding="Windows-1251"?>',
        "<meta charset=cp1251>",
        "#!/usr/bin/python\n# coding=CP1251",
    ],
)
def test_a_declared_encoding_is_believed(declaration: str) -> None:
    assert guess_encoding(f"{declaration}\nx = 'Ж'\n".encode("cp1251")) == "cp1251"


def test_a_declaration_that_cannot_be_true_is_not_believed() -> None:
    data = b"# coding: gbk\n# caf\xe9\n"
    assert data.decode(guess_encoding(data)) == "# coding: gbk\n# café\n"
    assert guess_encoding(b"# coding: utf-8\n# caf\xe9\n") == "cp1252"
    assert guess_encoding(b"# coding: no-such-thing\n# caf\xe9\n") == "cp1252"


@given(st.binary(max_size=300))
def test_any_bytes_have_an_encoding_that_reads_them(data: bytes) -> None:
    encoding = guess_encoding(data)
    assert data.decode(encoding).count("\n") == data.count(b"\n")


def test_what_is_unicode_is_no_guess() -> None:
    assert not any(map(is_guessed, ("", "utf-8", "utf-8-sig", "utf-16-le", "utf-16-be")))
    assert not is_guessed("notebook")
    assert is_guessed("cp932")
    assert is_guessed("latin-1")

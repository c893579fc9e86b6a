from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from codeindexd.analysis import tokens
from codeindexd.analysis.tokens import MAX_WORD, Memo, Terms, Tokenizer, path_words, split_identifier, stem

_NAMES = st.text(
    alphabet=st.sampled_from("abzABZ019_-.$ äÖßЖжΩωİ日本語テ한국\u0301\ufb01\uff21"), max_size=40
) | st.text(max_size=40)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("getUserById2", "get user by id2"),
        ("HTTPServer", "http server"),
        ("XMLHttpRequest", "xml http request"),
        ("parseJSONToURLs", "parse json to urls"),
        ("snake_case_name", "snake case name"),
        ("SCREAMING_CASE", "screaming case"),
        ("kebab-case-name", "kebab case name"),
        ("dotted.path.Name", "dotted path name"),
        ("__init__", "init"),
        ("utf8", "utf8"),
        ("encodeBase64", "encode base64"),
        ("SHA256Digest", "sha256 digest"),
        ("x86_64", "x86 64"),
        ("IPv4Address", "ipv4 address"),
        ("OAuth2Token", "oauth2 token"),
        ("3DModel", "3d model"),
        ("2fa", "2fa"),
        ("0xDEADbeef", "0xdeadbeef"),
        ("größeÄndern", "größe ändern"),
        ("ДлинаСтроки", "длина строки"),
        ("日本語", "日本 本語"),
        ("語", "語"),
        ("parse日本語Text", "parse 日本 本語 text"),
        ("", ""),
        ("_-$", ""),
    ],
)
def test_identifiers_are_split(name: str, words: str) -> None:
    assert " ".join(split_identifier(name)) == words


def test_terms_keep_order_and_whole_compounds() -> None:
    terms = Tokenizer().tokenize("def parse_HTTPHeaders(rawText): return rawText")
    assert terms == Terms(
        ["def", "parse", "http", "headers", "raw", "text", "return", "raw", "text"],
        ["parse_httpheaders", "rawtext", "rawtext"],
    )


def test_letters_keep_their_marks_and_scripts_without_spaces_become_pairs() -> None:
    words = Tokenizer().words
    assert words("हिन्दी में") == ["हिन्दी", "में"]
    assert words("ราคา") == ["รา", "าค", "คา"]
    assert words("ສິນ") == ["ສິນ"]
    assert words("在庫の数") == ["在庫", "庫の", "の数"]
    assert Tokenizer().tokenize("ราคาสินค้า").identifiers == []


def test_decomposed_and_full_width_text_is_normalised() -> None:
    words = Tokenizer().words
    assert words("cafe\u0301") == words("café") == ["café"]
    assert words("\uff28ello") == ["hello"]


def test_terms_do_not_depend_on_earlier_texts() -> None:
    text = " ".join(f"someName{n} other_{n}" for n in range(50)) + " " + "veryLong" * 20
    small = Tokenizer(memo_entries=8)
    assert small.tokenize(text) == Tokenizer().tokenize(text) == small.tokenize(text)


def test_memory_is_bounded() -> None:
    tokenizer = Tokenizer(memo_entries=100)
    for n in range(1000):
        tokenizer.tokenize(f"name_{n} {'x' * 500}{n}")
    assert all(len(memo) + len(memo._older) <= 100 for memo in (tokenizer._words, tokenizer._compounds))


def test_frequent_tokens_stay_in_the_cache() -> None:
    computed: list[str] = []
    memo = Memo(lambda token: computed.append(token) or token.upper(), 10)  # type: ignore[func-returns-value]
    for n in range(100):
        assert memo["often"] == "OFTEN"
        assert memo[f"once{n}"] == f"ONCE{n}"
    assert computed.count("often") == 1
    assert memo["once0"] == "ONCE0"
    assert computed.count("once0") == 2


@given(st.text(alphabet="abzABZ_", max_size=60) | st.from_regex(r"\A(?:[a-z]+_?|[A-Z]+_?){0,6}\Z"))
def test_the_fast_path_splits_the_same_way(name: str) -> None:
    assert split_identifier(name) == tuple(part[:MAX_WORD].lower() for part in tokens._PARTS.findall(name))


@given(_NAMES)
@example("\u17b4")
def test_words_are_short_lowercase_and_not_empty(name: str) -> None:
    for word in split_identifier(name):
        assert 0 < len(word) <= MAX_WORD
        assert word == word.lower()
        assert not any(c.isspace() or c == "_" for c in word)


@given(_NAMES)
def test_both_ways_of_splitting_give_the_same_words(text: str) -> None:
    tokenizer = Tokenizer()
    words, identifiers = tokenizer.tokenize(text)
    assert words == tokenizer.words(text)
    assert words == [word for part in text.split(" ") for word in split_identifier(part)] or not text.isascii()
    assert all(identifier == identifier.lower() for identifier in identifiers)


@given(_NAMES)
@example("A0a\u00d6")
@example("0a0\u00d6")
def test_splitting_a_word_gives_the_word(name: str) -> None:
    """A query for a word from an answer must find that chunk again."""
    for word in split_identifier(name):
        if word.isascii():
            assert split_identifier(word) == (word,)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (b"src/http/ClientPool.py", "src http client pool clientpool py"),
        (b".github/workflows/ci.yml", "github workflows ci yml"),
        (b"Makefile", "makefile"),
        (b".gitignore", "gitignore"),
        (b"docs/user_guide.de.md", "docs user guide de userguidede md"),
        (b"a\xff/b.c", "a b c"),
        (b"", ""),
    ],
)
def test_paths_are_split_into_words(path: bytes, words: str) -> None:
    assert path_words(path) == words


@given(st.binary(max_size=60))
def test_any_path_has_words(path: bytes) -> None:
    assert path_words(path) == " ".join(path_words(path).split())


@pytest.mark.parametrize(
    "family",
    [
        "parse parses parsed parsing",
        "configure configures configured configuring configuration configurations",
        "serialize serializing serialization serializations",
        "create creates created creating creation",
        "query queries querying",
        "run runs running",
        "class classes",
        "cookie cookies",
        "need needs needing needed",
    ],
)
def test_inflections_share_a_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


@pytest.mark.parametrize("word", ["string", "status", "bus", "class", "this", "is", "thing", "utf8", "größen", "id"])
def test_words_that_only_look_inflected_are_unchanged(word: str) -> None:
    assert stem(word) == word


@given(st.text(alphabet="abcdeginostyz", min_size=1, max_size=14))
def test_a_stem_is_never_empty_or_longer(word: str) -> None:
    assert 0 < len(stem(word)) <= len(word)
    assert Tokenizer().stems([word, word]) == [stem(word)] * 2


_MARKS = ["e", "\u0301", "\u0323", " ", "\n", "é", "\u1100", "\u1161", "ﬁ", "中", "Ａ"]


@given(st.lists(st.sampled_from(_MARKS), min_size=1, max_size=10).map("".join))  # no longer than a piece without ASCII
@settings(max_examples=30, deadline=None)
def test_long_texts_are_normalised_like_short_ones(text: str) -> None:
    text = "a " * 2000 + text * 400
    assert tokens._normal(text) == unicodedata.normalize("NFKC", text)


def test_a_run_of_accents_is_normalised_in_linear_time() -> None:
    started = time.process_time()
    Tokenizer().tokenize("a" + "\u0301\u0323" * 60_000)
    assert time.process_time() - started < 5  # in one piece: ten seconds, and four times that for twice as many


@pytest.mark.parametrize(
    "text",
    ["", "getUserById2 parses users, parsing a user_name", "\u00dcber die Gr\u00f6\u00dfen", "\u4e2d\u6587 a.b-c"],
)
def test_distinct_stems_are_those_of_the_words(text: str) -> None:
    tokenizer = Tokenizer()
    assert tokenizer.distinct_stems(text) == set(tokenizer.stems(tokenizer.words(text)))

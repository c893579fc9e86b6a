"""Pairs from histories: what a commit says it does, and the code that it changed.

    python -m training.commits --repositories DIR... --exclude-names FILE --out commits.jsonl

A commit counts if it changes few files and its subject is a sentence about code. The answer is the chunk, after the
commit, with most of a file's changed lines. Same form as `training.pairs`, kind ``commit``. Equal histories give equal
pairs.
"""

from __future__ import annotations

import argparse
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pygit2

from codeindexd.analysis.chunking.chunker import chunk
from codeindexd.analysis.chunking.languages import detect
from codeindexd.analysis.tokens import Tokenizer
from training.corpus import FOREIGN, LANGUAGES, excluded_names
from training.pairs import CODE_WORDS, FIRST_WORDS, clean
from training.repositories import changed_files, commits, git_directories, licence_of

_MOST_FILES, _MOST_BYTES = 6, 200_000
_PREFIX = re.compile(  # conventional commits, components, ticket ids and tags
    r"^(?:\s*(?:\[[^\]]{1,40}\]|\w[\w/.-]{0,30}(?:\([^)]{1,60}\))?!?:|[A-Z]+-\d+:?|#\d+:?"
    r"|(?:Fix(?:e[sd])?|Close[sd]?|Refs?) #\d+\s*(?:--|[-:,.])))+\s*"
)
_SUFFIX = re.compile(r"\s*(?:\((?:#|GH-?)\d+\)|\[[^\]]{1,30}\])\s*\.?$")
_ROUTINE = re.compile(  # says nothing about what the code does
    r"\b(?:merge|bump|release|typos?|changelog|lint|format(?:ting)?|whitespace|version|upgrade|dependenc\w+|deps|ci|"
    r"travis|readme|docs?|documentation|copyright|cleanup|clean up|wip|revert|translations?|locale|minor|nits?|style|"
    r"indent\w*|spelling|comments?|refactor\w*|rename\w*|pep ?8|isort|black|prettier|eslint|rubocop|review|feedback|"
    r"todo)\b",
    re.IGNORECASE,
)
_TRAILER = re.compile(r"^[A-Z][\w-]+(?: \w+)?: ", re.MULTILINE)
_TESTS = re.compile(
    r"(^|[/_.-])(\w*tests?|\w*specs?|__tests__|testing|bench\w*|examples?|docs?)([/_.-]|$)", re.IGNORECASE
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=Path, nargs="+", required=True, help="hold <owner>+<name>/repo")
    parser.add_argument("--exclude-names", type=Path, required=True, help="held-out repositories, owner/name a line")
    parser.add_argument("--repository-limit", type=int, default=2_500, help="most pairs of one repository")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    tokenizer = Tokenizer()
    languages: Counter[str] = Counter()
    with args.out.open("w") as out:
        excluded = excluded_names(args.exclude_names.read_text())
        for name, path in git_directories(args.repositories, excluded.repositories):
            repository = pygit2.Repository(str(path))
            if licence_of(repository) in {"", "copyleft"}:
                continue
            count = 0
            for language, question, answer in pairs_of(repository, random.Random(args.seed)):
                q, d = tokenizer.words(question)[:FIRST_WORDS], tokenizer.words(answer)[:CODE_WORDS]
                if len(q) < 3 or len(d) < 8:
                    continue
                package = name.rpartition("/")[2].lower()
                record = {
                    "kind": "commit",
                    "language": language,
                    "package": package,
                    "q": " ".join(q),
                    "d": " ".join(d),
                }
                out.write(json.dumps(record) + "\n")
                languages[language] += 1
                count += 1
                if count >= args.repository_limit:
                    break
            print(f"{name:<40} {count:6}", flush=True)
    print(dict(languages), languages.total())


def pairs_of(repository: pygit2.Repository, random_: random.Random) -> Iterator[tuple[str, str, str]]:
    """Yield (language, question, answer) of a repository's small commits, newest first."""
    for commit in commits(repository):
        if not (question := question_of(commit.message, random_)):
            continue
        for path, data, lines in changed_files(repository, commit, _MOST_FILES, is_source):
            language = detect(path.encode("utf-8", "replace"), data[:200].split(b"\n", 1)[0])
            if len(data) < _MOST_BYTES and (answer := most_changed(data, language, lines)):
                yield language, question, answer


def is_source(path: str) -> bool:
    """Return True for code that is neither a test nor foreign."""
    language = detect(path.encode("utf-8", "replace"), b"")
    is_code = language in LANGUAGES and language not in {"markdown", "restructuredtext", "yaml", "toml", "html"}
    return is_code and not FOREIGN.search(path.lower()) and not _TESTS.search(path)


def question_of(message: str, random_: random.Random) -> str:
    """Return what a commit's message says about code: its subject, sometimes with the body's start; "" if nothing."""
    subject, _, body = message.strip().partition("\n")
    subject = _SUFFIX.sub("", _PREFIX.sub("", subject)).strip()
    if _ROUTINE.search(subject) or not 3 <= len(subject.split()) <= 25:
        return ""
    prose = clean(_TRAILER.split(body, maxsplit=1)[0].split("\n")) if body and random_.random() < 0.4 else ""
    return f"{subject}. {prose}" if prose else subject


def most_changed(data: bytes, language: str, lines: Sequence[range]) -> str:
    """Return the text of the chunk with most of the changed ``lines`` (numbered from 1); "" if none has any."""
    best, most = b"", 0
    for span in chunk(data, language, max_bytes=4000):
        inside = sum(
            max(0, min(span.end_line + 1, changed.stop) - max(span.start_line, changed.start)) for changed in lines
        )
        if inside > most:
            best, most = data[span.start_byte : span.end_byte], inside
    return best.decode("utf-8", "replace")


if __name__ == "__main__":
    main()

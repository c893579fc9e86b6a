"""Definitions that are found line by line, in languages without a grammar."""

from __future__ import annotations

import time

import pytest

from codeindexd.analysis.chunking.chunker import analyse
from codeindexd.analysis.chunking.grammars import fingerprint
from codeindexd.analysis.chunking.languages import known_languages
from codeindexd.analysis.chunking.line_outline import LINE_LANGUAGES, definitions_by_line
from codeindexd.analysis.chunking.lines import Lines

PROTOBUF = b"""syntax = "proto3";
package acme.v1;

// A job to run. It has a name.
message Job {
  option deprecated = true;
  reserved 2;
  string name = 1;
  enum State { NEW = 0; }
  enum Kind {
    BATCH = 1;
  }
  message Inner {
    int64 id = 1;
  }
}

service Jobs {
  rpc Run(Job) returns (Job);
}
"""
SAMPLES = {
    "clojure": (
        b"(ns my.app)\n(def limit 3)\n(defn run [a]\n  (inc a))\n(defprotocol Runner\n  (go [this]))\n",
        "namespace my.app 1, variable limit 2, function run 3-4, interface Runner 5-6",
    ),
    "cmake": (
        b"project(demo)\nfunction(add_thing x)\n  message(x)\nendfunction()\nadd_library(core a.c)\nset(SOURCES a.c)\n",
        "module demo 1, function add_thing 2-4, target core 5, variable SOURCES 6",
    ),
    "crystal": (
        b"class Job\n  LIMIT = 3\n  def run?(a)\n    a\n  end\nend\n",
        "class Job 1-6, constant Job.LIMIT 2, method Job.run? 3-5",
    ),
    "elisp": (b"(defun my-run (a)\n  (1+ a))\n(defvar my-limit 3)\n", "function my-run 1-2, variable my-limit 3"),
    "erlang": (
        b"-module(job).\n-record(state, {size}).\nrun(0) ->\n    ok;\nrun(N) ->\n    run(N - 1).\nstop() -> ok.\n",
        "module job 1, struct state 2, function run 3-6, function stop 7",
    ),
    "fsharp": (
        b"module Acme.Jobs\nlet limit = 3\nlet run (a: int) =\n    a + 1\ntype Runner() =\n    member this.Go(x) = x\n",
        "module Jobs 1, variable limit 2, function run 3-4, type Runner 5-6, method Go 6",
    ),
    "graphql": (
        b"type User implements Node {\n  posts(first: Int): [Post!]!\n}\nenum Role {\n  ADMIN\n}\nscalar Date\n",
        "struct User 1-3, field User.posts 2, enum Role 4-6, enum_member Role.ADMIN 5, type Date 7",
    ),
    "make": (
        b"CC := gcc\nobj-$(CONFIG_A) += a.o\nall: build\nbuild: $(OBJS)\n\t$(CC) -o a\n%.o: %.c\n.PHONY: all\n",
        "variable CC 1, variable obj-$(CONFIG_A) 2, target all 3, target build 4-5",
    ),
    "r": (
        b"run <- function() {\n}\nlimit <- 3\nStack <- R6Class('Stack', list(\n  push = function() 1\n))\ninc = \\() 1",
        "function run 1-2, variable limit 3, class Stack 4-6, method Stack.push 5, function inc 7",
    ),
    "racket": (b"(struct point (x y))\n(struct a->b (x))\n", "struct point 1, struct a->b 2"),
    "scheme": (
        b"(define (run a)\n  a)\n(define limit 3)\n(define-record-type <job>\n  (make-job id) job?)\n",
        "function run 1-2, variable limit 3, struct job 4-5",
    ),
    "tcl": (b"proc run {a} {\n  return $a\n}\nnamespace eval ::acme {\n}\n", "function run 1-3, namespace acme 4-5"),
    "thrift": (
        b"struct Job {\n  1: required string name,\n  2: i32 size\n}\n",
        "struct Job 1-4, field Job.name 2, field Job.size 3",
    ),
    "vim": (
        b"func s:run(a)\n  return 1\nendfunc\nfun other()\nendfun\ndef New()\nenddef\ncommand! Run call s:run()\n",
        "function run 1-3, function other 4-5, function New 6-7, macro Run 8",
    ),
}


@pytest.mark.parametrize("language", SAMPLES)
def test_definitions_have_their_kind_name_and_extent(language: str) -> None:
    text, wanted = SAMPLES[language]
    found = analyse(text, language).definitions
    rows = [
        f"{one.start_line}" if one.start_line == one.end_line else f"{one.start_line}-{one.end_line}" for one in found
    ]
    assert ", ".join(f"{one.kind} {one.qualified} {row}" for one, row in zip(found, rows, strict=True)) == wanted
    for one in found:
        assert text.split(b"\n")[one.line - 1][one.column - 1 :].startswith(one.name.encode())


def test_members_stand_in_what_is_around_them() -> None:
    found = {one.qualified: one for one in analyse(PROTOBUF, "protobuf").definitions}
    assert list(found) == [
        *("v1", "Job", "Job.name", "Job.State", "Job.Kind", "Job.Kind.BATCH", "Job.Inner", "Job.Inner.id"),
        *("Jobs", "Jobs.Run"),
    ]
    job = found["Job"]
    assert (job.doc, job.start_line, job.end_line) == ("A job to run.", 5, 16)
    assert found["Jobs.Run"].signature == "rpc Run(Job) returns (Job)"


def test_chunks_follow_the_definitions() -> None:
    functions = [f"run{n} <- function(a) {{\n" + "  a <- a + 1\n" * 60 + "}\n\n" for n in range(5)]
    spans = analyse("".join(functions).encode(), "r").spans
    assert [span.symbol for span in spans] == [f"run{n}" for n in range(5)]
    assert [(span.start_byte, span.end_byte) for span in spans][-1][1] == len("".join(functions))


@pytest.mark.parametrize("language", sorted(LINE_LANGUAGES))
def test_every_language_exists_and_has_a_fingerprint_of_its_own(language: str) -> None:
    assert language in known_languages()
    assert fingerprint(language) != fingerprint("")


@pytest.mark.parametrize("language", sorted(LINE_LANGUAGES))
def test_spans_cover_any_text(language: str) -> None:
    text = b"\n".join(sample for sample, _ in SAMPLES.values()) * 3
    spans = analyse(text, language).spans
    assert b"".join(text[span.start_byte : span.end_byte] for span in spans) == text


def test_repeated_braces_are_one_body() -> None:
    text = b"function f()\n" + b"{\n" * 5000 + b"}\n"
    assert [(one.name, one.line, one.end_line) for one in analyse(text, "awk").definitions] == [("f", 1, 5002)]


_NESTED = b"".join(b" " * depth + b"message M%d {\n" % depth for depth in range(190))


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("protobuf", _NESTED + b"\n" * 300_000),  # each of the definitions ends far below
        ("protobuf", (b"package " + b"a" * 392 + b"\n") * 3000),
        ("make", (b"export " * 57 + b"\n") * 3000),
        ("clojure", (b"(ns " + b"^a " * 130 + b"\n") * 3000),
        ("fsharp", (b"module " + b"a." * 190 + b"\n") * 3000),
    ],
)
def test_time_is_linear_in_the_text(language: str, text: bytes) -> None:
    began = time.process_time()
    definitions_by_line(Lines(text), language)
    assert time.process_time() - began < 3

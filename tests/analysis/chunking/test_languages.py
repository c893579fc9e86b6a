"""Languages by name, extension and first line."""

from __future__ import annotations

import pytest

from codeindexd.analysis.chunking.grammars import LANGUAGES
from codeindexd.analysis.chunking.languages import detect, known_languages

BY_PATH = """
a.py python            a.pyi python           src/x/a.go go          a.rs rust            a.h c
a.hpp cpp              a.C cpp                a.c c                  a.cc cpp             a.cs csharp
a.java java            a.kt kotlin            build.gradle.kts kotlin a.swift swift       a.scala scala
a.sbt scala            a.hs haskell           a.lhs haskell          a.ex elixir          a.exs elixir
a.heex heex            a.rb ruby              a.lua lua              a.zig zig            a.php php
a.sh bash              .bashrc bash           a.js javascript        a.mjs javascript     a.jsx javascript
a.ts typescript        a.mts typescript       a.d.ts typescript      a.tsx tsx            a.json json
.eslintrc json         a.yml yaml             a.toml toml            Cargo.lock toml      a.ml ocaml
a.mli ocaml_interface  a.jl julia             a.md markdown          README.MD markdown   a.html html
a.css css              a.scss scss            a.sql sql              main.tf hcl          a.ipynb jupyter
Makefile make          GNUmakefile make       a.mk make              Dockerfile dockerfile Dockerfile.dev dockerfile
CMakeLists.txt cmake   a.cmake cmake          Gemfile ruby           Rakefile ruby        Jenkinsfile groovy
go.mod gomod           BUILD.bazel bazel      a.proto protobuf       a.vue vue            a.dart dart
a.tar.gz -             notes.txt -            LICENSE -              a.min.js javascript  .gitignore gitignore
a.xml xml              a.csproj xml           a.ini ini              a.R r                a.pl perl
a.fs fsharp            a.erl erlang           a.clj clojure          a.nix nix            a.rst restructuredtext
"""
PAIRS = [tuple(pair) for pair in zip(BY_PATH.split()[::2], BY_PATH.split()[1::2], strict=True)]

FIRST_LINES = [
    (b"#!/bin/sh", "bash"),
    (b"#!/usr/bin/env python3", "python"),
    (b"#!/usr/bin/python3.12 -u", "python"),
    (b"#!/usr/bin/env -S deno run", "javascript"),
    (b"#!/usr/bin/env -S FOO=1 ruby", "ruby"),
    (b"#! /usr/local/bin/node", "javascript"),
    (b"#!/opt/unknown", ""),
    (b"<?php echo 1;", "php"),
    (b'<?xml version="1.0"?>', "xml"),
    (b"<!DOCTYPE html>", "html"),
    (b"/* -*- mode: c++; tab-width: 4 -*- */", "cpp"),
    (b"# -*- ruby -*-", "ruby"),
    (b"# -*- coding: utf-8 -*-", ""),
    (b"\xff\xfe\x00", ""),
    (b"", ""),
]


@pytest.mark.parametrize(("path", "language"), PAIRS)
def test_languages_are_detected_by_path(path: str, language: str) -> None:
    assert detect(path.encode()) == language.replace("-", "")


@pytest.mark.parametrize(("line", "language"), FIRST_LINES)
def test_first_lines_decide_if_the_name_does_not(line: bytes, language: str) -> None:
    assert detect(b"bin/tool", line) == language


def test_the_name_has_precedence_over_the_first_line() -> None:
    assert detect(b"a.py", b"#!/bin/sh") == "python"


def test_names_that_are_not_utf8() -> None:
    assert detect(b"caf\xe9.py") == "python"
    assert detect(b"\xff\xfe") == ""


def test_many_languages_are_known_including_all_with_a_grammar() -> None:
    assert len(known_languages()) > 150
    assert known_languages() >= LANGUAGES

"""The documents: their samples, plots, generated pages and links say what the program says."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from codeindexd.analysis.chunking.languages import known_languages
from codeindexd.cli import parser
from codeindexd.mcp.toolset import TOOLS
from codeindexd.protocol.methods import METHODS
from codeindexd.search.query import parse
from support.places import PROJECT

HERE = Path(__file__).parent


def program(name: str) -> ModuleType:
    """Import a program of this directory."""
    spec = importlib.util.spec_from_file_location(f"documentation_{name}", HERE / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


samples = program("samples")
plots = program("plots")
reference = program("reference")


def test_a_sample_that_differs_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    block = "$ codeindex verify\n/home/me/flask: 26 files: equal to the disk, 3 s\n"
    assert samples.report("page", block, block.replace("3 s", "12 s")) == 0
    assert samples.report("page", block, block.replace("26", "27")) == 1
    assert "+/home/me/flask: 27 files" in capsys.readouterr().out


def test_samples_are_found_and_written() -> None:
    text = "before\n<!-- sample -->\n```console\n$ a b\nold\n$ c\n```\n\n```console\n$ not a sample\n```\n"
    [block] = samples.BLOCK.findall(text)
    assert samples.commands_of(block) == ["a b", "c"]
    assert samples.replaced(text, ["$ a b\nnew\n"]) == text.replace("old\n$ c\n", "new\n")


@pytest.mark.parametrize("page", samples.PAGES)
def test_a_page_has_samples(page: str) -> None:
    assert samples.BLOCK.findall((PROJECT / page).read_text())


def test_the_plots_show_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["plots.py", "--check"])
    assert plots.main() == 0


def test_the_figures_are_those_of_the_pages() -> None:
    figures = json.loads((PROJECT / "docs/figures.json").read_text())
    agents = (PROJECT / figures["recall"]["page"]).read_text()
    for values in figures["recall"]["lines"].values():
        assert " | ".join(f"{value:.3f}" for value in values) in agents
    performance = (PROJECT / figures["freshness"]["page"]).read_text()
    for _, _, shown in figures["freshness"]["bars"]:
        assert shown in performance


def test_the_reference_has_every_command_tool_and_language() -> None:
    commands, tools, languages = (
        reference.PAGES[f"reference/{name}.md"]() for name in ("commands", "tools", "languages")
    )
    for name, one in parser.build()[1].items():
        assert f"\n### {name}\n" in commands
        assert all(f"`{flag}" in commands for action in one._actions for flag in action.option_strings)
    assert [name for name in TOOLS if f"\n## {name}\n" not in tools] == []
    assert [name for name in known_languages() if f"\n| `{name}` |" not in languages] == []


def test_the_protocol_names_every_method_and_parameter() -> None:
    rows = re.findall(r"(?m)^\| (`[^|]+`) \| ([^|]*) \|", (PROJECT / "docs/protocol.md").read_text())
    documented = {name: text for names, text in rows for name in re.findall(r"`([\w.]+)`", names)}
    page = reference.PAGES["reference/methods.md"]()
    for method, parameters in METHODS.items():
        missing = [one.name for one in parameters if f"`{one.name}`" not in documented[method]]
        assert missing == [], method
        assert f"\n## {method}\n" in page


def test_the_readme_names_every_command() -> None:
    table = (PROJECT / "README.md").read_text().partition("\n## Commands\n")[2].partition("\n## ")[0]
    named = {word for text in re.findall(r"`([^`]+)`", table) for word in text.replace("codeindex ", "").split()[:1]}
    assert sorted(set(parser.build()[1]) - named) == []


def test_the_examples_of_queries_are_queries() -> None:
    page = (PROJECT / "docs/queries.md").read_text()
    examples = re.findall(r"(?m)^\|.*\| `([^`]+)` \|$", page)
    assert len(examples) >= 10
    for example in examples:
        parse(example.replace("\\|", "|"))


def test_links_lead_to_the_same_places_on_the_site() -> None:
    pytest.importorskip("mkdocs")
    hooks = program("site_hooks")
    text = "[a](docs/x.md#y) [b](CONTRIBUTING.md) [c](tests/run.py) [d](https://e.f) ![g](docs/images/h.svg)"
    assert hooks.moved(text, "", "https://r/") == (
        "[a](x.md#y) [b](contributing.md) [c](https://r/blob/main/tests/run.py) [d](https://e.f) ![g](images/h.svg)"
    )
    assert hooks.moved("[a](../README.md#z) [b](b.md)", "docs", "https://r") == "[a](index.md#z) [b](b.md)"


def test_the_tests_that_the_threat_model_names_exist() -> None:
    text = (PROJECT / "docs/security.md").read_text()
    named = set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", text))
    assert named
    assert [name for name in sorted(named) if not any((PROJECT / "tests").glob(f"**/{name}"))] == []

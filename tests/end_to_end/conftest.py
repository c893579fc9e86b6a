from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemons import RealDaemon, real_daemon
from support.trees import tree

PROJECT = {
    "README.md": "# Greeter\n\nSays hello to people in many languages.\n",
    "greeter/__init__.py": "",
    "greeter/hello.py": (
        "def greet_politely(name: str) -> str:\n"
        '    """Return a polite greeting."""\n'
        '    return f"Good day, {name}"\n'
        "\n\n"
        "class Translator:\n"
        "    def translate_greeting(self, text, language):\n"
        "        return self.tables[language][text]\n"
    ),
    "greeter/server.go": 'package greeter\n\nfunc ListenAndGreet(port int) error {\n\treturn serve(port, "hello")\n}\n',
    "tests/test_hello.py": "def test_greets():\n    assert greet_politely('x')\n",
    ".gitignore": "build/\n*.log\n",
    "build/generated.py": "def greet_politely(): pass\n",
    "debug.log": "greet_politely\n",
    ".env": "PASSWORD=hunter2hunter2\n",
}


@pytest.fixture
def daemon() -> Iterator[RealDaemon]:
    """A running daemon without roots."""
    with real_daemon("[workers]\nnice = 0\n") as running:
        yield running


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project on disk."""
    return tree(tmp_path / "project", PROJECT)

"""The configuration: the order of its sources, and a helpful error for every mistake."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.inspect import FloatType, IntType

from codeindexd.config import Config, Index, RootConfig, load, load_root_config, to_toml
from codeindexd.config.meanings import MEANINGS
from codeindexd.config.settings import DEPRECATED, SECTIONS, default_text, keys_of
from codeindexd.config.sources import line_of
from codeindexd.config.toml_text import commented
from codeindexd.errors import ConfigError
from support.places import PROJECT


def kinds(annotation: object) -> Iterator[msgspec.inspect.Type]:
    """Yield the types that a key may have."""
    kind = msgspec.inspect.type_info(annotation)
    yield from kind.types if isinstance(kind, msgspec.inspect.UnionType) else [kind]


def config(tmp_path: Path, text: str, **environ: str) -> Config:
    (tmp_path / "config.toml").write_text(text)
    return load(tmp_path / "config.toml", environ)


def test_a_missing_file_means_defaults_unless_it_is_required(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml", {}) == Config()
    with pytest.raises(ConfigError, match=r"none\.toml does not exist"):
        load(tmp_path / "none.toml", {}, required=True)


def test_the_command_line_overrides_the_environment_and_that_the_file(tmp_path: Path) -> None:
    text = "[watch]\ndebounce_ms = 50\ndeadline_ms = 700\n[workers]\ncount = 3\n"
    (tmp_path / "config.toml").write_text(text)
    environ = {"CODEINDEXD_WATCH_DEADLINE_MS": "800", "CODEINDEXD_WORKERS_COUNT": "2"}
    loaded = load(tmp_path / "config.toml", environ, {"workers.count": "1"})
    assert (loaded.watch.debounce_ms, loaded.watch.deadline_ms, loaded.workers.count) == (50, 800, 1)
    assert loaded.index == Index()


def test_the_api_key_of_an_endpoint_is_not_a_setting(tmp_path: Path) -> None:
    assert config(tmp_path, "", CODEINDEXD_EMBEDDING_API_KEY="sk-secret") == Config()


def test_environment_values_are_converted_to_the_type_of_their_key(tmp_path: Path) -> None:
    loaded = config(
        tmp_path,
        "",
        CODEINDEXD_INDEX_EXCLUDE="*.min.js, vendor/",
        CODEINDEXD_PRIVACY_MASK_SECRETS="false",
        CODEINDEXD_DISK_BUDGET_GB="2.5",
        CODEINDEXD_WORKERS_COUNT="auto",
        CODEINDEXD_SOCKET="/not/ours",
        CODEINDEXD_LOG="x",
        OTHER="1",
    )
    assert loaded.index.exclude == ("*.min.js", "vendor/")
    assert loaded.privacy.mask_secrets is False
    assert loaded.disk.budget_gb == 2.5
    assert loaded.workers.count == "auto"


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("[wach]\n", r"config.toml: unknown section \[wach\]", "did you mean watch?"),
        ("[watch]\ndebounce = 1\n", r"config.toml: \[watch\] debounce: unknown key", "did you mean debounce_ms?"),
        ("[watch]\nzzz = 1\n", "unknown key", "known names are: debounce_ms"),
        (
            "[watch]\ndebounce_ms = '4'\n",
            "expected a whole number from 0 to 60000, got a string: '4'",
            "default is 20",
        ),
        ("[watch]\ndebounce_ms = true\n", "expected a whole number from 0 to 60000, got a boolean", ""),
        ("[watch]\ndebounce_ms = -1\n", "expected a whole number from 0 to 60000, got a whole number: -1", ""),
        ("[watch]\nreconcile_minutes = 0\n", "expected a number above 0, at most 525600, got a whole", "default is 60"),
        ("[disk]\nbudget_gb = inf\n", "expected a number above 0, at most 1000000, got a number: inf", "default is 10"),
        ("[workers]\ncount = 'many'\n", 'count: expected a whole number from 0 to 256 or "auto"', ""),
        ("[index]\nexclude = 'x'\n", "exclude: expected a list of strings that are not empty, got a string", ""),
        ("[index]\nexclude = [1]\n", "exclude: expected a list of strings", ""),
        ("[index]\nexclude = ['']\n", "exclude: expected a list of strings that are not empty, got a list", ""),
        ("[index]\nhidden = 1\n", "hidden: expected true or false", ""),
        ("[embedding]\nmodel = ''\n", "model: expected a string that is not empty", "bundled"),
        ("debounce_ms = 1\n", "debounce_ms is in no section", "write it below its section: [watch]"),
        ("zzz = 1\n", "zzz is in no section", "its section: [watch], [index], "),
        ("watch = 1\n", "watch must be a table, not a whole number", ""),
        ("[watch]\ndebounce_ms = 500\ndeadline_ms = 100\n", "deadline_ms", "raise deadline_ms"),
        ("[watch\n", r"config\.toml is not TOML", ""),
    ],
)
def test_an_error_names_the_file_the_key_and_the_expected_value(
    tmp_path: Path, text: str, says: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        config(tmp_path, text)
    assert str(tmp_path) in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.hint


NUMBERS = [
    (section.name, field.name, numbers[0])
    for section in msgspec.structs.fields(Config)
    for field in msgspec.structs.fields(section.type)
    if (numbers := [kind for kind in kinds(field.type) if isinstance(kind, IntType | FloatType)])
]
ODD = [
    "inf", "+inf", "-inf", "nan", "-nan", "0", "-0.0", "-1", "-0.5", "1e-300", "1e300", "1e999", "true",
    str(1 << 63), str(1 << 64), "9" * 400, "9" * 5000, f"0x{'f' * 5000}",
]  # fmt: skip


@pytest.mark.parametrize(("section", "key", "number"), NUMBERS, ids=[f"{name[0]}.{name[1]}" for name in NUMBERS])
class TestNumbers:
    """Every accepted number must work, so every number has bounds."""

    def test_every_number_has_bounds(self, tmp_path: Path, section: str, key: str, number: IntType | FloatType) -> None:
        least = number.ge if number.ge is not None else number.gt
        assert least is not None
        assert number.le is not None
        assert 0 <= least < number.le < 1 << 40
        for value in (number.ge, number.le):
            if value is not None:
                deadline = "" if key == "deadline_ms" else "deadline_ms = 600000\n"
                text = f"[watch]\n{deadline}" if section == "watch" else f"[{section}]\n"
                text += "debounce_ms = 0\n" if key == "deadline_ms" else ""
                assert getattr(getattr(config(tmp_path, f"{text}{key} = {value}\n"), section), key) == value

    def test_odd_numbers_are_refused_with_the_name_of_the_key(
        self, tmp_path: Path, section: str, key: str, number: IntType | FloatType
    ) -> None:
        messages = []
        for text in ODD:
            variable = f"CODEINDEXD_{section}_{key}".upper()
            for written, environ in ((f"[{section}]\n{key} = {text}\n", {}), ("", {variable: text})):
                try:
                    value = getattr(getattr(config(tmp_path, written, **environ), section), key)
                except ConfigError as error:
                    messages.append(error.message.replace(str(tmp_path), ""))
                else:
                    assert 0 <= value <= (number.le or 0), text
        assert len(messages) >= 2 * len(ODD) - 4
        assert all(key in message.lower() or "is not TOML" in message for message in messages)
        assert max(map(len, messages)) < 250


def test_errors_in_the_environment_and_the_command_line_name_their_source(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="CODEINDEXD_WATCH_DEBOUNCE_MS: expected a whole number"):
        config(tmp_path, "", CODEINDEXD_WATCH_DEBOUNCE_MS="soon")
    with pytest.raises(ConfigError, match="CODEINDEXD_WATCH_DEBONCE_MS: unknown key"):
        config(tmp_path, "", CODEINDEXD_WATCH_DEBONCE_MS="1")
    with pytest.raises(ConfigError, match=r"command line: workers\.count: expected"):
        load(tmp_path / "none", {}, {"workers.count": "-1"})


def test_an_unreadable_file_is_a_config_error(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.toml", {})
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path, {})


def test_a_printed_configuration_can_be_loaded(tmp_path: Path) -> None:
    loaded = config(tmp_path, '[index]\nexclude = ["a\\"b", "ü"]\n[workers]\ncount = 0\n')
    assert config(tmp_path, to_toml(loaded)) == loaded
    assert config(tmp_path, to_toml(Config())) == Config()


class TestRootConfig:
    def load(self, tmp_path: Path, text: str) -> RootConfig:
        (tmp_path / ".codeindex.toml").write_text(text)
        return load_root_config(tmp_path)

    def test_it_can_narrow_what_is_indexed(self, tmp_path: Path) -> None:
        assert load_root_config(tmp_path) == RootConfig()
        expected = RootConfig(include=("src/",), exclude=("*.gen.py",))
        assert self.load(tmp_path, 'include = ["src/"]\nexclude = ["*.gen.py"]\n') == expected
        assert self.load(tmp_path, '[index]\ninclude = ["src/"]\nexclude = ["*.gen.py"]\n') == expected

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("hidden = true\n", "hidden cannot be set for one root"),
            ("[index]\nhidden = true\n", "hidden cannot be set for one root"),
            ("[embedding]\nmodel = 'https://evil.example'\n", "embedding cannot be set for one root"),
            ("exlude = []\n", "unknown key"),
            ("exclude = 'x'\n", "expected a list of strings"),
            ("= broken", "is not TOML"),
        ],
    )
    def test_it_can_set_nothing_else(self, tmp_path: Path, text: str, says: str) -> None:
        with pytest.raises(ConfigError, match=says):
            self.load(tmp_path, text)

    def test_a_relative_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "other.toml").write_text("exclude = []")
        (tmp_path / ".codeindex.toml").symlink_to("other.toml")
        with pytest.raises(ConfigError, match="symbolic link"):
            load_root_config(tmp_path)

    def test_narrowing_keeps_the_users_excludes_last(self) -> None:
        own = Index(exclude=("secret/",))
        assert own.narrowed(RootConfig(exclude=("!secret/",))).exclude == ("!secret/", "secret/")
        assert own.narrowed(RootConfig(include=("src/",))).include == ("src/",)

    def test_with_includes_on_both_sides_a_file_must_pass_both(self) -> None:
        from codeindexd.scan.ignore import IgnoreRules

        index = Index(include=("*.py",)).narrowed(RootConfig(include=("src/", "*.md")))
        rules = IgnoreRules.for_root(include=index.include, exclude=index.exclude)
        source = rules.enter(b"src", {})
        assert source.verdict(b"src/a.py", is_dir=False) is None
        assert source.verdict(b"src/a.txt", is_dir=False) is not None
        assert rules.verdict(b"a.py", is_dir=False) is not None
        assert rules.verdict(b"a.md", is_dir=False) is not None


class TestPipes:
    """``--config <(command)`` is a pipe; so is a FIFO that nobody writes to."""

    def test_one_that_nobody_writes_to_does_not_block(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("codeindexd.config.sources._PIPE_S", 0.01)
        os.mkfifo(tmp_path / "config.toml")
        with pytest.raises(ConfigError, match="is a pipe, and nothing was written to it"):
            load(tmp_path / "config.toml", {})

    def test_one_that_is_written_to_is_read_to_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "config.toml"
        os.mkfifo(path)

        def write() -> None:
            with path.open("w") as pipe:
                pipe.write("[search]\n")
                pipe.flush()
                pipe.write("default_limit = 7\n")

        writer = threading.Thread(target=write)
        writer.start()
        assert load(path, {}).search.default_limit == 7
        writer.join()


class TestHostileRoot:
    """``.codeindex.toml`` comes with the code, which may be a stranger's."""

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "secret").write_text('include = ["password"]\n')
        (tmp_path / ".codeindex.toml").symlink_to(tmp_path / "secret")
        with pytest.raises(ConfigError, match="is a symbolic link"):
            load_root_config(tmp_path)

    @pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
    def test_a_fifo_or_socket_does_not_block(self, tmp_path: Path, kind: int) -> None:
        os.mknod(tmp_path / ".codeindex.toml", kind | 0o600)
        with pytest.raises(ConfigError, match=r"is not a regular file|cannot read"):
            load_root_config(tmp_path)

    def test_a_directory_of_that_name_is_a_config_error(self, tmp_path: Path) -> None:
        (tmp_path / ".codeindex.toml").mkdir()
        with pytest.raises(ConfigError, match="is not a regular file"):
            load_root_config(tmp_path)

    def test_a_huge_file_is_refused_before_it_is_parsed(self, tmp_path: Path) -> None:
        with (tmp_path / ".codeindex.toml").open("wb") as file:
            file.truncate(1 << 40)
        with pytest.raises(ConfigError, match="is larger than"):
            load_root_config(tmp_path)

    @pytest.mark.parametrize(
        "text", ["include = 'tr0ub4dor'", "exclude = ['a', 1, 'tr0ub4dor']", "exclude = {a='tr0ub4dor'}"]
    )
    def test_error_messages_do_not_repeat_its_values(self, tmp_path: Path, text: str) -> None:
        (tmp_path / ".codeindex.toml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            load_root_config(tmp_path)
        assert "expected a list of strings" in caught.value.message
        assert "tr0ub4dor" not in caught.value.message + caught.value.hint

    @pytest.mark.parametrize(
        "line", ["[embedding]\nmodel = '/tmp/evil'", "mask_secrets = false", "[privacy]\nmask_secrets = false"]
    )
    def test_it_cannot_weaken_privacy_settings(self, tmp_path: Path, line: str) -> None:
        (tmp_path / ".codeindex.toml").write_text(line)
        with pytest.raises(ConfigError, match="cannot be set for one root"):
            load_root_config(tmp_path)


def test_the_backend_of_the_watcher(tmp_path: Path) -> None:
    assert config(tmp_path, "").watch.backend == "auto"
    assert config(tmp_path, '[watch]\nbackend = "watchfiles"').watch.backend == "watchfiles"
    with pytest.raises(ConfigError, match=r'\[watch\] backend: expected "auto" or "inotify" or "poll" or "watchfiles"'):
        config(tmp_path, '[watch]\nbackend = "fsevents"')


def test_the_deprecated_spelling_of_polling_is_shown_only_where_it_is_set(tmp_path: Path) -> None:
    assert "poll = " not in to_toml(Config())
    loaded = config(tmp_path, "[watch]\npoll = true")
    assert "poll = true" in to_toml(loaded)


def test_inotify_is_refused_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(ConfigError, match="works on Linux only"):
        config(tmp_path, '[watch]\nbackend = "inotify"')


def test_every_setting_has_a_meaning() -> None:
    assert sorted(MEANINGS) == sorted(f"{name}.{key}" for name, kind in SECTIONS.items() for key in keys_of(kind))


def test_the_commented_file_has_every_setting_with_its_default(tmp_path: Path) -> None:
    text = commented()
    assert config(tmp_path, text) == Config()
    active, count = re.subn(r"(?m)^# (\w+ = )", r"\1", text)
    assert count == len(MEANINGS) - len(DEPRECATED)
    assert config(tmp_path, active) == Config()


def test_the_documents_have_every_setting_with_its_default_and_meaning() -> None:
    rows = re.findall(r"(?m)^\| `(\w+\.\w+)` \| (.+?) \| (.+) \|$", (PROJECT / "docs/configuration.md").read_text())
    expected = [
        (f"{name}.{key}", default_text(kind, key), MEANINGS[f"{name}.{key}"])
        for name, kind in SECTIONS.items()
        for key in keys_of(kind)
        if (name, key) not in DEPRECATED
    ]
    assert rows == expected, "docs/configuration.md differs from config/meanings.py and config/settings.py"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("watch.debounce_ms = 1", 1),
        ("\n[watch]\n\ndebounce_ms = 1", 4),
        ("watch = {debounce_ms = 1}", 1),
        ('["watch"]\n"debounce_ms" = 1', 2),
        ("[index]\nexclude = [\n'[watch]',\n'debounce_ms = 1',\n]\n[watch]\ndebounce_ms = 1", 7),
        ('[index]\nexclude = ["""\n[watch]\ndebounce_ms = 1\n"""]\n[watch]\n  debounce_ms = 1', 7),
        ("[index]\nhidden = true", 0),
    ],
)
def test_the_line_of_a_setting(text: str, line: int) -> None:
    assert line_of(text, "watch", "debounce_ms") == line

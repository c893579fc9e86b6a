"""Our own rules on top of git's: precedence, defaults, rules that nothing overrides, and odd ignore files."""

from __future__ import annotations

import random
import time

import pytest

from codeindexd.scan.ignore import ExcludeFile, IgnoreRules
from codeindexd.scan.ignore.syntax import parse


def _reason(rules: IgnoreRules, path: str, *, is_dir: bool = False) -> str:
    verdict = rules.verdict(path.encode(), is_dir=is_dir)
    return "" if verdict is None else verdict.reason


def _root(git: str = "", own: str = "", **options: object) -> IgnoreRules:
    files = {b".gitignore": git.encode(), b".codeindexignore": own.encode()}
    return IgnoreRules.for_root(**options).enter(b"", files)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "is_dir", "reason"),
    [
        ("node_modules", True, "vendored"),
        ("site-packages", True, "vendored"),
        ("vendor", True, ""),
        ("third_party", True, ""),
        ("build", True, ""),
        ("vendor", False, ""),
        ("__pycache__", True, "generated"),
        ("thing.egg-info", True, "generated"),
        (".idea", True, "hidden"),
        (".github", True, ""),
        (".eslintrc.js", False, ""),
        (".gitignore", False, ""),
        (".git", True, "vcs"),
        (".git", False, "vcs"),
        (".hg", True, "vcs"),
        ("app.min.js", False, "minified"),
        ("APP.MIN.CSS", False, "minified"),
        ("min.js", False, ""),
        ("api_pb2.py", False, "generated"),
        ("api_pb2_grpc.py", False, "generated"),
        ("api.pb.go", False, "generated"),
        ("bundle.js.map", False, "generated"),
        ("types.d.ts.map", False, "generated"),
        ("libfoo.map", False, ""),
        ("base.exp", False, ""),
        ("teapot.obj", False, ""),
        ("m.py~", False, "backup"),
        ("#m.py#", False, "backup"),
        (".#m.py", False, "backup"),
        ("#include", False, ""),
        ("m.py.orig", False, "backup"),
        ("m.py.rej", False, "backup"),
        ("m.py.BAK", False, "backup"),
        (".m.py.swp", False, "backup"),
        ("orig", False, ""),
        ("package-lock.json", False, "generated"),
        ("Cargo.lock", False, "generated"),
        ("logo.PNG", False, "binary"),
        ("libx.so", False, "binary"),
        ("Makefile", False, ""),
        ("png", False, ""),
        ("main.ts", False, ""),
        ("page.pt", False, ""),
    ],
)
def test_defaults(path: str, is_dir: bool, reason: str) -> None:
    assert _reason(_root(), path, is_dir=is_dir) == reason
    if not is_dir and reason:
        assert path.encode() in _root().suspects(b"", [b"x.py", path.encode()])


_SENSITIVE = [
    *(".env", ".env.local", ".env.production", ".ENV", "prod.env", "prod.env.local", ".envrc", "id_rsa", "id_ed25519"),
    *(
        "server.pem",
        "server.key",
        "store.p12",
        "store.pfx",
        "debug.jks",
        "release.keystore",
        "vault.kdbx",
        "AuthKey.p8",
    ),
    *(".netrc", ".pgpass", ".npmrc", ".pypirc", ".git-credentials", ".htpasswd", "credentials", "credentials.json"),
    *("service-account.json", "my-service_account-key.json", "serviceAccountKey.json", "client_secret_12.json"),
    *("terraform.tfstate", "terraform.tfstate.backup", "terraform.tfvars", "prod.auto.tfvars", "prod.tfvars.json"),
    *(
        "gcp-credentials.json",
        ".bash_history",
        "secrets.yaml",
        "master.key",
        "kubeconfig",
        "a.kubeconfig",
        "AuthKey.p8",
    ),
]


@pytest.mark.parametrize("name", _SENSITIVE)
def test_sensitive_names_are_never_reincluded(name: str) -> None:
    rules = _root("!*\n", "!*\n!.env*\n", hidden=True, defaults=False, include=["*"])
    assert _reason(rules, name) == "sensitive"
    assert name.encode() in _root(defaults=False).suspects(b"", [name.encode(), b"a"])


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".env.example",
            ".env.sample",
            ".env.template",
            "example.env",
            ".env.local.example",
            "env.py",
            "environment.ts",
        ),
        *("secrets.py", "credentials.py", "credentials.go", "id_rsa.pub", "keys.json", "account.json", "key.ts"),
        *(
            "example.tfvars",
            "service-account.example.json",
            "monkey.py",
            "pem.c",
            "token.json",
            "environ.envoy",
            "environment.ts",
        ),
    ],
)
def test_harmless_names(name: str) -> None:
    assert _reason(_root(), name) == ""


def test_sensitive_directories() -> None:
    assert _reason(_root(own="!.ssh/\n", hidden=True), ".ssh", is_dir=True) == "sensitive"
    assert _reason(_root(), "credentials", is_dir=True) == ""


def test_our_ignore_file_overrides_git_and_defaults() -> None:
    rules = _root("*.log\n!package-lock.json\n", "!keep.log\n!vendor/\n!.idea/\n!*.min.js\nsecretive.py\n")
    assert _reason(rules, "other.log") == "ignored"
    assert _reason(rules, "keep.log") == ""
    assert _reason(rules, "vendor", is_dir=True) == ""
    assert _reason(rules, ".idea", is_dir=True) == ""
    assert _reason(rules, "x.min.js") == ""
    assert _reason(rules, "secretive.py") == "ignored"
    assert _reason(rules, "package-lock.json") == "generated"  # git's negation is about tracking, not about searching


def test_the_rule_is_named() -> None:
    rules = _root("# a comment\n\n*.log\n").enter(b"sub", {b".gitignore": b"/x\n"})
    shown = [rules.verdict(path, is_dir=False) for path in (b"sub/a.log", b"sub/x", b"sub/a.png")]
    assert [verdict.rule for verdict in shown if verdict] == [
        ".gitignore:3: *.log",
        "sub/.gitignore:1: /x",
        "default: *.png",
    ]


def test_include_and_exclude() -> None:
    rules = _root("!docs/\n", "!docs/\n", include=["src/", "*.md"], exclude=["docs/", "*.gen.py"])
    assert _reason(rules, "docs", is_dir=True) == "excluded"
    assert _reason(rules, "main.py") == "excluded"
    assert _reason(rules, "README.md") == ""
    assert _reason(rules, "src", is_dir=True) == ""
    inside = rules.enter(b"src", {}).enter(b"src/deep", {})
    assert _reason(inside, "src/deep/a.py") == ""
    assert _reason(inside, "src/deep/a.gen.py") == "excluded"


def test_directories_without_possible_matches_of_include_are_skipped() -> None:
    rules = _root(include=["src/lib/", "/docs/*.md", "tests/**/*.py"])
    closed = {path: _reason(rules, path, is_dir=True) for path in ("src", "docs", "tests", "other")}
    assert closed == {"src": "", "docs": "", "tests": "", "other": "excluded"}
    inside = rules.enter(b"src", {})
    assert _reason(inside, "src/other", is_dir=True) == "excluded"
    assert _reason(inside.enter(b"src/lib", {}), "src/lib/any", is_dir=True) == ""
    assert _reason(rules.enter(b"tests", {}), "tests/deep", is_dir=True) == ""


def test_gitignore_off_keeps_our_own_rules() -> None:
    rules = _root("*.py\n", "*.c\n", gitignore=False, exclude_sources=[ExcludeFile("x", b"*.h")])
    assert [_reason(rules, path) for path in ("a.py", "a.h", "a.c")] == ["", "", "ignored"]


def test_a_nested_repository_resets_gits_rules_and_keeps_ours() -> None:
    outer = _root("*.log\n", "*.c\n", exclude_sources=[ExcludeFile("global", b"*.tmp")])
    inner = outer.enter(b"sub", {}, [ExcludeFile(".git/info/exclude", b"/top.txt")])
    assert [_reason(outer, path) for path in ("a.log", "a.c", "a.tmp")] == ["ignored"] * 3
    assert [_reason(inner, f"sub/{name}") for name in ("a.log", "a.tmp", "a.c", "top.txt")] == [
        "",
        "",
        "ignored",
        "ignored",
    ]


def test_files_above_the_root_and_their_anchors() -> None:
    rules = IgnoreRules.for_root(
        above=[
            ("../.gitignore", b"!b.log\n/root/x\n", b"root/"),
            ("../../.gitignore", b"*.log\n/p/root/y\n/x\n", b"p/root/"),
        ],
        exclude_sources=[ExcludeFile("exclude", b"/p/root/z\n")],
    ).enter(b"", {})
    found = [_reason(rules, name) for name in ("a.log", "b.log", "x", "y", "z", "w")]
    assert found == ["ignored", "", "ignored", "ignored", "ignored", ""]
    assert {b"a.log", b"x", b"y", b"z"} <= set(rules.suspects(b"", [b"a.log", b"x", b"y", b"z"]))


def test_a_directory_without_files_shares_its_parents_rules() -> None:
    rules = _root("*.log\n")
    assert rules.enter(b"sub", {}) is rules
    assert rules.enter(b"sub", {b".gitignore": b"# nothing\n"}) is rules


def test_marked_directories() -> None:
    rules = _root(own="!mine/\n")
    assert rules.content_verdict(b"", {b"pyvenv.cfg"}) is None
    assert rules.content_verdict(b"sub/any", {b"pyvenv.cfg", b"lib"}).reason == "vendored"  # type: ignore[union-attr]
    assert rules.content_verdict(b"cache", {b"CACHEDIR.TAG"}).reason == "generated"  # type: ignore[union-attr]
    assert rules.content_verdict(b"mine", {b"CACHEDIR.TAG"}) is None
    assert rules.content_verdict(b"sub", {b"a.py"}) is None


def test_garbage_in_an_ignore_file_affects_nothing_else() -> None:
    noise = random.Random(5).randbytes(1 << 20)
    started = time.thread_time()
    rules = IgnoreRules.for_root().enter(b"", {b".gitignore": noise + b"\n*.log\n", b".codeindexignore": noise[::-1]})
    kept = [path for number in range(2000) if rules.verdict(path := b"module_%d.py" % number, is_dir=False) is None]
    assert time.thread_time() - started < 10
    assert rules.verdict(b"a.log", is_dir=False) is not None
    assert len(kept) == 2000


@pytest.mark.parametrize(
    "pattern",
    [
        b"*a*a*a*a*a*a*a*a*a*a*b",
        b"**/a/**/a/**/a/**/a/**/a/**/a/**/a/b",
        b"[a-z]*[a-z]*[a-z]*[a-z]*!x",
        b"**\\/" * 12 + b"b",
        b"a/**\\/" * 12 + b"b",
    ],
)
def test_no_pattern_backtracks_without_bound(pattern: bytes) -> None:
    rules = IgnoreRules.for_root(hidden=True).enter(b"", {b".gitignore": pattern})
    started = time.thread_time()
    assert rules.verdict(b"a/" * 200 + b"a" * 250, is_dir=False) is None
    assert time.thread_time() - started < 2


def test_a_source_that_must_not_be_quoted_applies_and_is_named_by_line() -> None:
    rules = IgnoreRules.for_root(exclude_sources=[ExcludeFile("~/.netrc", b"\n*.py password", quotable=False)])
    verdict = rules.verdict(b"a.py password", is_dir=False)
    assert verdict is not None
    assert verdict.rule == "~/.netrc:2"


@pytest.mark.parametrize("name", [b"a" * 5000, b"a*" * 5000, b"?/" * 5000])
def test_a_pattern_longer_than_any_path_is_no_pattern(name: bytes) -> None:
    assert parse(name) == []
    assert len(parse(b"*" * 100_000 + b"x")) == 1


@pytest.mark.parametrize("beside", ["go.mod", "composer.json", "Gemfile", "package.json", "Cargo.toml"])
def test_vendor_beside_a_package_file_is_vendored(beside: str) -> None:
    rules = IgnoreRules.for_root().enter(b"", {}, names=[beside.encode(), b"vendor"])
    verdict = rules.verdict(b"vendor", is_dir=True)
    assert verdict is not None
    assert (verdict.reason, verdict.rule) == ("vendored", f"default: vendor/ beside {beside}")
    assert rules.verdict(b"vendor", is_dir=False) is None
    assert rules.enter(b"com", {}, names=[b"vendor"]).verdict(b"com/vendor", is_dir=True) is None


@pytest.mark.parametrize("inside", ["modules.txt", "autoload.php", "bundle"])
def test_vendor_with_the_files_of_a_package_manager_is_vendored(inside: str) -> None:
    verdict = IgnoreRules.for_root().content_verdict(b"lib/vendor", [inside.encode()])
    assert verdict is not None
    assert (verdict.reason, verdict.rule) == ("vendored", f"default: vendor/ holds {inside}")
    assert IgnoreRules.for_root().content_verdict(b"lib/other", [inside.encode()]) is None


def _search_rules(**files: str) -> IgnoreRules:
    contents = {f".{name}".encode(): text.encode() for name, text in files.items()}
    return IgnoreRules.for_root().enter(b"", contents)


def test_ignore_files_of_search_tools_are_stronger_than_gits() -> None:
    rules = _search_rules(gitignore="*.log\n*.tmp\n", ignore="fx/\n!keep.log\n*.gen\n", rgignore="!keep.gen\n")
    assert _reason(rules, "fx", is_dir=True) == "ignored"
    assert _reason(rules, "a.log") == "ignored"
    assert _reason(rules, "keep.log") == "", "a negation overrides git's rules"
    assert _reason(rules, "a.gen") == "ignored"
    assert _reason(rules, "keep.gen") == "", ".rgignore is stronger than .ignore"
    inner = rules.enter(b"sub", {b".ignore": b"!*.gen\n*.log\n"})
    assert _reason(inner, "sub/a.gen") == "", "the deepest file decides"
    assert _reason(inner, "sub/keep.log") == "ignored"
    verdict = inner.verdict(b"sub/keep.log", is_dir=False)
    assert verdict is not None
    assert verdict.rule == "sub/.ignore:2: *.log"
    own = rules.enter(b"own", {b".codeindexignore": b"!a.gen\n*.py\n", b".ignore": b"!*.py\n"})
    assert (_reason(own, "own/a.gen"), _reason(own, "own/x.py")) == ("", "ignored")


def test_files_of_search_tools_survive_a_nested_repository() -> None:
    rules = _search_rules(ignore="*.gen\n").enter(b"nested", {}, [])
    assert _reason(rules, "nested/a.gen") == "ignored"


def test_gitignore_off_keeps_the_rules_of_search_tools() -> None:
    files = {b".gitignore": b"*.py\n", b".ignore": b"*.c\n", b".rgignore": b"*.h\n", b".hgignore": b"\\.go$\n"}
    rules = IgnoreRules.for_root(gitignore=False).enter(b"", files, names={b".hg"})
    assert [_reason(rules, path) for path in ("a.py", "a.go", "a.c", "a.h")] == ["", "", "ignored", "ignored"]


_E_ACUTE = "caf\N{LATIN SMALL LETTER E WITH ACUTE}"
_DECOMPOSED = "cafe\N{COMBINING ACUTE ACCENT}"


@pytest.mark.parametrize("pattern", [f"{_E_ACUTE}.txt", f"/{_E_ACUTE}.txt", f"*{_E_ACUTE}.*"])
def test_patterns_as_they_are_typed_match_decomposed_names(pattern: str) -> None:
    rules = _root(f"{pattern}\n")
    for name in (_E_ACUTE, _DECOMPOSED):
        path = f"{name}.txt"
        assert _reason(rules, path) == "ignored", name
        assert path.encode() in rules.suspects(b"", [path.encode(), b"other.txt"])
    assert _reason(_root(f"{_DECOMPOSED}.txt\n"), f"{_DECOMPOSED}.txt") == "ignored", "and as it is written"


def test_the_last_pattern_decides_in_whichever_form_it_matches() -> None:
    rules = _root(f"*.txt\n!{_E_ACUTE}.txt\n")
    assert _reason(rules, f"{_DECOMPOSED}.txt") == ""
    rules = _root(f"!{_E_ACUTE}.txt\n*.txt\n")
    assert _reason(rules, f"{_DECOMPOSED}.txt") == "ignored"


def test_decomposed_directories_count_in_patterns_with_a_path() -> None:
    rules = _root(f"/{_E_ACUTE}/build/*.o\n", include=[f"{_E_ACUTE}/**"])
    directory, path = _DECOMPOSED.encode(), f"{_DECOMPOSED}/build/a.o"
    assert _reason(rules, _DECOMPOSED, is_dir=True) == ""
    inside = rules.enter(directory, {}).enter(directory + b"/build", {})
    assert _reason(inside, path) == "ignored"
    assert b"a.o" in _root(f"/{_E_ACUTE}/build/*.o\n").suspects(directory + b"/build", [b"a.o"])


def test_names_that_are_not_utf_8_are_matched_as_they_are() -> None:
    rules = IgnoreRules.for_root().enter(b"", {b".gitignore": b"caf\xe9.txt\n"})
    verdict = rules.verdict(b"caf\xe9.txt", is_dir=False)
    assert verdict is not None

"""Packages by the names under which they are published, and what their imports mean."""

from __future__ import annotations

import pytest

from codeindexd.search.graph.modules import ImportedModule, Layout, Match
from codeindexd.search.graph.packages import Manifest, Packages, read_manifest

MANIFESTS = {
    b"package.json": (
        b'{"name": "shop-monorepo", "devDependencies": {"vitest": "1", "@shop/core": "1", "sibling": "workspace:*"}}'
    ),
    b"packages/core/package.json": b'{"name": "@shop/core", "dependencies": {"left-pad": "*"}}',
    b"packages/vitest-like/package.json": b'{"name": "plain"}',
    b"crates/shop-io/Cargo.toml": (
        b'[package]\nname = "shop-io"\n[dependencies]\nserde = "1"\ntask-local = "1"\nnear = { path = "../near" }\n'
    ),
    b"go.mod": b"module example.com/shop/v2\n\ngo 1.22\n",
    b"tools/go.mod": b"module example.com/shop/v2/tools\n",
    b"broken/package.json": b"{",
    b"strange/Cargo.toml": b'package = "no table"\n',
}
PACKAGES = Packages.of(found for path, text in MANIFESTS.items() if (found := read_manifest(path, text)) is not None)


def match(language: str, module: str, name: str, target: str) -> Match:
    layout = Layout("root", lambda _path: False, PACKAGES)
    return ImportedModule(language, b"apps/web/use.ts", module, name, layout).match(target.encode())


@pytest.mark.parametrize(
    ("path", "name", "dependencies"),
    [
        (b"package.json", "shop-monorepo", {"vitest", "@shop/core"}),
        (b"crates/shop-io/Cargo.toml", "shop_io", {"serde", "task_local"}),
        (b"tools/go.mod", "example.com/shop/v2/tools", set()),
    ],
)
def test_a_manifest_names_its_package(path: bytes, name: str, dependencies: set[str]) -> None:
    found = read_manifest(path, MANIFESTS[path])
    assert found is not None
    assert (found.name, found.dependencies) == (name, dependencies)


def test_a_broken_manifest_says_nothing() -> None:
    assert read_manifest(b"broken/package.json", b"{") is None
    assert read_manifest(b"package.json", b"[]") is None
    assert read_manifest(b"Cargo.toml", b'package = "no table"\n') is None
    assert read_manifest(b"go.mod", b"\xff\xfe") is None


@pytest.mark.parametrize(
    ("language", "module", "name", "target", "expected"),
    [
        # JavaScript: by the name of a package, its subpaths, and nothing outside it
        ("typescript", "@shop/core", "Cart", "packages/core/src/index.ts", Match.FILE),
        ("typescript", "@shop/core", "Cart", "packages/core/src/cart.ts", Match.PACKAGE),
        ("typescript", "@shop/core/cart", "Cart", "packages/core/src/cart.ts", Match.FILE),
        ("typescript", "@shop/core/cart", "Cart", "apps/other/core/cart.ts", Match.NONE),
        ("typescript", "vitest", "test", "packages/vitest/test.ts", Match.NONE),
        ("typescript", "left-pad", "pad", "left-pad/pad.ts", Match.NONE),
        ("typescript", "@/core/cart", "Cart", "apps/web/core/cart.ts", Match.FILE),
        # Rust: crates by name, with hyphens; the standard library is elsewhere
        ("rust", "shop_io::task", "Context", "crates/shop-io/src/task.rs", Match.FILE),
        ("rust", "shop_io", "Context", "crates/shop-io/src/task/local.rs", Match.PACKAGE),
        ("rust", "shop_io::task", "Context", "crates/other/src/task.rs", Match.NONE),
        ("rust", "std::task", "Context", "crates/shop-io/src/task.rs", Match.NONE),
        ("rust", "serde::de", "Error", "crates/shop-io/src/de.rs", Match.NONE),
        ("rust", "crate::task", "Context", "crates/shop-io/src/task.rs", Match.FILE),
        # Go: paths below the nearest module; all others are elsewhere
        ("go", "example.com/shop/v2", "cart", "cart/cart.go", Match.FILE),
        ("go", "example.com/shop", "v2", "main.go", Match.FILE),
        ("go", "example.com/shop/v2/tools", "gen", "tools/gen/a.go", Match.FILE),
        ("go", "example.com/shop/v2", "cart", "tools/cart/a.go", Match.NONE),
        ("go", "", "errors", "errors/errors.go", Match.NONE),
    ],
)
def test_an_import_by_the_name_of_a_package_means_its_files(
    language: str, module: str, name: str, target: str, expected: Match
) -> None:
    assert match(language, module, name, target) is expected


def test_of_two_packages_of_a_name_the_nearest_to_the_root_counts() -> None:
    packages = Packages.of([Manifest("javascript", "a", "old/fixtures/a"), Manifest("javascript", "a", "a")])
    found = packages.package_of("typescript", "a", "x")
    assert found is not None
    assert found.directory == "a"


def test_without_modules_of_go_nothing_is_elsewhere() -> None:
    assert not Packages.of([]).is_elsewhere("go", "", "errors")

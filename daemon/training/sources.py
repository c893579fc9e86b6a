"""The licence that each archive declares; only permissively licensed ones may be used for training.

    python -m training.sources --archives DIR... --repositories DIR... --exclude-names FILE --out sources.tsv

Reads package.json (npm), METADATA (wheels), debian/copyright (the .debian.tar.* beside a .orig.tar.*), and the licence
file at the head of git directories (``<owner>+<name>/repo``; those of held-out repositories are not listed). Of several
licences in one Debian package, that of "Files: *" decides. What has no licence is not permissive.
"""

from __future__ import annotations

import argparse
import json
import re
import tarfile
import zipfile
from pathlib import Path

import pygit2

from training.corpus import excluded_names
from training.repositories import git_directories
from training.repositories import licence_of as licence_in

_PERMISSIVE = re.compile(
    r"\b(MIT|Expat|BSD|Apache|ISC|0BSD|Zlib|zlib|libpng|PSF|Python-2|Python Software|Unlicense|public[- ]domain|CC0|"
    r"BSL|Boost|OpenSSH|X11|Zsh|PostgreSQL|HPND|WTFPL|BlueOak|Ruby|curl|ZPL|MIT-CMU|Vim|vim|NCSA|Go)",
)
_COPYLEFT = re.compile(r"GPL|MPL|Mozilla|EPL|CDDL|SSPL|BUSL|CC-BY-NC|Artistic|Affero|Lesser", re.IGNORECASE)
_MAIN = re.compile(r"^Files:\s*\*.*?^License:\s*(.+?)$", re.MULTILINE | re.DOTALL)
_ANY = re.compile(r"^License:\s*(.+?)$", re.MULTILINE)
_LATER = re.compile(r"[- ]or[- ]later", re.IGNORECASE)
_ALTERNATIVE = re.compile(r"\bor\b", re.IGNORECASE)
_BY_NAME = {  # archives without a licence in the metadata: as stated in their licence files
    "MIT": "busboy jekyll lua-penlight luasocket ncdu nedb peewee php-slim rake rbenv rubocop rust-coreutils",
    "BSD-3-Clause": "php-nikic-fast-route",
    "MIT OR Apache-2.0": "rust-rand",
    "MIT (go-kit)": "golang-github-go-kit-kit",
    "Apache-2.0": "elixir-earmark-parser log4net okio",
    "Apache-2.0 WITH Swift-exception": "swiftlang",
    "Zlib (nunit)": "nunit",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archives", type=Path, nargs="+", required=True)
    parser.add_argument("--repositories", type=Path, nargs="*", default=[])
    parser.add_argument("--exclude-names", type=Path, help="held-out repositories, one owner/name per line")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rows = []
    declared = {name: licence for licence, names in _BY_NAME.items() for name in names.split()}
    for archive in sorted((p for d in args.archives for p in d.iterdir()), key=lambda p: p.name):
        if archive.suffix in {".dsc", ".asc", ".diff"} or ".debian." in archive.name:
            continue
        licence = licence_of(archive) or declared.get(re.split(r"_|-\d", archive.name)[0], "")
        rows.append(f"{archive.name}\t{licence[:80]}\t{'yes' if is_permissive(licence) else 'no'}\n")
    excluded = excluded_names(args.exclude_names.read_text()) if args.exclude_names else None
    for name, path in git_directories(args.repositories, excluded.repositories if excluded else frozenset()):
        repository = pygit2.Repository(str(path))
        licence = licence_in(repository)
        rows.append(f"{name}@{repository.head.target}\t{licence}\t{'yes' if is_permissive(licence) else 'no'}\n")
    args.out.write_text("# archive or repository\tlicence as declared\tused\n" + "".join(rows))


def is_permissive(licence: str) -> bool:
    """Return True if the licence requires only attribution; of alternatives, one such licence suffices."""
    if not _PERMISSIVE.search(licence):
        return False
    return not _COPYLEFT.search(licence) or bool(_ALTERNATIVE.search(_LATER.sub("", licence)))


def licence_of(archive: Path) -> str:
    """Return the licence that an archive declares, in one line; "" if none is found."""
    if archive.suffix == ".whl":
        return _wheel(archive)
    if archive.suffix == ".tgz":
        return _npm(archive)
    return _debian(archive)


def _wheel(archive: Path) -> str:
    with zipfile.ZipFile(archive) as opened:
        name = next((n for n in opened.namelist() if n.endswith(".dist-info/METADATA")), None)
        head = opened.read(name).decode("utf-8", "replace").split("\n\n", 1)[0] if name else ""
    declared = re.findall(
        r"^(?:License-Expression|License|Classifier: License ::(?: OSI Approved ::)?):? *(.+)$", head, re.MULTILINE
    )
    return " ; ".join(dict.fromkeys(line.strip() for line in declared))


def _npm(archive: Path) -> str:
    with tarfile.open(archive) as tar:
        for member in tar:
            if (
                member.name.count("/") == 1
                and member.name.endswith("/package.json")
                and (file := tar.extractfile(member))
            ):
                licence = json.load(file).get("license", "")
                return str(licence.get("type", "") if isinstance(licence, dict) else licence)
    return ""


def _debian(archive: Path) -> str:
    stem = archive.name.split(".orig")[0]
    beside = sorted(archive.parent.glob(f"{stem}*.debian.tar.*")) or sorted(
        archive.parent.parent.glob(f"*/{stem}*.debian.tar.*")
    )
    for candidate in beside:
        with tarfile.open(candidate) as tar:
            for member in tar:
                if member.name == "debian/copyright" and (file := tar.extractfile(member)):
                    text = file.read().decode("utf-8", "replace")
                    match = _MAIN.search(text) or _ANY.search(text)
                    return match[1].strip() if match else " ".join(sorted(set(re.findall(r"MIT|BSD|Apache|GPL", text))))
    return ""


if __name__ == "__main__":
    main()

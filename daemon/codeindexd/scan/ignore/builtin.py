"""The default rules: which files and directories are left out for their name, or for what is beside or in them.

Sensitive names and version control directories are always left out. The others are not worth indexing, and a negation
in ``.codeindexignore`` (``!vendor/``) re-includes any of them. The rules apply to names below the root only: a
``site-packages`` directory that is itself the root is indexed.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from msgspec import Struct


class Verdict(Struct, frozen=True):
    """The decision of a rule about a path: whether it is ``ignored``, for which ``reason`` (a category), by which rule.

    ``rule`` is for users, for example ``.gitignore:3: *.pyc``.
    """

    ignored: bool
    reason: str
    rule: str


_VCS_DIRS = {b".git", b".hg", b".svn", b".bzr", b".jj", b".pijul", b"_darcs", b"CVS"}

_SENSITIVE_DIRS = {b".ssh", b".gnupg", b".aws", b".kube", b".password-store"}
_SENSITIVE_NAMES = {
    *(b"id_rsa", b"id_dsa", b"id_ecdsa", b"id_ecdsa_sk", b"id_ed25519", b"id_ed25519_sk", b"id_xmss"),
    *(b".env", b".envrc", b".netrc", b"_netrc", b".pgpass", b"pgpass.conf", b".npmrc", b".pypirc", b".my.cnf"),
    *(b".git-credentials", b".htpasswd", b".htdigest", b".dockercfg", b".s3cfg", b".boto", b".vault-token"),
    *(b".vault_pass", b".vault-pass", b".vault_password", b"kubeconfig", b"master.key", b"credentials"),
    *(b"credentials.json", b"credentials.toml", b"credentials.yml", b"credentials.yaml", b"credentials.ini"),
    *(b"credentials.csv", b"credentials.xml", b"credentials.db", b"application_default_credentials.json"),
    *(b"secrets.json", b"secrets.toml", b"secrets.yml", b"secrets.yaml", b"secrets.ini", b".secrets"),
    *(b".bash_history", b".zsh_history", b".sh_history", b".python_history", b".node_repl_history"),
    *(b".psql_history", b".mysql_history", b".sqlite_history", b".rediscli_history", b".irb_history"),
    *(b"terraform.tfstate", b"terraform.tfstate.backup", b"serviceaccountkey.json", b"accesstokens.json"),
}
_SENSITIVE_EXTENSIONS = (
    *(b"env pem key p8 p12 pkcs12 pfx ppk jks bks keystore kdb kdbx ovpn gpg age".split()),
    *(b"kubeconfig tfstate tfvars keychain agilekeychain netrc".split()),
)
_SENSITIVE_NAME = re.compile(
    rb"\.env[.\-_].*|.*\.env\..*|.*\.tfstate\.[^.]+\.?backup|.*\.tfvars\.json"
    rb"|(?:.*[\-_.])?(?:service[\-_]?account(?:s|[\-_]?key)?|client[\-_]?secrets?|gcp[\-_]?key)(?:[\-_.].*)?\.json"
    rb"|.*[\-_.]credentials?\.json",
    re.DOTALL,
)
_TEMPLATE = re.compile(rb"(?:.*[.\-_])?(?:example|sample|template|tmpl|dist|schema)(?:[.\-_].*)?", re.DOTALL)

_MAY_NAME_SECRETS = {b"json", b"backup"}
_TEMPLATED = {b"env", b"tfvars"}

_SOURCE_DOT_DIRS = {
    *(b".github", b".gitlab", b".gitea", b".forgejo", b".circleci", b".buildkite", b".woodpecker", b".ci"),
    *(b".azuredevops", b".devcontainer", b".husky", b".storybook", b".vscode", b".cursor", b".well-known"),
}

_VENDORED_DIRS = {
    *(b"node_modules", b"bower_components", b"jspm_packages", b"web_modules", b"site-packages", b"dist-packages"),
    *(b"__pypackages__", b"Pods", b"Carthage", b"elm-stuff", b".venv"),
}
VENDOR = b"vendor"
PACKAGE_FILES = frozenset({b"go.mod", b"composer.json", b"Gemfile", b"package.json", b"Cargo.toml"})
"""Files beside which ``vendor`` is filled by a package manager; elsewhere it may be about vendors in business."""
VENDOR_CONTENT = frozenset({b"modules.txt", b"autoload.php", b"bundle"})
"""Names that package managers create in ``vendor``."""
_GENERATED_DIRS = {b"__pycache__", b"htmlcov", b"DerivedData", b"__generated__"}
_GENERATED_DIR_TAILS = (b".egg-info", b".dist-info")

_LOCK_FILES = {
    *(b"package-lock.json", b"npm-shrinkwrap.json", b"yarn.lock", b"pnpm-lock.yaml", b"bun.lock", b"deno.lock"),
    *(b"cargo.lock", b"gemfile.lock", b"composer.lock", b"poetry.lock", b"uv.lock", b"pdm.lock", b"pipfile.lock"),
    *(b"pixi.lock", b"conda-lock.yml", b"go.sum", b"go.work.sum", b"mix.lock", b"pubspec.lock", b"podfile.lock"),
    *(b"flake.lock", b"packages.lock.json", b"project.assets.json", b"gradle.lockfile", b"package.resolved"),
    *(b"cartfile.resolved", b"conan.lock", b"chart.lock", b"buf.lock", b".terraform.lock.hcl", b"pylock.toml"),
    *(b"module.bazel.lock", b"cargo-bazel-lock.json", b"rebar.lock", b"stack.yaml.lock", b"symfony.lock"),
}
_GENERATED_TAILS = (
    *(b"_pb2.py", b"_pb2.pyi", b"_pb2_grpc.py", b"_pb2_grpc.pyi", b".pb.go", b".pb.gw.go", b".pb.cc", b".pb.h"),
    *(b".pb.swift", b".pbobjc.h", b".pbobjc.m", b"_pb.js", b"_pb.d.ts", b"_grpc_pb.js", b"_grpc_pb.d.ts"),
    *(b".g.dart", b".freezed.dart", b".g.cs", b".g.i.cs", b".designer.cs", b".generated.cs", b".gen.go"),
    *(b"_generated.go", b".generated.ts", b".generated.js", b".generated.swift"),
    *(b".js.map", b".mjs.map", b".cjs.map", b".jsx.map", b".css.map"),
    *(b".ts.map", b".mts.map", b".cts.map", b".tsx.map"),
)
_GENERATED_EXTENSIONS = (b"snap", b"tsbuildinfo", b"pyc", b"pyo")
_MINIFIED_TAILS = tuple(
    b"%s.%s" % (mark, extension)
    for mark in (b".min", b"-min", b".packed", b".bundle")
    for extension in (b"js", b"mjs", b"cjs", b"css", b"html")
)
# Not here: bin, car, exp, idx, lib, map, mat, obj, pack, pages, raw. They are often sources (linker scripts, DejaGnu
# tests, 3D models), and binary ones are left out when they are read.
_BINARY_EXTENSIONS = frozenset(
    b"""
    png jpg jpeg jpe gif bmp ico icns webp tif tiff psd xcf heic heif avif jxl cr2 nef dds tga exr hdr mp3 mp4 m4a
    m4v wav flac ogg oga ogv opus aac wma wmv avi mov mkv webm flv mpg mpeg 3gp mid aiff ttf otf woff woff2 eot pfb
    pdf djvu epub mobi doc docx xls xlsx ppt pptx odt ods odp odg zip tar gz tgz bz2 tbz tbz2 xz txz zst tzst lz lz4
    lzma lzo br 7z rar cab ar cpio rpm deb apk ipa jar war ear aar whl egg gem nupkg snupkg crate vsix xpi crx dmg
    iso img vhd vhdx vmdk qcow2 msi o a so dll dylib exe elf ko pdb ilk idb la lo class dex pyd wasm bc hi rlib
    rmeta beam elc fasl nib gmo qm pch gch pcm gcda gcno profraw profdata nbi nbc rdb db sqlite sqlite3 db3 mdb
    accdb myd myi ibd ldb sst dbf parquet orc avro arrow feather h5 hdf5 npy npz pkl pickle joblib pth ckpt
    safetensors onnx tflite pb gguf ggml mlmodel keras rds rda rdata dta sav sas7bdat fits grib shp shx sbn gpkg
    mbtiles laz glb fbx blend 3ds stl ply usdz dwg swf fla swc unity3d assetbundle uasset umap pak wad bsp nes rom
    gba cer crt der p7b p7s p7c crl jceks sqlite-wal sqlite-shm db-wal db-shm lockb ds_store
    """.split()
)
_BACKUP_EXTENSIONS = (b"orig", b"rej", b"bak", b"swp", b"swo", b"swn", b"swm")
_BINARY_NAMES = {b".ds_store", b"thumbs.db", b"desktop.ini", b"bun.lockb"}

_MARKERS = {b"pyvenv.cfg": "vendored", b"CACHEDIR.TAG": "generated"}


def _default(reason: str, rule: str) -> Verdict:
    return Verdict(ignored=True, reason=reason, rule=f"default: {rule}")


def _table() -> dict[bytes, Verdict]:
    table = {name: _default("generated", name.decode()) for name in _LOCK_FILES}
    table |= {name: _default("binary", name.decode()) for name in _BINARY_NAMES}
    table |= {name: _default("sensitive", name.decode()) for name in _SENSITIVE_NAMES}
    return table | {b".git": _default("vcs", ".git")}


def _tails() -> dict[bytes, tuple[bytes, ...]]:
    """Return the ends of names such as ``.min.js``, by their extension."""
    tails: dict[bytes, tuple[bytes, ...]] = {}
    for tail in (*_GENERATED_TAILS, *_MINIFIED_TAILS):
        extension = tail[tail.rfind(b".") + 1 :]
        tails[extension] = (*tails.get(extension, ()), tail)
    return tails


_FILES = _table()
_TAILS = _tails()
_EXTENSIONS = {
    extension: _default(reason, f"*.{extension.decode()}")
    for reason, extensions in (
        ("binary", _BINARY_EXTENSIONS),
        ("generated", _GENERATED_EXTENSIONS),
        ("sensitive", _SENSITIVE_EXTENSIONS),
        ("backup", _BACKUP_EXTENSIONS),
    )
    for extension in extensions
}
_DIRECTORIES = (
    {name: _default("vcs", f"{name.decode()}/") for name in _VCS_DIRS}
    | {name: _default("sensitive", f"{name.decode()}/") for name in _SENSITIVE_DIRS}
    | {name: _default("vendored", f"{name.decode()}/") for name in _VENDORED_DIRS}
    | {name: _default("generated", f"{name.decode()}/") for name in _GENERATED_DIRS}
)
_HIDDEN = _default("hidden", "hidden directory")
_BACKUP = _default("backup", "name of an editor's backup")
_SECRETS = _default("sensitive", "name of a secrets file")
FINAL = frozenset({"vcs", "sensitive"})
"""Reasons that no ignore file overrides."""
UNLESS_TRACKED = frozenset({"hidden", "backup"})
"""Reasons that do not apply to files that git tracks."""


SUSPICIOUS_NAMES = frozenset(_FILES)
SUSPICIOUS_EXTENSIONS = frozenset(_EXTENSIONS)
SUSPICIOUS_TAILS = _TAILS
"""Every name for which ``file_verdict`` is not None has, in lower case, one of these names, extensions or tails, or
matches ``may_name_secrets`` or (between slashes) ``may_name_backups``."""

may_name_secrets = re.compile(rb"\.env|tfstate|tfvars|service.?account|secret|gcp.?key|credential").search
may_name_backups = re.compile(rb"~/|/\.?#").search


def is_backup_name(name: bytes) -> bool:
    """Return True for editors' backups, autosaves and locks: ``a.py~``, ``#a.py#`` and ``.#a.py``."""
    return name.endswith(b"~") or name.startswith(b".#") or (name.startswith(b"#") and name.endswith(b"#"))


def directory_verdict(name: bytes, package_file: bytes = b"") -> Verdict | None:
    """Return the default verdict on a directory ``name``, also for being hidden; None if it is kept.

    ``package_file`` is one of PACKAGE_FILES beside it, b"" if there is none.
    """
    if (verdict := _DIRECTORIES.get(name)) is not None:
        return verdict
    if package_file and name == VENDOR:
        return _default("vendored", f"vendor/ beside {package_file.decode()}")
    if name.startswith(b".") and name not in _SOURCE_DOT_DIRS:
        return _HIDDEN
    if name.endswith(_GENERATED_DIR_TAILS):
        return _default("generated", f"*{name[name.rfind(b'.') :].decode()}/")
    return None


def file_verdict(name: bytes) -> Verdict | None:
    """Return the default verdict on a file (or anything else but a directory) ``name``; None if it is kept."""
    lower = name.lower()
    if (verdict := _FILES.get(lower)) is not None:
        return verdict
    if is_backup_name(name):
        return _BACKUP
    dot = lower.rfind(b".")
    if dot < 0:
        return None
    extension = lower[dot + 1 :]
    if (b".env" in lower or extension in _MAY_NAME_SECRETS) and _SENSITIVE_NAME.fullmatch(lower):
        return None if _TEMPLATE.fullmatch(lower) else _SECRETS
    if (verdict := _EXTENSIONS.get(extension)) is not None:
        return None if extension in _TEMPLATED and _TEMPLATE.fullmatch(lower) else verdict
    if (tails := _TAILS.get(extension)) is not None and lower.endswith(tails):
        tail = max((tail for tail in tails if lower.endswith(tail)), key=len)
        return _default("minified" if tail in _MINIFIED_TAILS else "generated", f"*{tail.decode()}")
    return None


def marker_verdict(name: bytes, inside: Collection[bytes]) -> Verdict | None:
    """Return the default verdict on a directory ``name`` that contains the entries ``inside``; None if it is kept.

    Leaves out virtual environments, tagged caches and vendored packages.
    """
    for marker, reason in _MARKERS.items():
        if marker in inside:
            return _default(reason, f"holds {marker.decode()}")
    if name == VENDOR and (found := sorted(VENDOR_CONTENT.intersection(inside))):
        return _default("vendored", f"vendor/ holds {found[0].decode()}")
    return None


def package_file_among(names: Collection[bytes]) -> bytes:
    """Return the first of PACKAGE_FILES, in alphabetical order, that is among ``names``; b"" if there is none."""
    return min(PACKAGE_FILES.intersection(names), default=b"")

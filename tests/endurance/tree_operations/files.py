"""What editors and people do to single files."""

from __future__ import annotations

import os
from pathlib import Path

from endurance.tree_operations import contents
from endurance.tree_operations.world import RefusedError, World, join

_DAY_NS = 86_400 * 10**9


def create(world: World) -> None:
    """A new file, or another content for one whose name came up again."""
    world.write(world.new_path())


def rewrite(world: World) -> None:
    """Another content altogether, written in place."""
    world.write(world.file())


def edit(world: World) -> None:
    """One marker less, one more, and a line in the middle."""
    path = world.file()
    lines = contents.other_of_same_size(world.random, world.read(path)).splitlines(keepends=True)
    lines.insert(world.random.randrange(len(lines) + 1), contents.source(world.random, path.rpartition(b".")[2]))
    world.write(path, b"".join(lines)[: 1 << 17])


def append(world: World) -> None:
    """More at the end, as a log grows."""
    world.write(world.file(), append=True)


def truncate(world: World) -> None:
    """Cut a file short, or grow it by zeros."""
    path = world.file()
    size = os.stat(world.at(path)).st_size
    os.truncate(world.at(path), world.random.choice((0, size // 2, max(0, size - 1), size + 10)))


def same_size(world: World) -> None:
    """Another content of the same size with the old mtime put back, as some generators do: twice, within one tick."""
    path = world.file()
    before = os.stat(world.at(path))
    for _ in range(world.random.choice((1, 2))):
        data = contents.other_of_same_size(world.random, world.read(path))
        with Path(os.fsdecode(world.at(path))).open("r+b") as file:
            file.write(data)
        os.utime(world.at(path), ns=(before.st_atime_ns, before.st_mtime_ns))


def touch(world: World) -> None:
    """A new mtime and nothing else."""
    os.utime(world.at(world.file()))


def set_clock(world: World) -> None:
    """An mtime far in the past or the future, with or without another content."""
    path = world.file()
    if world.random.random() < 0.5:
        world.write(path)
    when = world.random.choice((0, 1, -_DAY_NS, 10**9, 4_000_000_000 * 10**9, 20_000 * _DAY_NS + 123_456_789))
    os.utime(world.at(path), ns=(when, when))


def atomic_save(world: World) -> None:
    """A temporary file beside it, then a rename."""
    path = world.file()
    temporary = join(os.path.dirname(path), b"." + os.path.basename(path)[:100] + b".tmp")
    world.write(temporary, world.content(path))
    os.rename(world.at(temporary), world.at(path))


def vim_save(world: World) -> None:
    """A swap file, the old one renamed to a backup, a new one written, backup and swap file removed."""
    path = world.file()
    directory, name = os.path.split(path)
    name = name[:100]
    swap, probe, backup = join(directory, b"." + name + b".swp"), join(directory, b"4913"), path[:200] + b"~"
    world.write(swap, b"b0VIM 9.0\0" + bytes(100))
    world.write(probe, b"")
    world.remove(probe)
    content = world.content(path)
    os.rename(world.at(path), world.at(backup))
    world.write(path, content)
    world.remove(backup)
    world.remove(swap)


def emacs_save(world: World) -> None:
    """A lock that is a dangling link, an autosave, a backup that stays, and the file itself."""
    path = world.file()
    directory, name = os.path.split(path)
    lock, autosave = join(directory, b".#" + name[:100]), join(directory, b"#" + name[:100] + b"#")
    if not os.path.lexists(world.at(lock)):
        os.symlink(b"me@host.1:2", world.at(lock))
    world.write(autosave, world.content(path))
    os.replace(world.at(path), world.at(path[:200] + b"~"))
    world.write(path)
    world.remove(autosave)
    world.remove(lock)


def rename(world: World) -> None:
    """To another name, mostly in another directory; over what is there, if it is a file."""
    os.rename(world.at(world.file()), world.at(world.new_path()))


def rename_over(world: World) -> None:
    """Over another file that exists."""
    os.rename(world.at(world.file()), world.at(world.file()))


def swap(world: World) -> None:
    """Two files exchange their names."""
    one, other = world.at(world.file()), world.at(world.file())
    os.rename(one, one + b".aside")
    if os.path.lexists(other):
        os.rename(other, one)
    os.rename(one + b".aside", other)


def change_case(world: World) -> None:
    """A rename that changes nothing but the case of letters."""
    path = world.file()
    directory, name = os.path.split(path)
    os.rename(world.at(path), world.at(join(directory, name.swapcase())))


def add_case_variant(world: World) -> None:
    """A second file beside one, its name differing in case alone."""
    directory, name = os.path.split(world.file())
    world.write(join(directory, name.upper() if name != name.upper() else name.lower()))


def copy(world: World) -> None:
    """The same content under another name."""
    data = world.read(world.file())
    world.write(world.new_path(), data)


def delete(world: World) -> None:
    """One file less."""
    world.remove(world.file())


def delete_and_recreate(world: World) -> None:
    """The same content again, under another inode."""
    path = world.file()
    data = world.read(path)
    world.remove(path)
    world.write(path, data)


def close(world: World) -> None:
    """chmod 000 for a file or a directory."""
    path = world.file() if world.random.random() < 0.6 else world.subdirectory()
    os.chmod(world.at(path), 0)
    world.closed.append(path)


def reopen(world: World) -> None:
    """chmod back what was closed."""
    if not world.closed:
        raise RefusedError
    path = world.closed.pop(world.random.randrange(len(world.closed)))
    if os.path.islink(world.at(path)):
        raise RefusedError
    os.chmod(world.at(path), 0o755)


def write_slowly(world: World) -> None:
    """A file that is written in pieces and synced between them, as a download is."""
    path = world.new_path()
    data = world.content(path)
    world.write(path, b"")
    with Path(os.fsdecode(world.at(path))).open("wb", buffering=0) as file:
        file.writelines(data[at : at + len(data) // 4 + 1] for at in range(0, len(data), len(data) // 4 + 1))


def name_not_utf8(world: World) -> None:
    """A file whose name no codec takes for text: its directory has to be polled as long as it is there."""
    path = join(world.directory(), b"caf\xe9_" + world.file_name())
    world.write(path, contents.source(world.random, path.rpartition(b".")[2]))


def remove_names_not_utf8(world: World) -> None:
    """All of them gone, so that events count again."""
    found = [join(top, name) for top, directories, names in world.walk() for name in (*directories, *names)]
    odd = [path for path in found if path != path.decode("utf-8", "replace").encode()]
    if not odd:
        raise RefusedError
    for path in odd:
        if os.path.lexists(world.at(path)):
            world.remove(path)


def set_root_config(world: World) -> None:
    """The root's own configuration: written, changed, broken and removed."""
    if world.random.random() < 0.6:
        if not os.path.lexists(world.at(b".codeindex.toml")):
            raise RefusedError
        world.remove(b".codeindex.toml")
        return
    extension = world.random.choice(contents.EXTENSIONS)
    text = world.random.choice((b'exclude = ["*.%b"]\n' % extension, b'exclude = ["core/"]\n', b"exclude = [\n"))
    world.write(b".codeindex.toml", text)

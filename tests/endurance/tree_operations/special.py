"""Links of all kinds, and files that are none."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from endurance.tree_operations import contents
from endurance.tree_operations.visible import ruled_directories
from endurance.tree_operations.world import World, join, write


def link_symbolically(world: World) -> None:
    """A symbolic link: to a file, a directory, itself, its own directory, nothing, or out of the root."""
    place = join(world.directory(), world.file_name() if world.random.random() < 0.5 else world.name())
    target = world.random.choice(
        (
            world.at(world.file()),
            world.at(world.directory()),
            os.path.basename(world.file()),
            place.rpartition(b"/")[2],
            b".",
            b"..",
            b"../..",
            b"nowhere",
            world.outside,
            b"/etc/hostname",
            b"\xff\xfe",
        )
    )
    os.symlink(target, world.at(place))


def retarget(world: World) -> None:
    """A link that points elsewhere now; half of the time in one step."""
    path = world.one(_links(world))
    target = world.random.choice((world.at(world.directory()), b"elsewhere", b"..", os.readlink(world.at(path))))
    if world.random.random() < 0.5:
        world.remove(path)
        os.symlink(target, world.at(path))
    else:
        temporary = world.at(path)[:-1] + b"_"
        os.symlink(target, temporary)
        os.replace(temporary, world.at(path))


def link_for_something(world: World) -> None:
    """A file or directory goes, and a link takes its place; or the other way round."""
    links = _links(world)
    if links and world.random.random() < 0.5:
        path = world.random.choice(links)
        world.remove(path)
        world.write(path, contents.source(world.random, b"py"))
        return
    path = world.file() if world.random.random() < 0.5 else world.subdirectory()
    world.remove(path)
    os.symlink(world.outside, world.at(path))


def remove_link(world: World) -> None:
    """One link less."""
    world.remove(world.one(_links(world)))


def link_hard(world: World) -> None:
    """A second name for a file: of one below the root, or of one outside.

    A name *outside* for a file below the root is left out: no event tells of it, so only a walk finds what is written
    through it later.
    """
    if world.random.random() < 0.7:
        source = world.at(world.file())
    else:
        source = world.outside + b"/hard_%d.py" % next(world.numbers)
        write(source, contents.source(world.random, b"py"))
    place = world.new_path()
    os.link(source, world.at(place))
    world.linked[place] = os.lstat(source).st_ino


def touch_what_was_linked(world: World) -> None:
    """The files of links that came and went within one burst, or that may be where nothing is watched.

    What is written through a name that nobody ever saw sends no event for the other names: only a walk finds that.
    """
    ruled = ruled_directories(world) if world.linked else set()
    unseen = {
        inode
        for place, inode in world.linked.items()
        if _inode(world.at(place)) != inode or place.rpartition(b"/")[0] in ruled
    }
    for path in world.files() if unseen else ():
        status = os.lstat(world.at(path))
        if status.st_ino in unseen:
            os.utime(world.at(path), ns=(status.st_atime_ns, status.st_mtime_ns))
    world.linked.clear()


def edit_through_other_name(world: World) -> None:
    """New content through a name that is not watched, or is watched elsewhere."""
    names = sorted(os.listdir(world.outside))
    inside = [world.at(path) for path in world.files()]
    choices = [world.outside + b"/" + name for name in names if name.startswith(b"hard_")] + inside
    path = world.one([path for path in choices if _is_linked(path)])
    with Path(os.fsdecode(path)).open("r+b") as file:
        data = contents.other_of_same_size(world.random, file.read())
        file.seek(0)
        file.write(data)
        if world.random.random() < 0.5:
            file.write(contents.source(world.random, b"py"))


def unlink_one_name(world: World) -> None:
    """One name of several goes; the content stays under the others."""
    world.remove(world.one([path for path in world.files() if _is_linked(world.at(path))]))


def make_fifo(world: World) -> None:
    """A FIFO that nobody writes to: whoever opens it for reading waits for ever."""
    os.mkfifo(world.at(world.new_path()))


def make_socket(world: World) -> None:
    """A unix socket, beside the files or in place of one."""
    path = world.at(world.new_path())
    if world.random.random() < 0.3 and os.path.isfile(path):
        os.unlink(path)
    os.mknod(path, stat.S_IFSOCK | 0o600)


def remove_special(world: World) -> None:
    """A FIFO or a socket goes, and mostly a file takes its name."""
    every = [join(top, name) for top, _, names in world.walk() for name in names]
    path = world.one([path for path in every if _is_special(world.at(path))])
    world.remove(path)
    if world.random.random() < 0.6:
        world.write(path)


def _links(world: World) -> list[bytes]:
    every = (join(top, name) for top, directories, names in world.walk() for name in (*directories, *names))
    return sorted(path for path in every if os.path.islink(world.at(path)))


def _inode(path: bytes) -> int:
    return os.lstat(path).st_ino if os.path.lexists(path) else 0


def _is_linked(path: bytes) -> bool:
    status = os.lstat(path)
    return stat.S_ISREG(status.st_mode) and status.st_nlink > 1


def _is_special(path: bytes) -> bool:
    mode = os.lstat(path).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)

"""What is done to whole directories, and to the root itself."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator

from endurance.tree_operations import contents
from endurance.tree_operations.world import RefusedError, World, join, remove, write

MANY = 1200
_MOST_COPIED = 1500


def make_deep(world: World) -> None:
    """``mkdir -p`` and files in it at once, before anybody can watch the new directories."""
    path = world.directory()
    for _ in range(world.random.randrange(1, 7)):
        path = join(path, world.name())
        os.makedirs(world.at(path), exist_ok=True)
        if world.random.random() < 0.5:
            world.write(world.new_path(path))
    world.write(world.new_path(path))


def make_empty(world: World) -> None:
    """A directory with nothing in it."""
    os.mkdir(world.at(join(world.directory(), world.name())))


def rename(world: World) -> None:
    """To another name, in the same directory or elsewhere."""
    path = world.subdirectory()
    parent = os.path.dirname(path) if world.random.random() < 0.5 else world.directory()
    os.rename(world.at(path), world.at(join(parent, world.name())))


def rename_and_recreate(world: World) -> None:
    """A directory goes, and another takes its name with a file in it."""
    path = world.subdirectory()
    os.rename(world.at(path), world.at(path + b"_old"))
    os.mkdir(world.at(path))
    world.write(world.new_path(path))


def swap(world: World) -> None:
    """Two directories exchange their names."""
    one, other = world.at(world.subdirectory()), world.at(world.subdirectory())
    if one == other or one.startswith(other + b"/") or other.startswith(one + b"/"):
        raise RefusedError
    os.rename(one, one + b".aside")
    os.rename(other, one)
    os.rename(one + b".aside", other)


def change_case(world: World) -> None:
    """A rename that changes nothing but the case of letters."""
    directory, name = os.path.split(world.subdirectory())
    os.rename(world.at(join(directory, name)), world.at(join(directory, name.swapcase())))


def copy(world: World) -> None:
    """``cp -r`` of a directory with everything in it."""
    source = world.subdirectory()
    target = join(world.directory(), world.name() + b"_copy")
    if target.startswith(source + b"/"):
        raise RefusedError
    _copy_tree(world.at(source), world.at(target))


def copy_many(world: World) -> None:
    """Hundreds of new files at once, as unpacking an archive makes them."""
    top = join(world.directory(), world.name() + b"_many")
    for number in range(world.random.choice((200, 400, MANY))):
        if number % 40 == 0:
            directory = join(top, b"part%d" % (number // 40))
            os.makedirs(world.at(directory), exist_ok=True)
        path = join(directory, b"file%d.%b" % (number, world.random.choice((b"py", b"js", b"md", b"go"))))
        world.write(path, contents.source(world.random, path.rpartition(b".")[2], parts=1))


def remove_tree(world: World) -> None:
    """``rm -rf`` of a directory."""
    world.remove(world.subdirectory())


def remove_everything(world: World) -> None:
    """``rm -rf`` of all that is in the root."""
    for name in sorted(os.listdir(world.root)):
        world.remove(name)
    world.write(world.file_name())


def remove_largest(world: World) -> None:
    """The top-level directory with the most files goes."""
    count: dict[bytes, int] = {}
    for path in world.files():
        if b"/" in path:
            top = path.split(b"/")[0]
            count[top] = count.get(top, 0) + 1
    world.remove(world.one(sorted(count, key=lambda top: (-count[top], top))[:1]))


def move_out(world: World) -> None:
    """``mv`` of a file or a directory out of the root."""
    path = world.file() if world.random.random() < 0.5 else world.subdirectory()
    _move(world.at(path), _free(world, os.path.basename(path)))


def move_in(world: World) -> None:
    """``mv`` of a file or a directory into the root: one that was moved out, or one made outside."""
    waiting = sorted(os.listdir(world.outside))
    if waiting and world.random.random() < 0.7:
        source = world.outside + b"/" + world.random.choice(waiting)
    else:
        source = _free(world, b"made")
        os.mkdir(source)
        for _ in range(world.random.randrange(1, 6)):
            name = world.file_name()
            write(source + b"/" + name, world.content(name))
    target = world.at(join(world.directory(), os.path.basename(source)[:100]))
    if os.path.lexists(target):
        raise RefusedError
    _move(source, target)


def file_for_directory(world: World) -> None:
    """A directory is replaced by a file of its name."""
    path = world.subdirectory()
    world.remove(path)
    world.write(path, contents.source(world.random, b"py"))


def directory_for_file(world: World) -> None:
    """A file is replaced by a directory of its name, with a file in it."""
    path = world.file()
    world.remove(path)
    os.mkdir(world.at(path))
    world.write(world.new_path(path))


# the root


def recreate_root(world: World) -> None:
    """The root is deleted and made again, with some files or none."""
    if world.mounted:
        raise RefusedError
    shutil.rmtree(world.root)
    os.mkdir(world.root)
    for _ in range(world.random.randrange(4)):
        world.write(world.file_name())


def move_root_away_and_back(world: World) -> None:
    """The root is elsewhere for a moment, and mostly comes back changed."""
    if world.mounted:
        raise RefusedError
    away = world.root + b"_away"
    os.rename(world.root, away)
    if world.random.random() < 0.7:
        write(away + b"/" + world.file_name(), contents.source(world.random, b"py"))
    os.rename(away, world.root)


def replace_root(world: World) -> None:
    """A copy takes the place of the root, as some backups are restored."""
    if world.mounted:
        raise RefusedError
    away = world.root + b"_away"
    _copy_tree(world.root, away)
    shutil.rmtree(world.root)
    os.rename(away, world.root)


def mount_or_unmount(world: World) -> None:
    """Another file system over the root, or off it. There is always a file in it: an empty one counts as missing."""
    command = ["umount", "-l"] if world.mounted else ["mount", "-t", "tmpfs", "-o", "size=200m", "none"]
    done = subprocess.run([*command, world.root], capture_output=True, check=False)
    if done.returncode:
        raise RefusedError(done.stderr.decode(errors="replace"))
    world.mounted = not world.mounted
    world.moved_device = True
    for _ in range(world.random.randrange(1, 5)):
        world.write(world.file_name())


def _free(world: World, name: bytes) -> bytes:
    """A place outside that is not taken."""
    return world.outside + b"/" + name[:100] + b"_%d" % next(world.numbers)


def _move(source: bytes, target: bytes) -> None:
    """``mv``: a rename, or a copy and a removal where a file system ends in between."""
    shutil.move(os.fsdecode(source), os.fsdecode(target))


def _copy_tree(source: bytes, target: bytes) -> None:
    """What ``cp -a`` does; special files are left out, like everything beyond some number."""
    left = _MOST_COPIED
    for top, _, names in _sorted_walk(source):
        place = target + top[len(source) :]
        os.makedirs(place, exist_ok=True)
        for name in names:
            status = os.lstat(top + b"/" + name)
            if stat.S_ISLNK(status.st_mode) or stat.S_ISREG(status.st_mode):
                if os.path.isdir(place + b"/" + name) and not os.path.islink(place + b"/" + name):
                    raise RefusedError
                if os.path.lexists(place + b"/" + name):
                    remove(place + b"/" + name)
                shutil.copy2(top + b"/" + name, place + b"/" + name, follow_symlinks=False)
                left -= 1
                if not left:
                    return


def _sorted_walk(source: bytes) -> Iterator[tuple[bytes, list[bytes], list[bytes]]]:
    for top, directories, names in os.walk(source):
        links = [name for name in directories if os.path.islink(top + b"/" + name)]
        directories.sort()
        yield top, directories, sorted([*names, *links])

"""What hides and reveals, and what version control does to a working tree."""

from __future__ import annotations

import os

from endurance.tree_operations import contents
from endurance.tree_operations.world import RefusedError, World, join

_IGNORE_FILES = (b".gitignore", b".gitignore", b".codeindexignore")


def ignore(world: World) -> None:
    """Another line in an ignore file, anywhere in the tree."""
    directory = world.directory()
    name = world.random.choice(_IGNORE_FILES)
    world.write(join(directory, name), _pattern(world, directory) + b"\n", append=world.random.random() < 0.5)


def unignore(world: World) -> None:
    """An ignore file is emptied or goes."""
    path = world.one([path for path in world.files() if path.rpartition(b"/")[2] in _IGNORE_FILES])
    if world.random.random() < 0.3:
        world.write(path, b"# nothing\n")
    else:
        world.remove(path)


def exclude(world: World) -> None:
    """git's own list of what one user ignores in one repository."""
    path = join(world.one(_repositories(world)), b".git/info/exclude")
    os.makedirs(os.path.dirname(world.at(path)), exist_ok=True)
    world.write(path, b"" if world.random.random() < 0.5 else _pattern(world, b"") + b"\n")


def mark_directory(world: World) -> None:
    """A directory says of itself that it is a cache or a virtual environment, or no longer."""
    path = join(world.subdirectory(), world.random.choice((b"CACHEDIR.TAG", b"pyvenv.cfg")))
    if os.path.lexists(world.at(path)):
        world.remove(path)
    else:
        world.write(path, b"Signature: 8a477f597d28d172789f06886806bc55\n")


def unmark_directories(world: World) -> None:
    """No directory says so any more."""
    marks = [path for path in world.files() if path.endswith((b"CACHEDIR.TAG", b"pyvenv.cfg"))]
    world.one(marks)
    for path in marks:
        world.remove(path)


def start_repository(world: World) -> None:
    """``git init``: in the root, or nested in it."""
    directory = b"" if world.random.random() < 0.5 else world.subdirectory()
    world.git(directory, "init", "-q", "-b", "main")


def drop_repository(world: World) -> None:
    """A ``.git`` goes, and what its rules hid is there again."""
    world.remove(join(world.one(_repositories(world)), b".git"))


def commit(world: World) -> None:
    """Everything is committed."""
    directory = world.one(_repositories(world))
    world.git(directory, "add", "-A")
    world.git(directory, "commit", "-q", "-m", "state")


def branch(world: World) -> None:
    """A new branch with a commit of its own."""
    directory = world.one(_repositories(world))
    world.git(directory, "checkout", "-q", "-b", f"branch{next(world.numbers)}")
    world.write(world.new_path(directory))
    world.git(directory, "add", "-A")
    world.git(directory, "commit", "-q", "-m", "on a branch")


def checkout(world: World) -> None:
    """Another branch, or an older commit."""
    directory = world.one(_repositories(world))
    target = world.random.choice(("main", "-", "HEAD~1", "HEAD~2"))
    world.git(directory, "checkout", "-q", "-f", target)


def stash(world: World) -> None:
    """Changes put aside, or brought back."""
    directory = world.one(_repositories(world))
    world.git(directory, *world.random.choice((("stash", "-q"), ("stash", "-q", "-u"), ("stash", "pop", "-q"))))


def rebase(world: World) -> None:
    """The branch onto main; given up where that conflicts."""
    directory = world.one(_repositories(world))
    try:
        world.git(directory, "rebase", "-q", "main")
    except RefusedError:
        world.git(directory, "rebase", "--abort")


def amend(world: World) -> None:
    """The last commit again, with what changed since."""
    directory = world.one(_repositories(world))
    world.git(directory, "commit", "-q", "-a", "--amend", "-m", f"amended {next(world.numbers)}")


def merge(world: World) -> None:
    """A branch into the present one; given up where that conflicts."""
    directory = world.one(_repositories(world))
    try:
        world.git(directory, "merge", "-q", "--no-edit", world.random.choice(("main", "-")))
    except RefusedError:
        world.git(directory, "merge", "--abort")


def reset(world: World) -> None:
    """The last commit never happened."""
    world.git(world.one(_repositories(world)), "reset", "-q", "--hard", "HEAD~1")


def collect_garbage(world: World) -> None:
    """``git gc``: objects move into packs, references into one file, and what nothing reaches is gone."""
    directory = world.one(_repositories(world))
    world.git(directory, "reflog", "expire", "--expire=now", "--all")
    world.git(directory, "gc", "-q", "--prune=now")


def clean(world: World) -> None:
    """``git clean``: everything untracked goes, and with -x what is ignored too."""
    directory = world.one(_repositories(world))
    world.git(directory, "clean", "-q", "-f", "-d", *world.random.choice(((), ("-x",))))


def add_worktree(world: World) -> None:
    """A second working tree of a repository, inside the root."""
    directory = world.one(_repositories(world))
    world.git(directory, "worktree", "add", "-q", "--detach", f"tree{next(world.numbers)}", "HEAD")


def add_ignored_worktree(world: World) -> None:
    """A second working tree in a directory that is hidden, or that the repository ignores."""
    directory = world.one(_repositories(world))
    name = world.random.choice((b".worktrees", b"trees"))
    if name == b"trees":
        world.write(join(directory, b".gitignore"), b"/trees/\n", append=True)
    place = f"{name.decode()}/tree{next(world.numbers)}"
    world.git(directory, "worktree", "add", "-q", "--detach", place, "HEAD")


def remove_worktree(world: World) -> None:
    """A linked working tree goes, as git does it."""
    links = [top for top in world.directories() if os.path.isfile(world.at(join(top, b".git")))]
    top = world.one(links)
    world.git(top, "worktree", "remove", "--force", ".")


def track_ignored(world: World) -> None:
    """``git add -f`` of a file, often one that is then ignored by its name or with its directory."""
    directory = world.one(_repositories(world))
    path = world.new_path(world.one([top for top in world.directories() if _is_below(top, directory)]))
    world.write(path)
    parent, name = os.path.split(path[len(directory) :].lstrip(b"/"))
    pattern = world.random.choice((name, b"*." + name.rpartition(b".")[2], (parent or name) + b"/", b"")) + b"\n"
    if b"\n" not in pattern[:-1]:
        world.write(join(directory, b".gitignore"), pattern, append=True)
    world.git(directory, "add", "-f", "--", os.fsdecode(join(parent, name)))


def untrack(world: World) -> None:
    """``git rm --cached``: the file stays, and may be ignored from now on."""
    directory = world.one(_repositories(world))
    path = world.one([path for path in world.files() if _is_below(path, directory)])
    below = os.fsdecode(path[len(directory) :].lstrip(b"/"))
    world.git(directory, "rm", "-q", "--cached", "-f", "--", below)


def rewrite_index(world: World) -> None:
    """git's index is written again, in another form or with other stats only."""
    directory = world.one(_repositories(world))
    forms = (
        ("status", "-s"),
        ("update-index", "--refresh", "-q"),
        ("update-index", "--index-version", world.random.choice("234")),
        ("update-index", world.random.choice(("--split-index", "--no-split-index"))),
    )
    world.git(directory, *world.random.choice(forms))


def break_index(world: World) -> None:
    """git's index is cut off, or gone."""
    path = world.at(join(world.one(_repositories(world)), b".git/index"))
    if world.random.random() < 0.5:
        os.unlink(path)
    else:
        os.truncate(path, os.path.getsize(path) // 2)


def add_submodule(world: World) -> None:
    """A repository from outside as a submodule."""
    directory = world.one(_repositories(world))
    origin = b"../outside/origin"
    if not os.path.lexists(world.at(origin)):
        os.mkdir(world.at(origin))
        world.git(origin, "init", "-q", "-b", "main")
        world.write(join(origin, b"inside.py"), contents.source(world.random, b"py"))
        world.write(join(origin, b".gitignore"), b"*.txt\n")
        world.git(origin, "add", "-A")
        world.git(origin, "commit", "-q", "-m", "origin")
    world.git(directory, "submodule", "add", "-q", os.fsdecode(world.at(origin)), f"module{next(world.numbers)}")


def _is_below(path: bytes, directory: bytes) -> bool:
    return not directory or path == directory or path.startswith(directory + b"/")


def _repositories(world: World) -> list[bytes]:
    return [top for top in world.directories() if os.path.lexists(world.at(join(top, b".git")))]


def _pattern(world: World, directory: bytes) -> bytes:
    """A line for an ignore file in ``directory``: hides a directory or files, or takes that back."""
    below = [top[len(directory) :].lstrip(b"/") for top in world.directories() if top.startswith(directory)]
    some = world.one([top for top in below if top] or [b"core"])
    name = some.rpartition(b"/")[2].replace(b"\n", b"?")
    extension = world.random.choice(contents.EXTENSIONS)
    return world.random.choice(
        (
            name + b"/",
            b"/" + some.replace(b"\n", b"?") + b"/",
            b"!" + name + b"/",
            b"*." + extension,
            b"!*." + extension,
            b"**/" + name,
            name + b"/*",
            b"# " + name,
            b"!vendor/",
        )
    )

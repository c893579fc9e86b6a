"""All operations with their weights, and bursts of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from endurance.tree_operations import directories, files, rules_and_git, special
from endurance.tree_operations.world import RefusedError, World

Operation = Callable[[World], None]

OPERATIONS: dict[Operation, float] = {
    files.create: 14,
    files.rewrite: 6,
    files.edit: 8,
    files.append: 4,
    files.truncate: 2,
    files.same_size: 3,
    files.touch: 2,
    files.set_clock: 1.5,
    files.atomic_save: 5,
    files.vim_save: 3,
    files.emacs_save: 2,
    files.rename: 4,
    files.rename_over: 2,
    files.swap: 1,
    files.change_case: 1,
    files.add_case_variant: 1,
    files.copy: 2,
    files.delete: 4,
    files.delete_and_recreate: 1,
    files.close: 1,
    files.reopen: 1,
    files.write_slowly: 1,
    files.name_not_utf8: 0.25,
    files.remove_names_not_utf8: 1,
    files.set_root_config: 0.4,
    directories.make_deep: 5,
    directories.make_empty: 1.5,
    directories.rename: 3,
    directories.rename_and_recreate: 1,
    directories.swap: 1,
    directories.change_case: 0.5,
    directories.copy: 1.5,
    directories.copy_many: 0.12,
    directories.remove_tree: 2,
    directories.remove_everything: 0.1,
    directories.move_out: 1.5,
    directories.move_in: 2,
    directories.file_for_directory: 0.5,
    directories.directory_for_file: 0.7,
    directories.recreate_root: 0.15,
    directories.move_root_away_and_back: 0.2,
    directories.replace_root: 0.1,
    directories.mount_or_unmount: 0.2,
    special.link_symbolically: 2,
    special.retarget: 0.7,
    special.link_for_something: 0.5,
    special.remove_link: 0.7,
    special.link_hard: 1,
    special.edit_through_other_name: 1.5,
    special.unlink_one_name: 0.3,
    special.make_fifo: 0.5,
    special.make_socket: 0.5,
    special.remove_special: 0.4,
    rules_and_git.ignore: 2,
    rules_and_git.unignore: 1.7,
    rules_and_git.exclude: 0.5,
    rules_and_git.mark_directory: 0.3,
    rules_and_git.unmark_directories: 0.3,
    rules_and_git.start_repository: 1.5,
    rules_and_git.drop_repository: 0.3,
    rules_and_git.commit: 1.5,
    rules_and_git.branch: 0.8,
    rules_and_git.checkout: 1,
    rules_and_git.stash: 0.7,
    rules_and_git.rebase: 0.4,
    rules_and_git.amend: 0.5,
    rules_and_git.merge: 0.4,
    rules_and_git.reset: 0.3,
    rules_and_git.collect_garbage: 0.2,
    rules_and_git.clean: 0.1,
    rules_and_git.add_worktree: 0.3,
    rules_and_git.add_ignored_worktree: 0.5,
    rules_and_git.remove_worktree: 0.3,
    rules_and_git.track_ignored: 1.5,
    rules_and_git.untrack: 1,
    rules_and_git.rewrite_index: 1,
    rules_and_git.break_index: 0.15,
    rules_and_git.add_submodule: 0.2,
}
_MOST_FILES = 2500


def favour_git(factor: float) -> None:
    """Make what hides, reveals and version-controls files ``factor`` times as frequent, beside everything else."""
    for operation in OPERATIONS:
        if operation.__module__ == rules_and_git.__name__:
            OPERATIONS[operation] *= factor


def name_of(operation: Operation) -> str:
    """``files.create``: how an operation is called in tables and reports."""
    return f"{operation.__module__.rpartition('.')[2]}.{operation.__name__}"


@dataclass(frozen=True)
class Burst:
    """Operations done without a pause, by name; those that did not apply end in "(refused)"."""

    names: tuple[str, ...]


def do(world: World, operation: Operation) -> str:
    """Do one operation to the tree and say which; one that does not apply is refused, by the world or the system."""
    name = name_of(operation)
    try:
        operation(world)
    except (RefusedError, OSError) as error:
        world.refused[name] += 1
        return f"{name} (refused{f': {error}' if isinstance(error, RefusedError) and error.args else ''})"
    world.done[name] += 1
    return name


def do_burst(world: World, count: int) -> Burst:
    """``count`` random operations; a tree that grew too large loses its largest part first."""
    chosen = world.random.choices(list(OPERATIONS), list(OPERATIONS.values()), k=count)
    return do_all(world, [directories.remove_largest, *chosen] if len(world.files()) > _MOST_FILES else chosen)


def do_all(world: World, operations: Iterable[Operation]) -> Burst:
    """A burst of just these operations. A root on another device than before is not left empty: it would be missing."""
    names = [do(world, operation) for operation in operations]
    if world.moved_device and not os.listdir(world.root):
        world.write(b"only.py")
    world.moved_device = False
    special.touch_what_was_linked(world)
    return Burst(tuple(names))

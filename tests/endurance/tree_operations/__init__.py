"""Random sequences of what people and tools do to a directory tree, reproducible from a seed."""

from endurance.tree_operations.operations import OPERATIONS, Burst, do_burst, favour_git
from endurance.tree_operations.world import World

__all__ = ["OPERATIONS", "Burst", "World", "do_burst", "favour_git"]

"""Reads the history of git repositories: commits, the paths they changed, and the definitions that they touched.

Nothing of a repository is run, and its configuration is not read: only its objects, its references and the few files
that change what history means (``shallow``, ``refs/replace``, ``info/grafts``). pygit2 is imported by ``repository``,
``changes`` and ``line_diff`` alone, and by what needs them, and only in workers.
"""

"""What is on the disk: walks below hints, applies ignore rules, hashes what may have changed.

Imports nothing, since worker processes need no more than `safe_read` and start faster without the rest.
"""

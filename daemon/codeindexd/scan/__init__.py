"""Reads the disk: walks paths that may have changed (hints), applies ignore rules, hashes what may differ.

This file imports nothing: worker processes need only ``safe_read`` and start faster without the rest.
"""

"""Answers questions about the code graph: who refers to a definition, what it calls, and what a change reaches."""

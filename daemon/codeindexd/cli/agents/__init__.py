"""``codeindex agents``: registers the server for agents with coding agents, and removes it again."""

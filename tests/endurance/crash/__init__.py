"""Killing the daemon at named steps of its commits, and looking at what it left."""

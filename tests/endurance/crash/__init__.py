"""Kills the daemon at named steps of its commits, and examines what it left."""

"""From a queued file to a committed one."""

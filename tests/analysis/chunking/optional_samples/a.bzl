load("//a:b.bzl", "x")
LIMIT = 3
def _impl(ctx):
    """Doc."""
    return []
my_rule = rule(implementation = _impl)

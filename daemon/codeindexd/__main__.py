"""``python -m codeindexd``: the daemon."""

import sys

from codeindexd.cli.codeindexd import main

sys.exit(main())

"""``python -m codeindexd`` is the daemon."""

import sys

from codeindexd.cli.codeindexd import main

sys.exit(main())

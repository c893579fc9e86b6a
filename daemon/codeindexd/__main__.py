"""``python -m codeindexd`` is the daemon."""

import sys

from codeindexd.cli.daemon_main import main

sys.exit(main())

"""``python -m paper``: serve recorded days until told to stop."""

import sys

from paper import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

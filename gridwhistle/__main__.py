"""``python -m gridwhistle`` is the console script."""

from gridwhistle.cli import main

if __name__ == "__main__":
    main()

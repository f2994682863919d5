"""The console script, and ``python -m gridwhistle``."""

import signal


def main() -> None:
    """Load the command line and hand over to it. Ctrl-C while it loads, which takes seconds, ends without a word."""
    usual = signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gridwhistle import cli  # noqa: PLC0415 - the whole of the daemon, read under the line above

    signal.signal(signal.SIGINT, usual)
    cli.main()


if __name__ == "__main__":
    main()

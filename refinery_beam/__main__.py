"""``python -m refinery_beam`` is the same program as ``refinery-beam``."""

from refinery_beam.cli import main

if __name__ == "__main__":
    main()

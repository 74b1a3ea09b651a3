"""The command line as ``python -m pyro_gnr``, for where its script is not on the path."""

from __future__ import annotations

from pyro_gnr.cli.commands import main

if __name__ == "__main__":
    main()

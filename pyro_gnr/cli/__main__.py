"""The program as a module, ``python -m pyro_gnr.cli``, for where its script is not on the path."""

from __future__ import annotations

from pyro_gnr.cli.commands import main

if __name__ == "__main__":
    main()

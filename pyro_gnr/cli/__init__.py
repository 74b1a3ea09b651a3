"""The command line, ``pyro-gnr``: one file a command, and what they share.

Exit status: 0 done; 2 the call or the table was wrong, nothing was made; 1 the work itself failed.
Whatever is written appears whole or not at all. Heavy packages are imported inside the commands,
so that ``--help`` answers at once.
"""

from __future__ import annotations

from pyro_gnr.cli.commands import app, main

__all__ = ["app", "main"]

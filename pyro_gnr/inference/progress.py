"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

__all__ = ["progress"]


@contextlib.contextmanager
def progress(total: int, what: str, *, show: bool) -> Iterator[Callable[[str], None]]:
    """Show how far some work is.

    Args:
        total: units of work.
        what: their name.
        show: False shows nothing; neither does anything that is no terminal.

    Yields:
        A function to call after each unit, with a note such as the loss.

    Example:
        >>> with progress(2, "rows", show=False) as advance:
        ...     advance("")
    """
    if not (show and sys.stderr.isatty()):
        yield lambda note: None
        return
    # rich takes a while to import: only where it is seen.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with RichProgress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, note="")
        yield lambda note: bar.update(task, advance=1, note=note)

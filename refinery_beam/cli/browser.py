"""Opening a page in the browser of the person who called."""

from __future__ import annotations

from pathlib import Path

from refinery_beam import locations


def open_page(page: str) -> tuple[str, ...]:
    """Open a page, by its path or URL: of one on a store a copy, because browsers read none. Gives notes on what was not opened."""
    import tempfile
    import webbrowser

    if not page:
        return ("there is no page to open",)
    if locations.is_url(page):
        copy = Path(tempfile.mkdtemp(prefix="refinery-beam-")) / "report.html"
        copy.write_bytes(locations.read(page))
        page = str(copy)
    if webbrowser.open(Path(page).as_uri()):
        return ()
    return (f"no browser was found here; open {page} yourself (BROWSER names one)",)

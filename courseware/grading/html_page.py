"""The frame of the pages that staff and students read: one file, nothing of another host, light and dark."""

import html

_PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root {{ color-scheme: light dark; }}
{style}
</style></head><body>
{body}
</body></html>
"""


def whole_page(title: str, style: str, body: str) -> str:
    """The page. title: text; style: its rules of CSS; body: HTML."""
    return _PAGE.format(title=html.escape(title), style=style, body=body)

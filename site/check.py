#!/usr/bin/env python3
"""Checks a built site: every link within it leads somewhere, and no page loads anything from elsewhere.

site/check.py build/site
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src"}


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.loaded = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.ids.update(value for key, value in found.items() if key in ("id", "name") and value)
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        address = found.get(LOADED.get(tag, ""))
        if address and not (tag == "link" and found.get("rel") in ("canonical", "next", "prev")):
            self.loaded.append(address)


def problems(site):
    pages = {path: Page(path.read_text()) for path in site.rglob("*.html")}
    if not pages:
        yield f"{site}: expected pages"
    for path, page in pages.items():
        if path.name == "404.html":  # its links are from the root of wherever the site is
            continue
        for address in page.loaded:
            if urlsplit(address).netloc:
                yield f"{path}: loads {address}"
        for address in page.links + page.loaded:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.exists():
                yield f"{path}: there is no {address}"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                yield f"{path}: {address}: there is no such place on the page"


def main():
    found = list(problems(Path(sys.argv[1]).resolve()))
    for problem in found[:20]:
        print(problem, file=sys.stderr)
    if len(found) > 20:
        print(f"and {len(found) - 20} more", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

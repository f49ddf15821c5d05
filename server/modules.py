"""How the page of the dashboard names its files, and its modules each other."""

import re
from posixpath import dirname, join, normpath

STYLESHEET = re.compile(r'<link rel="stylesheet" href="/static/([^"]+)">\s*')
ENTRY = '<script type="module" src="/static/app.js"></script>'

# `from "./x.js"`, `import "./x.js"`, `import("./x.js")`, import(`./${name}.js`)
IMPORT = re.compile(r"""((?:\bfrom|\bimport)\s*\(?\s*)(["'`])(\.{1,2}/[^"'`]*)\2""")


def name(specifier: str, importer: str) -> str:
    """The name of a module as seen from the folder of all. importer: the name of the one that imports it."""
    return normpath(join(dirname(importer), specifier))


def begins_with(source: str, importer: str) -> list[str]:
    """The names of the modules without which this one cannot begin; others it may load later."""
    found = IMPORT.findall(source)
    return [name(specifier, importer) for how, _, specifier in found if how.startswith("from")]

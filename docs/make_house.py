"""Draw the house, docs/images/house.svg, from the code: packages by layer, their lines, and who imports whom."""

import ast
import tomllib
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "spectraledge"
PICTURE = ROOT / "docs" / "images" / "house.svg"

WIDTH, HEIGHT, ROOM, GAP = 150, 44, 26, 30
"""Pixels of a package, and between packages."""

STYLE = "font-family: system-ui, sans-serif; fill: #222222"


def layers() -> list[list[str]]:
    """Packages by layer, the highest first, as the import contract in pyproject.toml has them."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    return [[name.strip().removeprefix("spectraledge.") for name in row.split("|")] for row in contract["layers"]]


def files_of(package: str) -> list[Path]:
    """Modules of a package; a layer may be a single module."""
    return sorted((SOURCE / package).rglob("*.py")) or [SOURCE / f"{package}.py"]


def imports_of(package: str) -> set[str]:
    """Packages that a package imports."""
    found = set()
    for file in files_of(package):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("spectraledge."):
                found.add(str(node.module).split(".")[1])
    return found - {package}


def direct(imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """Imports that do not follow from others: of a → b → c and a → c only the first two."""

    def below(package: str) -> set[str]:
        return imports[package].union(*(below(one) for one in imports[package]))

    return {
        package: {one for one in found if not any(one in below(other) for other in found)}
        for package, found in imports.items()
    }


def picture() -> str:
    """The picture as SVG."""
    rows = layers()
    known = [package for row in rows for package in row]
    wide = max(len(row) for row in rows) * (WIDTH + ROOM) + ROOM
    places = {}
    for row, packages in enumerate(rows):
        left = (wide - len(packages) * (WIDTH + ROOM) + ROOM) / 2
        places |= {name: (left + i * (WIDTH + ROOM), ROOM + row * (HEIGHT + GAP)) for i, name in enumerate(packages)}
    high = ROOM + len(rows) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}" role="img" '
        'aria-label="Packages by layer, and which imports which">',
        f'<rect width="{wide}" height="{high}" fill="#ffffff"/>',
        '<defs><marker id="end" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0,0 L8,4 L0,8 z" fill="#8a8a8a"/></marker></defs>',
    ]
    imports = {package: imports_of(package) & set(known) for package in known}
    for package, found in direct(imports).items():
        left, top = places[package]
        for one in sorted(found):
            to_left, to_top = places[one]
            ends = f"M{left + WIDTH / 2},{top + HEIGHT} L{to_left + WIDTH / 2},{to_top - 2}"
            parts.append(f'<path d="{ends}" stroke="#8a8a8a" fill="none" marker-end="url(#end)"/>')
    for package, (left, top) in places.items():
        lines = sum(len(file.read_text().splitlines()) for file in files_of(package))
        middle = left + WIDTH / 2
        parts += [
            f'<rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="#f3f6fa" stroke="#0072B2"/>',
            f'<text x="{middle}" y="{top + 19}" text-anchor="middle" font-size="14" style="{STYLE}">'
            f"{escape(package)}</text>",
            f'<text x="{middle}" y="{top + 35}" text-anchor="middle" font-size="11" style="{STYLE}">'
            f"{lines:,} lines</text>",
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PICTURE.write_text(picture())

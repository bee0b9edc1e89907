"""The results as one page of HTML: a table that can be sorted and, for each text and task, sizes beside qualities with
the Pareto front. The page loads nothing."""

import html
from pathlib import Path
from typing import Any

from diptych.sweep.table import Row, columns_of, group, quality, written

_HERE = Path(__file__).parent
_WIDTH, _HEIGHT, _MARGIN = 620, 300, 56


def page(title: str, rows: list[Row]) -> str:
    parts = {"title": html.escape(title), "table": _table(rows), "figures": _figures(rows)}
    text = (_HERE / "page.html").read_text()
    for name, part in parts.items():
        text = text.replace(f"<!-- {name} -->", part)
    return text


def _table(rows: list[Row]) -> str:
    columns = columns_of(rows)
    lines = ["<table><thead><tr>"]
    lines += [f"<th><button>{html.escape(heading)}</button></th>" for heading, _, _ in columns]
    lines.append("</tr></thead><tbody>")
    for row in rows:
        lines.append('<tr class="front">' if row.get("pareto") else "<tr>")
        for _, key, form in columns:
            value = row.get(key)
            order = "" if value is None else str(int(value) if isinstance(value, bool) else value)
            kind = ' class="number"' if isinstance(value, (int, float)) and not isinstance(value, bool) else ""
            lines.append(f'<td{kind} data-value="{html.escape(order)}">{html.escape(written(row, key, form))}</td>')
        lines.append("</tr>")
    lines.append("</tbody></table>")
    return "\n".join(lines)


def _figures(rows: list[Row]) -> str:
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row.get("bytes") is not None and quality(row) is not None:
            groups.setdefault(group(row), []).append(row)
    return "\n".join(_figure(name, members) for name, members in groups.items())


def _figure(name: tuple[Any, ...], rows: list[Row]) -> str:
    points = [(row["bytes"] / 1e6, float(quality(row) or 0), row) for row in rows]
    heading = f"{name[1]}, {name[2]}" if name[0] == "text" else str(name[1])
    measure = next(key for key in ("kl", "perplexity", "score") if rows[0].get(key) is not None)
    x_of, y_of = _scale([p[0] for p in points], _MARGIN, _WIDTH - 12), _scale([p[1] for p in points], _HEIGHT - 36, 12)
    words = {"kl": "KL from the reference", "perplexity": "perplexity", "score": "score"}[measure]
    better = "smaller files and higher scores" if measure == "score" else "less of both"
    out = [f"<figure><figcaption>{html.escape(heading)}: {words} over size; {better} is better</figcaption>",
           f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
           f'<path class="axes" d="M{_MARGIN} 8V{_HEIGHT - 30}H{_WIDTH - 8}"/>']  # fmt: skip
    for value in _ends([p[0] for p in points]):
        out.append(f'<text x="{x_of(value):.1f}" y="{_HEIGHT - 14}" text-anchor="middle">{value:.4g} MB</text>')
    for value in _ends([p[1] for p in points]):
        out.append(f'<text x="{_MARGIN - 6}" y="{y_of(value) + 4:.1f}" text-anchor="end">{abs(value):.3g}</text>')
    front = sorted((x, y) for x, y, row in points if row.get("pareto"))
    out.append('<polyline class="front" points="' + " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in front) + '"/>')
    for x, y, row in points:
        label = " ".join(part for part in (row["model"], row["recipe"], row["shape"]) if part)
        kind = "front" if row.get("pareto") else "other"
        end = "end" if x_of(x) > _WIDTH * 0.7 else "start"
        at = x_of(x) + (-7 if end == "end" else 7)
        out.append(f'<circle class="{kind}" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4"/>')
        out.append(f'<text x="{at:.1f}" y="{y_of(y) - 6:.1f}" text-anchor="{end}">{html.escape(label)}</text>')
    return "\n".join([*out, "</svg></figure>"])


def _ends(values: list[float]) -> list[float]:
    return sorted({min(values), max(values)})


def _scale(values: list[float], begin: float, end: float) -> Any:
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    return lambda value: begin + (end - begin) * (0.05 + 0.9 * (value - low) / span)

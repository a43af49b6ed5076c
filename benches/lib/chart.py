"""The picture: bars, as SVG. It has a background of its own, so it can be read on light and on dark pages."""

from xml.sax.saxutils import escape

BACKGROUND, TEXT, FAINT, BAR, FLOOR, OURS = "#1e1e2e", "#cdd6f4", "#9399b2", "#45475a", "#89b4fa", "#a6e3a1"
FONT = "ui-sans-serif, system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif"
WIDTH, MARGIN, GAP, LINE, LABEL, NUMBER = 840, 20, 28, 19, 118, 62
# A panel: table, title, what a bar means, and the value at which bars are cut off.
PANELS = (
    ("others-start", "Start a process", "ms", 6),
    ("wakeup", "Blocked wait returns after the end", "ms", 4),
    ("private", "Private memory behind an idle process", "KiB", 400),
)


def draw(results):
    panels = [(results.find(key), *rest) for key, *rest in PANELS]
    growth = [results.near("start", count) for count in sorted({t.records for t in results.tables if t.key == "start"})]
    column = (WIDTH - 2 * MARGIN - GAP) / 2
    out, heights = [], [MARGIN, MARGIN]

    def add(*what):
        side = heights.index(min(heights))
        heights[side] = panel(out, MARGIN + side * (column + GAP), heights[side], column, *what)

    for table, title, unit, limit in panels:
        rows = [(row.name, row.median) for row in sorted(table.rows, key=lambda row: row.median)]
        add(f"{title}, {unit}", rows, limit)
    add("Start by procctl, × floor, by records kept", [(f"{count(table.records)} records", ratio(table)) for table in growth], 4)
    height = max(heights) + MARGIN - GAP
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" height="{height:g}"'
        f' font-family="{FONT}" font-size="13" role="img" aria-label="What procctl costs next to others: less is better">'
    )
    return "\n".join([head, f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>', *out, "</svg>\n"])


def ratio(table):
    return next(table.ratio(row) for row in table.rows if row.name == "procctl")


def count(records):
    """To one digit: those that a measurement itself leaves behind are not worth telling."""
    power = 10 ** (len(str(records)) - 1)
    return f"{records // power * power:,}"


def panel(out, left, top, width, title, rows, limit):
    """Draws it, and returns where the next one may begin."""
    out.append(f'<text x="{left:g}" y="{top + 13:g}" fill="{TEXT}" font-weight="bold">{escape(title)}</text>')
    y = top + 24
    room = width - LABEL - NUMBER
    scale = room / min(limit, max(value for _, value in rows))
    for name, value in rows:
        colour = OURS if "procctl" in name or "records" in name else FLOOR if name.startswith("floor") else BAR
        weight = ' font-weight="bold"' if colour == OURS else ""
        out.append(f'<text x="{left:g}" y="{y + 12:g}" fill="{TEXT}" font-size="12"{weight}>{escape(name)}</text>')
        bar = left + LABEL
        length = max(1.5, min(value * scale, room))
        out.append(f'<rect x="{bar:g}" y="{y + 2:g}" width="{length:.1f}" height="{LINE - 6}" rx="2" fill="{colour}"/>')
        if value * scale > room:
            # Cut off: a gap in the bar says so.
            at = bar + room - 16
            out.append(f'<path d="M{at:g} {y + LINE - 3:g}l4 -{LINE - 4}h4l-4 {LINE - 4}z" fill="{BACKGROUND}"/>')
        shown = f"{value:,.0f}" if value >= 100 or value % 1 == 0 else f"{value:.2f}"
        out.append(f'<text x="{bar + length + 6:g}" y="{y + 12:g}" fill="{FAINT}" font-size="12">{shown}</text>')
        y += LINE
    return y + GAP

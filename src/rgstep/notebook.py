"""How an object shows itself in a notebook: a small table under a title, texts escaped, in one CSS class of its own."""

from collections.abc import Iterable, Sequence
from html import escape

STYLE = (
    "<style>.rgstep{border-collapse:collapse;margin:.3em 0}.rgstep caption{text-align:left;font-weight:600;"
    "caption-side:top;padding:.2em .6em .2em 0}.rgstep th,.rgstep td{text-align:left;vertical-align:top;"
    "padding:.15em .8em .15em 0;background:none}.rgstep thead th{border-bottom:1px solid currentColor}</style>"
)
LONGEST = 200  # letters of a cell


def card(title: str, facts: Iterable[tuple[str, object]]) -> str:
    """Return facts about an object as HTML: a name and a value a line."""
    rows = "".join(f'<tr><th scope="row">{cell(name)}</th><td>{cell(value)}</td></tr>' for name, value in facts)
    return f'{STYLE}<table class="rgstep"><caption>{cell(title)}</caption><tbody>{rows}</tbody></table>'


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return rows under a head as HTML; the first cell of each names the row."""
    top = "".join(f'<th scope="col">{cell(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{cell(first)}</th>{"".join(f"<td>{cell(value)}</td>" for value in others)}</tr>'
        for first, *others in rows
    )
    return (
        f'{STYLE}<table class="rgstep"><caption>{cell(title)}</caption><thead><tr>{top}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def cell(value: object) -> str:
    """Return a value as escaped text, not long."""
    text = str(value)
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")

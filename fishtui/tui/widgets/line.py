"""The only way that text reaches the screen as a widget: nothing in it can steer the terminal."""

from __future__ import annotations

from typing import TypeAlias

from rich.cells import cell_len
from rich.text import Span as TextSpan
from rich.text import Text
from textual.content import Content, Span
from textual.widgets import Static

from fishtui.sanitize import HARMFUL, harmless
from fishtui.wording import cut, cut_middle

AnyText: TypeAlias = str | Text | Content


class Line(Static):
    """A line of text, or several if styled text has line breaks. Nothing in it is read as markup."""

    def __init__(self, text: AnyText = "", *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(safe(text), id=id, classes=classes, markup=False)

    def show(self, text: AnyText) -> None:
        """Show another text."""
        self.update(text)

    def update(self, content: AnyText = "", *, layout: bool = True) -> None:  # type: ignore[override]
        """Show another text; `layout` is False if its size is the same."""
        super().update(safe(content), layout=layout)


def safe(text: AnyText) -> AnyText:
    """Return `text` with every harmful character spelled out; a line break stays in styled text, not in a string."""
    if isinstance(text, str):
        return harmless(text)
    plain = text.plain
    if not HARMFUL.search(plain.replace("\n", "")):
        return text
    spelled = [each if each == "\n" else harmless(each) for each in plain]
    # Where each character begins in the new text, for the styles.
    starts = [0]
    for each in spelled:
        starts.append(starts[-1] + len(each))
    if isinstance(text, Content):
        return Content(
            "".join(spelled), [Span(starts[span.start], starts[span.end], span.style) for span in text.spans]
        )
    changed = text.blank_copy("".join(spelled))
    changed.spans = [TextSpan(starts[span.start], starts[span.end], span.style) for span in text.spans]
    return changed


def fitted(text: str, width: int, right: bool = False, keeps_end: bool = False) -> str:
    """Return `text`, sanitized, in exactly `width` columns of the terminal; cut in its middle if it `keeps_end`."""
    if keeps_end:
        text = cut_middle(harmless(text), width)
    else:
        # Cut first, because long texts take time to sanitize; the factor leaves room for characters without width.
        text = cut(harmless(text[: 8 * width + 8]), width)
    blank = " " * (width - cell_len(text))
    return blank + text if right else text + blank

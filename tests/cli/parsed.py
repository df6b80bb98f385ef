"""A page as a browser's parser sees it."""

from __future__ import annotations

from html.parser import HTMLParser

from attrs import define, field

VOID = ("img", "meta")


@define(eq=False)
class Parsed(HTMLParser):
    """Elements and texts of a page, in their order."""

    elements: list[tuple[str, dict[str, str | None]]] = field(factory=list)
    texts: list[tuple[str, str]] = field(factory=list)
    """The innermost element around a text, and the text."""
    path: list[str] = field(factory=list)
    """The elements that are open."""

    def __attrs_pre_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.path.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Check that elements are closed in their order."""
        assert self.path.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self.texts.append((self.path[-1] if self.path else "", data))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element *tag*."""
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str) -> list[str]:
        """Return the texts directly in elements *tag*."""
        return [text for around, text in self.texts if around == tag]

    def values(self, attribute: str) -> list[str]:
        """Return the values of *attribute*, wherever it stands."""
        return [attributes[attribute] or "" for _, attributes in self.elements if attribute in attributes]


def parsed(html: str) -> Parsed:
    """Parse *html*; every element in it is closed."""
    page = Parsed()
    page.feed(html)
    page.close()
    assert page.path == []
    return page

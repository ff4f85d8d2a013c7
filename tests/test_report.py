"""The gradcheck table: on the terminal, and as a page of HTML."""

import io
import sys
from html.parser import HTMLParser

import pytest

from minigrad import checks, report
from minigrad.checks import Row

ROWS = [
    Row("mul", "(3,4), (4,)", 1, 2.5e-12, True, ""),
    Row("mul", "(3,4), (4,)", 2, 1e-11, True, ""),
    Row("bad<op>", "(3,), dim=[1]", 1, 0.25, False, "the gradient of input 0 [x] <y> is wrong"),
]


def printed(rows):
    rich_console = pytest.importorskip("rich.console")
    text = io.StringIO()
    report.print_table(rows, rich_console.Console(file=text, width=120))
    return text.getvalue()


def test_table():
    text = printed(ROWS)
    assert "2.5e-12" in text and "1.0e-11" in text
    assert "FAILED 2.5e-01" in text
    assert "bad<op>((3,), dim=[1]), order 1: the gradient of input 0 [x] <y> is wrong" in text
    assert "3 checks of 2 ops: 1 failed; worst relative error that passed: 1.0e-11" in text


def test_table_of_a_real_run():
    text = printed(checks.run_checks(["mul", "tanh"]))
    assert "tanh" in text and "0 failed" in text and "FAILED" not in text


def test_without_rich(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.console", None)
    with pytest.raises(ImportError, match=r"minigrad\[train\]"):
        report.print_table(ROWS)


class Reader(HTMLParser):
    """Collects the text, and checks that the tags are balanced."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        assert not any(name in ("src", "href") for name, _ in attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def test_html(tmp_path):
    path = tmp_path / "report.html"
    report.write_html(ROWS, path)
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    text = " ".join(reader.text)
    assert "bad<op>" in text and "FAILED 2.5e-01" in text and "2.5e-12" in text
    assert "the gradient of input 0 [x] <y> is wrong" in text
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_html_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("before")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        report.write_html(ROWS, path)
    assert path.read_text() == "before"
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]

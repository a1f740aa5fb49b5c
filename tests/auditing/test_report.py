"""The page, the fragment and the model card of an audit."""

import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from skfairaug import audit, model_fingerprint
from skfairaug.auditing import audit_predictions

VOID = {"meta", "br", "link", "img", "path", "use"}
NASTY = "<script>alert('x')</script> & $5 | \"q\""


class Page(HTMLParser):
    """Tags with their attributes, and the text; fails where tags do not match."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.words = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


def make_report(before=False, names=("f", NASTY), **params):
    rng = np.random.RandomState(0)
    sex = np.array(names)[rng.randint(0, 2, 500)]
    frame = pd.DataFrame({"sex": sex, "age": rng.choice(["old", "young"], 500)})
    y = rng.randint(0, 2, 500)
    y_pred = (rng.rand(500) < 0.3 + 0.4 * y).astype(int)
    old = rng.randint(0, 2, 500) if before else None
    params = {"n_resamples": 300, "random_state": 0} | params
    return audit_predictions(y, y_pred, sensitive_features=frame, before=old, **params)


@pytest.fixture(scope="module")
def report():
    return make_report(before=True)


@pytest.fixture(scope="module")
def html(report):
    return report.to_html(title="A & B", model="<i>net</i>", data="rows | of <b>2026</b>")


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def test_page_stands_alone(html, page):
    loaded = {"script", "link", "img", "iframe", "object", "embed", "base"}
    assert not loaded & {tag for tag, _ in page.tags}
    namespaces = {"http://www.w3.org/1999/xlink", "http://www.w3.org/2000/svg"}
    assert set(re.findall(r"https?://[^\"'\s)]+", html)) == namespaces
    assert "@import" not in html
    assert all(target[0] == "#" for target in re.findall(r"(?:href|src)=\"([^\"]*)", html))
    assert all(target[0] == "#" for target in re.findall(r"url\(([^)]*)\)", html))


def test_page_is_accessible(page):
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == len(page.all("main")) == 1
    assert len(page.all("caption")) == len(page.all("table")) == 7
    assert {attrs["scope"] for attrs in page.all("th")} == {"row", "col"}
    images = [a for _, a in page.tags if a.get("role") == "img"]
    assert len(images) == len(page.all("svg")) == len(page.all("figcaption")) == 3
    assert all("Share decided favourably by" in image["aria-label"] for image in images)
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))


def test_page_escapes_every_text(html, page):
    for tag in ("script", "i", "b"):
        assert not page.all(tag)
    assert "alert('x')" in page.text
    assert "&lt;i&gt;net&lt;/i&gt;" in html
    assert "rows | of <b>2026</b>" in page.text


def test_page_says_what_a_regulator_asks(report, page):
    gap = report.gaps.loc[("sex", "statistical_parity")]
    number = f"{gap['gap']:+.3f}".replace("-", "−")
    for words in (
        "Notion of fairness statistical parity : Every group gets the favourable decision",
        "Tolerance a gap below 0.05 between groups",
        "95% intervals",
        number,
        "500. rows",
        "Holm's method",
        "300 bootstrap samples",
        "Who gets another decision",
        "What this page does not promise",
        "A tolerance is not a legal standard.",
        "random_state=0",
    ):
        assert words in page.text
    assert "Every group has at least 30 people" in page.text


def test_page_shows_warnings_and_odd_verdicts():
    page = Page(make_report(min_group_size=400, constraint="average_odds").to_html())
    assert "fewer than 400; none of its numbers is reliable" in page.text
    assert "Who gets another decision" not in page.text
    assert "They may have opposite signs and cancel" in page.text
    rows = np.repeat([0, 1], 50)
    other = audit_predictions(
        rows, rows, sensitive_features=rows, constraint="equal_opportunity", n_resamples=100
    )
    page = Page(other.to_html())
    assert "not measured. Fewer than two groups have people" in page.text


def test_page_is_written_and_repeats(tmp_path):
    path = tmp_path / "audit.html"
    assert make_report().to_html(path) is None
    assert path.read_text("utf-8") == make_report().to_html()


def test_fragment_needs_no_matplotlib(report):
    fragment = Page(report._repr_html_())
    assert not fragment.all("html")
    assert not fragment.all("script")
    assert "Gaps between groups" in fragment.text
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "import skfairaug.benchmark\n"
        "from skfairaug.auditing import audit_predictions\n"
        "report = audit_predictions([0, 1] * 9, [0, 1] * 9, sensitive_features=[0, 0, 1] * 6)\n"
        "assert '<table>' in report._repr_html_() and report.to_model_card()\n"
        "try:\n    report.to_html()\nexcept ImportError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "AuditReport.to_html requires matplotlib" in done.stdout, done.stderr


def test_model_card(report, tmp_path):
    card = report.to_model_card(
        name="net: 1", data="loans # 2026", metadata={"license": "bsd-3-clause", "tags": ["a"]}
    )
    _, header, body = card.split("---\n", 2)
    header = yaml.safe_load(header)
    assert header["license"] == "bsd-3-clause"
    assert header["tags"] == ["a"]
    (model,) = header["model-index"]
    assert model["name"] == "net: 1"
    (result,) = model["results"]
    assert result["dataset"] == {"type": "other", "name": "loans # 2026"}
    assert result["task"] == {"type": "tabular-classification"}
    values = {metric["name"]: metric["value"] for metric in result["metrics"]}
    gap = report.gaps.loc[("sex", "statistical_parity"), "gap"]
    assert values["statistical parity by sex"] == pytest.approx(gap, abs=1e-4)
    assert values["accuracy"] == pytest.approx(report.overall["accuracy"], abs=1e-4)
    assert "<script>" not in body
    assert "\n## Bias, risks and limitations\n" in body
    path = tmp_path / "README.md"
    assert report.to_model_card(path) is None
    assert path.read_text("utf-8").startswith("---\nlibrary_name: ")


def test_metadata_that_yaml_cannot_write(report):
    with pytest.raises(ValueError, match=r"metadata must hold texts, numbers.*got array"):
        report.to_model_card(metadata={"scores": np.arange(2)})


@pytest.mark.parametrize("text", ["a: b", "- x", "#", "\x7f", "é😀", "yes", "1", "{", "a\nb"])
def test_any_text_comes_back_from_the_header(report, text):
    card = report.to_model_card(data=text, metadata={text: [text]})
    header = yaml.safe_load(card.split("---\n", 2)[1])
    assert header["model-index"][0]["results"][0]["dataset"]["name"] == text
    assert header[text] == [text]


def test_heads_are_what_a_person_would_write(report, page):
    for head in ("selection rate", "how many get the favourable decision", "p-value"):
        assert head in page.text
    card = report.to_model_card()
    assert "| sex | people | base rate | selection rate | true positive rate |" in card


def test_tables_of_the_card_hold_together(report):
    lines = report.to_model_card().splitlines()
    tables = re.findall(r"(?:^\|.*\n)+", "\n".join(lines) + "\n", re.M)
    assert len(tables) == 7
    for table in tables:
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        assert len(widths) == 1
        assert len(table.splitlines()) > 3


def test_card_keeps_warnings():
    card = make_report(min_group_size=400).to_model_card(model="A *net*.")
    assert "- sex: group 'f' has" in card
    assert "\nA *net*.\n" in card


def test_the_page_says_whose_weights_it_judged(net, rows):
    report = audit(net, rows.X, rows.y, sensitive_features=rows.group, random_state=0)
    fingerprint = model_fingerprint(net)
    assert f"<code>{fingerprint}</code>" in report.to_html()
    assert f"fingerprint `{fingerprint}`" in report.to_model_card()
    logistic = LogisticRegression().fit(rows.X, rows.y)
    report = audit(logistic, rows.X, rows.y, sensitive_features=rows.group, random_state=0)
    assert "ingerprint" not in report.to_html() + report.to_model_card()

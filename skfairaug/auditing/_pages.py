"""Pages of an audit: numbers to text here, text to pages in the templates."""

import io
import math
import re

import yaml
from jinja2 import Environment, PackageLoader

from skfairaug.auditing._panels import MEASURES_DRAWN, draw_measures, figure_size, make_panels
from skfairaug.auditing._wording import (
    CORRECTIONS,
    CUSTOM_NOTION,
    LIMITS,
    MEASURES,
    NOTIONS,
    VERDICTS,
)


def render_page(report, *, title, model, data):
    """Render the page that stands alone.

    Parameters
    ----------
    report : AuditReport
        What to show.
    title, model, data : str or None
        Texts of the author.

    Returns
    -------
    page : str
        HTML.
    """
    figures = [figure(report, feature) for feature in report.settings["features"]]
    page = {"title": title, "model": model or report.settings["model"], "data": data}
    return _render("page.html.jinja", report, figures=figures, **page)


def render_fragment(report):
    """Render what a notebook shows.

    Parameters
    ----------
    report : AuditReport
        What to show.

    Returns
    -------
    fragment : str
        HTML without head and figures.
    """
    return _render("fragment.html.jinja", report)


def render_card(report, *, name, model, data, task, metadata):
    """Render the model card.

    Parameters
    ----------
    report : AuditReport
        What to show.
    name, model, data : str or None
        Texts of the author.
    task : str
        What the hub calls the task.
    metadata : dict or None
        Entries of the header.

    Returns
    -------
    card : str
        YAML and Markdown.
    """
    name = name or report.settings["model"] or "model"
    header = {
        "library_name": "skfairaug",
        "tags": ["fairness", "scikit-learn", "skorch"],
        "model-index": [{"name": name, "results": [_result(report, task, data)]}],
    } | (metadata or {})
    texts = {"name": name, "model": model, "data": data, "header": _yaml(header)}
    return _render("card.md.jinja", report, **texts)


def figure(report, feature):
    """Draw the groups of a feature as inline SVG.

    Parameters
    ----------
    report : AuditReport
        What to show.
    feature : str
        Which sensitive feature.

    Returns
    -------
    figure : dict
        `svg`, `alt` (what it shows, in words) and `caption`.
    """
    from matplotlib import rc_context  # an extra: only pictures need it
    from matplotlib.figure import Figure

    table, buffer = report.by_group.loc[feature], io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": feature}):
        size = figure_size(table, MEASURES_DRAWN)
        drawing = Figure(figsize=size, layout="constrained")
        draw_measures(
            make_panels(drawing, MEASURES_DRAWN),
            table,
            MEASURES_DRAWN,
            before=None if report.before is None else report.before.by_group.loc[feature],
            overall=report.overall,
        )
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        drawing.savefig(buffer, format="svg", metadata=nothing)
    svg = buffer.getvalue()
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", svg[svg.index("<svg") :], count=1)
    number = report.settings["features"].index(feature)  # ids are unique in the page
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>figure{number}-", svg)
    rates = "; ".join(
        f"{group}: {row['selection_rate']:.3f}" for group, row in table.iterrows()
    )
    when = "" if report.before is None else "before (hollow) and after (filled), "
    return {
        "svg": svg,
        "alt": f"Share decided favourably by {feature}. {rates}.",
        "caption": f"Measures by {feature}, {when}with "
        f"{report.settings['confidence_level']:.0%} intervals. "
        "The grey line is everybody together.",
        "width": f"{size[0] * 72:.0f}pt",
    }


def _render(template, report, **texts):
    environment = Environment(
        loader=PackageLoader("skfairaug.auditing"),
        autoescape=lambda name: name.endswith(".html.jinja"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _markdown_cell
    settings = report.settings
    return environment.get_template(template).render(
        report=report,
        settings=settings,
        notion=settings["constraint"].replace("_", " "),
        notion_text=NOTIONS.get(settings["constraint"], CUSTOM_NOTION),
        level=f"{settings['confidence_level']:.0%}",
        tolerance=f"{settings['tolerance']:g}",
        findings=_findings(report),
        group_tables=[_group_table(report, feature) for feature in settings["features"]],
        gap_table=_gap_table(report),
        change_tables=_change_tables(report),
        correction=CORRECTIONS[settings["correction"]],
        limits=LIMITS,
        **texts,
    )


def _findings(report):
    """The gaps by the notion that was asked for, a dict per feature."""
    asked = report.gaps.xs(report.settings["constraint"], level="notion")
    return [
        {
            "feature": feature,
            "verdict": row["verdict"],
            "text": VERDICTS[row["verdict"]][0],
            "reason": VERDICTS[row["verdict"]][1],
            "gap": _with_interval(row, "gap", signed=True),
            "lowest": row["lowest"],
            "highest": row["highest"],
            "change": _with_interval(row, "change", signed=True) if "change" in row else None,
        }
        for feature, row in asked.iterrows()
    ]


def _group_table(report, feature):
    rows = [
        [
            _cell(group),
            _cell(_people(row["count"])),
            *(_interval_cell(row, m) for m in MEASURES),
        ]
        for group, row in report.by_group.loc[feature].iterrows()
    ]
    everyone = report.overall
    rows.append(
        [
            _cell("everybody"),
            _cell(_people(everyone["count"])),
            *(_interval_cell(everyone, m) for m in MEASURES),
        ]
    )
    head = [_cell(feature), _cell("people"), *(_cell(*words) for words in MEASURES.values())]
    return {"caption": f"By {feature}", "head": head, "rows": rows}


def _gap_table(report):
    head = ["notion of fairness", "gap", "lowest in", "highest in", "ratio of these two"]
    head += ["p-value", "corrected p-value"]
    old = None if report.before is None else report.before.gaps
    rows = []
    for key, row in report.gaps.iterrows():
        cells = [
            _cell(key[1].replace("_", " "), f"by {key[0]}"),
            _interval_cell(row, "gap", signed=True),
            *(_cell(row[name] or "–") for name in ("lowest", "highest")),
            *(_cell(_number(row[name])) for name in ("ratio", "p_value", "p_adjusted")),
        ]
        if old is not None:
            cells.append(_cell(_number(old.loc[key, "gap"], signed=True)))
            cells.append(_interval_cell(row, "change", signed=True))
        rows.append([*cells, _cell(row["verdict"])])
    head += ["verdict"] if old is None else ["gap before", "change in size", "verdict"]
    caption = "Gaps between groups"
    return {"caption": caption, "head": [_cell(name) for name in head], "rows": rows}


def _change_tables(report):
    if report.changes is None:
        return []
    head = ["people", "now favourable", "now unfavourable", "decision changed"]
    return [
        {
            "caption": f"Decisions that changed, by {feature}",
            "head": [_cell(name) for name in (feature, *head)],
            "rows": [
                [
                    _cell(group),
                    *(
                        _cell(_people(row[name]))
                        for name in ("count", "now_favourable", "now_unfavourable")
                    ),
                    _cell(f"{row['share_changed']:.1%}"),
                ]
                for group, row in report.changes.loc[feature].iterrows()
            ],
        }
        for feature in report.settings["features"]
    ]


def _result(report, task, data):
    """One entry of a model index."""
    settings, overall = report.settings, report.overall
    values = [(name, name, overall[name]) for name in ("accuracy", "balanced_accuracy")]
    for (feature, notion), gap in report.gaps["gap"].items():
        values.append((notion, f"{notion} by {feature}", gap))
    return {
        "task": {"type": task},
        "dataset": {"type": "other", "name": data or f"{settings['n_samples']} rows"},
        "metrics": [
            {"type": kind, "name": name.replace("_", " "), "value": round(float(value), 4)}
            for kind, name, value in values
            if not math.isnan(value)
        ],
    }


def _yaml(header):
    """The header of a card, in the order in which it was made."""
    try:
        return yaml.safe_dump(header, sort_keys=False, allow_unicode=True)
    except yaml.representer.RepresenterError as error:
        raise ValueError(
            "metadata must hold texts, numbers, dates, lists and dicts of them, which YAML can "
            f"write; got {error.args[-1]!r}."
        ) from error


def _cell(main, sub=""):
    return {"main": str(main), "sub": sub}


def _interval_cell(row, name, signed=False):
    value, low, high = (row[name + end] for end in ("", "_low", "_high"))
    if math.isnan(value):
        return _cell("–")
    ends = "" if math.isnan(low) else f"{_number(low, signed)} to {_number(high, signed)}"
    return _cell(_number(value, signed), ends)


def _with_interval(row, name, signed=False):
    cell = _interval_cell(row, name, signed)
    return f"{cell['main']} ({cell['sub']})" if cell["sub"] else cell["main"]


def _people(count):
    return f"{count:,.0f}"


def _number(value, signed=False):
    """Three digits, with a minus sign that does not break the line."""
    if math.isnan(value):
        return "–"
    text = f"{value:+.3f}" if signed else f"{value:.3f}"
    return text.replace("-", "−")


def _markdown_cell(text):
    """Text for one cell of a Markdown table, where it can neither end it nor be HTML."""
    text = " ".join(str(text).split())
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|")):
        text = text.replace(mark, safe)
    return re.sub(r"([`*_\[\]])", r"\\\1", text)

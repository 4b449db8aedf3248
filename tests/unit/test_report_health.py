"""Alarms on top of the report's pages."""

from __future__ import annotations

from docutils.core import publish_doctree

from wsss.report.health import findings_as_list, health_notice

FINDING = {
    "severity": "alarm",
    "title": "pseudo masks below the CAMs",
    "figure": "mIoU 10.5, the CAMs 40.7",
    "meaning": "The walk spreads over <borders>.",
    "help": ["`snakemake sweep --configfile a&b.yaml` tries other values.", "Lower `random_walk.t`."],
}


def test_a_finding_shows_figure_meaning_and_commands_as_code() -> None:
    html = health_notice({"findings": [FINDING], "silent": []})
    assert '<div class="alarm">' in html
    assert "mIoU 10.5, the CAMs 40.7" in html
    assert "over &lt;borders&gt;." in html
    assert "<code>snakemake sweep --configfile a&amp;b.yaml</code> tries" in html
    assert "Lower <code>random_walk.t</code>." in html


def test_silence_is_said() -> None:
    assert "nothing found in 2 checks" in health_notice({"findings": [], "silent": [{}, {}]})


def test_the_list_of_the_first_page_shows_what_is_said_as_it_is() -> None:
    said = "ALARM  a*b* has `c`: snow_leopard_ 3, |x| <y> :z: \\d"
    (item,) = findings_as_list([said])
    page = publish_doctree(f"- {item}")
    assert "system_message" not in page.pformat()
    assert " ".join(page.astext().split()) == " ".join(said.split())

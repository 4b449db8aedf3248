"""Alarms on top of the report's pages."""

from __future__ import annotations

from wsss.report.health import health_notice

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

"""Whether a study is going wrong: a check of each part of the road, with and without true masks.

A verdict has the figure that was found. Where the figure is an alarm or a warning, it also has what that
means for the later stages, and the key or command that helps. The thresholds are constants with their reason,
and silent on the studies of `docs/studies.md`."""

from wsss.stages.health.alarms import Alarm, Verdict
from wsss.stages.health.checks import ALARMS, PARTS, check
from wsss.stages.health.records import gathered, part_health

__all__ = ["ALARMS", "PARTS", "Alarm", "Verdict", "check", "gathered", "part_health"]

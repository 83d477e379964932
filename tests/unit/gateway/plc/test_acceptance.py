"""The record of an acceptance and the three reports made of it."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser

from gateway.plc import acceptance_report, client_check, server_list
from gateway.plc.acceptance import Check, Group, Record, Verdict, percentile, times
from gateway.plc.acceptance_report import Heading
from protocols.modbus.registers import RegisterMap

GROUPS = (
    Group(
        "A", "Link", (Check("reach", "Reachable", "it answers", "switch it on"), Check("quick", "Quick", "1 s", "-"))
    ),
    Group("B", "Rest", tuple(Check(f"k{n}", f"Check {n}", "all", "mend it") for n in range(3))),
)
HEADING = Heading("gateway at <host>:5020 & more", datetime(2026, 11, 22, 10, 0, tzinfo=UTC), 9.64, "gateway 1.2")


def record() -> Record:
    made = Record(GROUPS, {"recipe": "<script>1</script>"})
    made.judge("reach", True, "at once")
    made.judge("quick", False, "3 s", demanded="2 s")
    made.close("no time")
    return made


def test_numbers_follow_the_list_and_nothing_is_left_without_a_finding() -> None:
    assert [finding.number for finding in record().findings] == ["A1", "A2", "B1", "B2", "B3"]
    assert [finding.verdict.name for finding in record().findings] == ["PASSED", "FAILED", *["SKIPPED"] * 3]
    assert record().summary == "1 passed, 3 skipped, 1 FAILED"


def test_only_a_failure_or_an_early_end_fails() -> None:
    good = Record(GROUPS)
    good.judge("reach", True, "")
    good.note("quick", "slow, but allowed")
    good.close("not asked for")
    assert good.passed is True
    ended = Record(GROUPS, ended="the cable was pulled")
    assert ended.passed is False
    assert not record().passed


def test_a_check_that_failed_once_does_not_pass_afterwards() -> None:
    made = Record(GROUPS)
    made.judge("reach", False, "first")
    made.judge("reach", True, "second")
    assert [(one.verdict, one.found) for one in made.findings] == [(Verdict.FAILED, "first")]
    assert made.findings[0].remedy == "switch it on"


def test_the_text_tells_demand_found_and_remedy_of_what_failed() -> None:
    text = acceptance_report.text(record(), HEADING)
    assert "  A1  passed  Reachable: at once\n" in text
    assert re.search(r"A2  FAILED  Quick\n +demanded: 2 s\n +found: +3 s\n +remedy: +-\n", text)
    assert "  B1…B3     skipped no time\n" in text
    assert "2026-11-22 10:00:00 +0000" in text
    assert text.endswith("FAILED: 1 passed, 3 skipped, 1 FAILED\n")
    assert all(len(line) <= 120 for line in text.splitlines())


def test_the_text_file_and_the_page_can_be_signed() -> None:
    for suffix in (".txt", ".html"):
        written = acceptance_report.WRITERS[suffix](record(), HEADING)
        assert [name for name in acceptance_report.SIGNATURES if name not in written] == []


def test_the_json_holds_every_finding() -> None:
    told = json.loads(acceptance_report.as_json(record(), HEADING))
    assert told["passed"] is False
    assert told["counts"] == {"passed": 1, "note": 0, "skipped": 3, "failed": 1}
    assert told["checks"][1] == {
        "number": "A2", "group": "Link", "name": "Quick", "demanded": "2 s", "found": "3 s", "verdict": "failed",
        "remedy": "-",
    }  # fmt: skip
    assert told["date"] == "2026-11-22T10:00:00+00:00"


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_whole_needs_nothing_from_elsewhere_and_runs_nothing() -> None:
    page, written = _Page(), acceptance_report.as_html(record(), HEADING)
    page.feed(written)
    assert page.open == []
    assert page.links == []
    assert "script" not in page.tags
    assert "&lt;script&gt;1&lt;/script&gt;" in written
    assert "gateway at &lt;host&gt;:5020 &amp; more" in written
    assert page.tags.count("tr") >= 5


def test_every_check_has_a_key_of_its_own_and_says_what_to_do() -> None:
    for groups in (server_list.groups(RegisterMap(), 1), client_check.GROUPS):
        checks = [check for group in groups for check in group.checks]
        assert len({check.key for check in checks}) == len(checks)
        assert all(check.name and check.demanded and check.remedy for check in checks)
        assert len({group.letter for group in groups}) == len(groups)


def test_percentile_is_the_nearest_rank() -> None:
    assert [percentile([5, 1, 3, 2, 4], share) for share in (0.0, 0.5, 0.8, 0.81, 1.0)] == [1, 3, 4, 5, 5]
    assert percentile([], 0.5) == 0
    assert times([0.001, 0.002]) == "p50 1.0 ms, p99 2.0 ms, of 2"

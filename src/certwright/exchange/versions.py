"""Names for the builds of Exchange. Pure.

AdminDisplayVersion tells the cumulative update; a security update (SU) or hotfix update (HU) shows there only on some
builds, so that its absence proves nothing. Source: Microsoft's page "Exchange Server build numbers and release dates",
and the table that the CSS-Exchange scripts keep of it (September 2026).
"""

import re
from dataclasses import dataclass
from datetime import date

_BUILD = re.compile(r"(\d+)\.(\d+)(?:\s*\(Build\s*|\.)(\d+)\.(\d+)\)?", re.IGNORECASE)

# Product -> the builds of its cumulative updates, each with the last number of its security and hotfix updates.
_TABLE = {
    "2013": """
        RTM 516.32, CU1 620.29, CU2 712.24, CU3 775.38, CU4 847.32, CU5 913.22, CU6 995.29, CU7 1044.25, CU8 1076.9,
        CU9 1104.5, CU10 1130.7, CU11 1156.6, CU12 1178.4, CU13 1210.3, CU14 1236.3, CU15 1263.5, CU16 1293.2,
        CU17 1320.4, CU18 1347.2, CU19 1365.1, CU20 1367.3, CU21 1395.4, CU22 1473.3,
        CU23 1497.2 Jul19SU=3 Nov19SU=4 Feb20SU=6 Oct20SU=7 Nov20SU=8 Dec20SU=10 Mar21SU=12 Apr21SU=15 May21SU=18
            Jul21SU=23 Oct21SU=24 Nov21SU=26 Jan22SU=28 Mar22SU=33 May22SU=36 Aug22SU=40 Oct22SU=42 Nov22SU=44
            Jan23SU=45 Feb23SU=47 Mar23SU=48
    """,
    "2016": """
        RTM 225.42, CU1 396.30, CU2 466.34, CU3 544.27, CU4 669.32, CU5 845.34, CU6 1034.26, CU7 1261.35, CU8 1415.2,
        CU9 1466.3, CU10 1531.3, CU11 1591.10, CU12 1713.5, CU13 1779.2, CU14 1847.3, CU15 1913.5, CU16 1979.3,
        CU17 2044.4, CU18 2106.2, CU19 2176.2, CU20 2242.4, CU21 2308.8,
        CU22 2375.7 Oct21SU=12 Nov21SU=17 Jan22SU=18 Mar22SU=24 May22SU=28 Aug22SU=31 Oct22SU=32 Nov22SU=37,
        CU23 2507.6 May22SU=9 Aug22SU=12 Oct22SU=13 Nov22SU=16 Jan23SU=17 Feb23SU=21 Mar23SU=23 Jun23SU=27 Aug23SU=31
            Aug23SUv2=32 Oct23SU=34 Nov23SU=35 Mar24SU=37 Apr24HU=39 Nov24SU=43 Nov24SUv2=44 Apr25HU=55 May25HU=57
            Aug25SU=58 Sep25HU=59 Oct25SU=61 Dec25SU=63 Feb26SU=66 Jun26SU=69 Jul26SU=71 Aug26SU=72 Sep26SU=73
            Sep26SUv2=75
    """,
    "2019": """
        RTM 221.12, CU1 330.5, CU2 397.3, CU3 464.5, CU4 529.5, CU5 595.3, CU6 659.4, CU7 721.2, CU8 792.3, CU9 858.5,
        CU10 922.7,
        CU11 986.5 Oct21SU=9 Nov21SU=14 Jan22SU=15 Mar22SU=22 May22SU=26 Aug22SU=29 Oct22SU=30 Nov22SU=36 Jan23SU=37
            Feb23SU=41 Mar23SU=42,
        CU12 1118.7 May22SU=9 Aug22SU=12 Oct22SU=15 Nov22SU=20 Jan23SU=21 Feb23SU=25 Mar23SU=26 Jun23SU=30 Aug23SU=36
            Aug23SUv2=37 Oct23SU=39 Nov23SU=40,
        CU13 1258.12 Jun23SU=16 Aug23SU=23 Aug23SUv2=25 Oct23SU=27 Nov23SU=28 Mar24SU=32 Apr24HU=34 Nov24SU=38
            Nov24SUv2=39,
        CU14 1544.4 Mar24SU=9 Apr24HU=11 Nov24SU=13 Nov24SUv2=14 Apr25HU=25 May25HU=27 Aug25SU=33 Sep25HU=34 Oct25SU=36
            Dec25SU=37 Feb26SU=39 Jun26SU=41 Jul26SU=43 Aug26SU=44 Sep26SU=46 Sep26SUv2=48,
        CU15 1748.10 Apr25HU=24 May25HU=26 Aug25SU=36 Sep25HU=37 Oct25SU=39 Dec25SU=42 Feb26SU=43 Jun26SU=46 Jul26SU=48
            Aug26SU=49 Sep26SU=51 Sep26SUv2=53
    """,
    "SE": """
        RTM 2562.17 Aug25SU=20 Sep25HU=27 Oct25SU=29 Dec25SU=35 Feb26SU=37 May26HU=41 Jun26SU=43 Jul26SU=45 Aug26SU=46
            Sep26SU=49 Sep26SUv2=53
    """,
}
_LINES = {(15, 0): ("2013",), (15, 1): ("2016",), (15, 2): ("2019", "SE")}
_END_OF_SUPPORT = {"2013": date(2023, 4, 11), "2016": date(2025, 10, 14), "2019": date(2025, 10, 14)}


@dataclass(frozen=True, slots=True)
class Product:
    """A version of Exchange as people call it.

    `line` is 2013, 2016, 2019 or SE, `build` all four numbers, `update` the cumulative update or RTM, and `security`
    the security or hotfix update, or empty if the build is that of none.
    """

    line: str
    build: tuple[int, int, int, int]
    update: str = ""
    security: str = ""
    is_listed: bool = True

    @property
    def name(self) -> str:
        """For example ``2019 CU14``, ``2016 CU23 Nov24SU`` or, for a build that is in no list, with its numbers."""
        numbers = "" if self.is_listed else f"(build {self.build[2]}.{self.build[3]})"
        return " ".join(filter(None, (self.line, self.update, self.security, numbers)))

    @property
    def end_of_support(self) -> date | None:
        """The last day of regular support; None where Microsoft has named none that is certain."""
        return _END_OF_SUPPORT.get(self.line)


@dataclass(frozen=True, slots=True)
class _Update:
    line: str
    name: str
    build: tuple[int, int]
    fixes: dict[int, str]


def product(version: str) -> Product | None:
    """The product of an AdminDisplayVersion (``Version 15.2 (Build 1544.4)``) or of four numbers with points.

    A build that is in no list is that of the last update before it. None if it is no version, or older than 2013.
    """
    found = _BUILD.search(version)
    if found is None:
        return None
    major, minor, *rest = (int(number) for number in found.groups())
    build = (rest[0], rest[1])
    known = [update for line in _LINES.get((major, minor), ()) for update in _updates(line)]
    if not known:
        return None
    last = max((u for u in known if u.build <= build), key=lambda u: u.build, default=known[0])
    numbers = (major, minor, *build)
    if build == last.build:
        return Product(last.line, numbers, last.name)
    fix = last.fixes.get(build[1], "") if build[0] == last.build[0] else ""
    if build < last.build:
        return Product(last.line, numbers, is_listed=False)
    return Product(last.line, numbers, last.name, fix, is_listed=bool(fix))


def _updates(line: str) -> list[_Update]:
    return [_update(line, entry.split()) for entry in _TABLE[line].split(",")]


def _update(line: str, words: list[str]) -> _Update:
    name, numbers, *fixes = words
    build, revision = numbers.split(".")
    named = {int(number): fix for fix, number in (word.split("=") for word in fixes)}
    return _Update(line, name, (int(build), int(revision)), named)

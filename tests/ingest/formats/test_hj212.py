"""HJ 212 frames: check and length, marks, times, parts; and whatever bytes come instead."""

import doctest
from datetime import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.formats import hj212
from ingest.formats.hj212 import BEIJING, WAIT_US, Decoder, crc16
from ingest.model import Quality, RefusalReason
from tests.ingest.builders import NOW_US
from tests.ingest.formats.heard import Heard, all_broken, hear

MN = "010000A8900016F000169DC0"
AT = "20231115061320"
AT_US = NOW_US
"""The same in Beijing: 1700000000 s."""


def frame(
    content: str | bytes, *, cn: int = 2011, head: str = "", flag: int = 4, mn: str = MN, tail: bytes = b"\r\n"
) -> bytes:
    raw = content.encode() if isinstance(content, str) else content
    data = f"QN=20231115061321000;ST=22;CN={cn};PW=123456;MN={mn};Flag={flag};{head}CP=&&".encode() + raw + b"&&"
    return framed(data, tail)


def framed(data: bytes, tail: bytes = b"\r\n") -> bytes:
    return b"##%04d" % len(data) + data + f"{crc16(data):04X}".encode() + tail


def read(*payloads: bytes, zone: ZoneInfo | None = None) -> Heard:
    return hear(Decoder(), *(("hj212/x", payload) for payload in payloads), zone=zone)


class TestFrames:
    @pytest.mark.parametrize(
        ("data", "check"),
        [
            # HJ 212-2017 as its implementations print it, and appendix A.1 of HJ 212-2025
            (
                "QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&",
                "1C80",
            ),
            ("QN=20240601085857223;ST=32;CN=1011;PW=123456;MN=010000A8900016F000169DC0;Flag=9;CP=&&&&", "2200"),
        ],
    )
    def test_the_check_is_that_of_the_standards(self, data: str, check: str) -> None:
        assert f"{crc16(data.encode()):04X}" == check
        heard = read(b"##%04d" % len(data) + data.encode() + check.encode() + b"\r\n")
        assert (heard.unread, heard.others) == ([], 1)

    @given(st.binary(max_size=300))
    def test_the_check_is_the_standards_loop_bit_by_bit(self, data: bytes) -> None:
        register = 0xFFFF
        for byte in data:
            register = register >> 8 ^ byte
            for _ in range(8):
                low = register & 1
                register >>= 1
                if low:
                    register ^= 0xA001
        assert crc16(data) == register

    def test_a_stations_frame_as_it_is_sent(self) -> None:
        content = (
            f"DataTime={AT};a34004-Rtd=35.5,a34004-Flag=N;a34002-Rtd=60,a34002-Flag=D;a01001-Rtd=-3.2,a01001-Flag=N;"
            "a05024-Rtd=8.82,a05024-Flag=T"
        )
        heard = read(frame(content, flag=5))
        assert heard.values == {
            f"{MN}/a34004-Rtd": 35.5,
            f"{MN}/a34002-Rtd": 60,
            f"{MN}/a01001-Rtd": -3.2,
            f"{MN}/a05024-Rtd": 8.82,
        }
        assert set(heard.times.values()) == {AT_US}
        assert [quality for _, _, _, quality in heard.readings] == [
            Quality.GOOD,
            Quality.DOUBTFUL,
            Quality.GOOD,
            Quality.GOOD,
        ]

    @pytest.mark.parametrize(("cn", "beginning"), [(2011, ""), (2051, "minute/"), (2061, "hour/"), (2031, "day/")])
    def test_averages_of_each_length_are_series_of_their_own(self, cn: int, beginning: str) -> None:
        heard = read(frame(f"DataTime={AT};LA-Avg=52.1,LA-Min=40,LA-Max=71,LA-Cou=3,LA-Flag=N", cn=cn))
        names = [name for name, *_ in heard.readings]
        assert names == [f"{MN}/{beginning}LA-{kind}" for kind in ("Avg", "Min", "Max", "Cou")]

    @pytest.mark.parametrize("cn", [1011, 2021, 3020, 9011, 9014, 9015])
    def test_other_commands_speak_of_something_else(self, cn: int) -> None:
        heard = read(frame(f"DataTime={AT};a34004-Rtd=1", cn=cn))
        assert (heard.readings, heard.unread, heard.others) == ([], [], 1)

    def test_several_frames_in_one_payload(self) -> None:
        one, two = frame(f"DataTime={AT};a34004-Rtd=1"), frame(f"DataTime={AT};a34004-Rtd=2", mn="OTHER")
        assert read(one + two).values == {f"{MN}/a34004-Rtd": 1, "OTHER/a34004-Rtd": 2}

    @pytest.mark.parametrize("tail", [b"\r\n", b"", b"\n", b"\r\n\r\n", b"\x00"])
    def test_the_end_of_line_may_have_been_lost_on_the_way(self, tail: bytes) -> None:
        assert len(read(frame(f"DataTime={AT};a34004-Rtd=1", tail=tail)).readings) == 1

    def test_a_broken_frame_does_not_take_the_next_with_it(self) -> None:
        good = frame(f"DataTime={AT};a34004-Rtd=1")
        for bad in (good.replace(b"Rtd=1", b"Rtd=7"), good[:-9], b"##12", b"nonsense", good.replace(b"##01", b"##0x")):
            heard = read(good + bad + good)
            assert len(heard.readings) == 2
            assert heard.reasons == [RefusalReason.UNREADABLE]

    def test_a_wrong_check_says_both(self) -> None:
        good = frame(f"DataTime={AT};a34004-Rtd=1")
        heard = read(good[:-6] + b"BEEF\r\n")
        assert heard.found[0].startswith("CRC BEEF behind ")
        assert heard.expected == [f"CRC {good[-6:-2].decode()}"]

    def test_a_frame_that_breaks_off_says_how_long_it_is(self) -> None:
        good = frame(f"DataTime={AT};a34004-Rtd=1")
        heard = read(good[:60])
        assert heard.found == [f"length {good[2:6].decode()}, and 50 bytes of data"]

    def test_the_check_may_be_written_small(self) -> None:
        good = frame(f"DataTime={AT};a34004-Rtd=1", tail=b"")
        assert len(read(good[:-4] + good[-4:].lower()).readings) == 1

    @pytest.mark.parametrize("payload", [b"", b"\r\n", b"\x00"])
    def test_nothing_is_refused_as_nothing(self, payload: bytes) -> None:
        assert read(payload).found == ["an empty payload"]

    def test_an_encrypted_frame_of_the_edition_of_2025_is_refused_by_name(self) -> None:
        heard = read(frame("{0xE4,0x3E,0xA4}g=N", flag=9))
        assert heard.found == ["an encrypted CP (SM4)"]

    @pytest.mark.parametrize(("flag", "fine"), [(0, True), (4, True), (9, True), (12, False), (252, False)])
    def test_editions_that_are_known(self, flag: int, fine: bool) -> None:
        heard = read(frame(f"DataTime={AT};a34004-Rtd=1", flag=flag))
        assert len(heard.readings) == fine
        assert heard.found == ([] if fine else [f"version {flag >> 2} (Flag={flag})"])

    def test_a_frame_without_flag_or_query_number_is_one_of_2005(self) -> None:
        data = f"ST=22;CN=2011;PW=123456;MN={MN};CP=&&DataTime={AT};a34004-Rtd=1&&"
        assert len(read(framed(data.encode())).readings) == 1

    @pytest.mark.parametrize(
        ("data", "found"),
        [
            (f"ST=22;CN=2011;CP=&&DataTime={AT};LA-Rtd=1&&", "no MN"),
            (f"ST=22;CN=2011;MN=;CP=&&DataTime={AT};LA-Rtd=1&&", "no MN"),
            (f"ST=22;MN=1;CP=&&DataTime={AT};LA-Rtd=1&&", "no CN"),
            (f"ST=22;CN=2011;MN=1;DataTime={AT};LA-Rtd=1", "no CP"),
            (f"ST=22;CN=2011;MN=1;CP=&&DataTime={AT};LA-Rtd=1", "no CP"),
            ("ST=22;CN=2011;MN=1;CP=&&LA-Rtd=1&&", "no DataTime"),
        ],
    )
    def test_what_is_missing_is_named(self, data: str, found: str) -> None:
        heard = read(framed(data.encode()))
        assert heard.reasons == [RefusalReason.MISSING_FIELD]
        assert heard.found[0].startswith(found)

    def test_what_is_sent_later_is_late(self) -> None:
        heard = read(frame(f"DataTime={AT};LA-Rtd=1,LA-Flag=N;L5-Rtd=1,L5-Flag=B", head="RF=1;", flag=8))
        assert heard.qualities == {f"{MN}/LA-Rtd": Quality.LATE, f"{MN}/L5-Rtd": Quality.DOUBTFUL}

    def test_chinese_in_the_stations_own_encoding_does_no_harm(self) -> None:
        content = (
            f"DataTime={AT};a34004-Rtd=1;i11001-Info=//".encode() + "设备正常,门开;温度=高".encode("gb18030") + b"//"
        )
        heard = read(frame(content, head="XX=//站//;"))
        assert heard.values == {f"{MN}/a34004-Rtd": 1}
        assert heard.unread == []


class TestMarks:
    @pytest.mark.parametrize("mark", ["D", "B", "F", "M", "C", "S", "d", "P", "0", "2"])
    def test_what_the_station_does_not_stand_by_is_doubtful(self, mark: str) -> None:
        assert read(frame(f"DataTime={AT};LA-Rtd=1,LA-Flag={mark}")).qualities == {f"{MN}/LA-Rtd": Quality.DOUBTFUL}

    @pytest.mark.parametrize("mark", ["N", "T", "n", "1", "3"])
    def test_what_is_normal_or_beyond_the_scale_is_judged(self, mark: str) -> None:
        assert read(frame(f"DataTime={AT};LA-Flag={mark},LA-Rtd=1")).qualities == {f"{MN}/LA-Rtd": Quality.GOOD}

    def test_a_mark_nobody_knows_is_put_before_a_person(self) -> None:
        heard = read(frame(f"DataTime={AT};LA-Rtd=1,LA-Flag=X;L5-Rtd=2,L5-Flag=N"))
        assert heard.values == {f"{MN}/L5-Rtd": 2}
        assert heard.found == ['LA-Rtd with Flag "X"']
        assert heard.expected == [hj212.MARKS]

    @pytest.mark.parametrize("marks", ["LA-Flag=", "LA-Flag= ", "LA-Flag=,LA-Flag="])
    def test_an_empty_mark_is_none_like_one_that_is_missing(self, marks: str) -> None:
        assert read(frame(f"DataTime={AT};LA-Rtd=1,{marks}")).qualities == {f"{MN}/LA-Rtd": Quality.GOOD}

    def test_an_empty_mark_takes_none_back(self) -> None:
        heard = read(frame(f"DataTime={AT};LA-Rtd=1,LA-Flag=D,LA-Flag="))
        assert heard.qualities == {f"{MN}/LA-Rtd": Quality.DOUBTFUL}

    @pytest.mark.parametrize("text", ["--", "NaN", "1e999", "1_0", "0x10", "1.2.3", "St", "inf", "１"])
    def test_a_value_that_is_no_number_is_refused(self, text: str) -> None:
        heard = read(frame(f"DataTime={AT};LA-Rtd={text},LA-Flag=N"))
        assert heard.readings == []
        assert heard.reasons == [RefusalReason.NOT_A_NUMBER]
        assert heard.found[0].startswith("LA-Rtd ")

    def test_an_empty_value_holds_nothing(self) -> None:
        heard = read(frame(f"DataTime={AT};LA-Rtd=,LA-Flag=D;L5-Rtd=2"))
        assert heard.values == {f"{MN}/L5-Rtd": 2}
        assert heard.passed_over == 1

    @given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from("NFMSDCTB"))
    def test_every_number_comes_back(self, value: float, mark: str) -> None:
        heard = read(frame(f"DataTime={AT};LA-Rtd={value!r},LA-Flag={mark}"))
        ((_, _, got, quality),) = heard.readings
        assert got == value
        assert (quality is Quality.GOOD) == (mark in "NT")


class TestTimes:
    def test_times_are_beijings_where_the_subscription_names_no_zone(self) -> None:
        content = "DataTime=20231115061320;LA-Rtd=1"
        assert read(frame(content)).times == {f"{MN}/LA-Rtd": NOW_US}
        urumqi = read(frame(content), zone=ZoneInfo("Asia/Urumqi"))
        assert urumqi.times == {f"{MN}/LA-Rtd": NOW_US + 2 * 3600 * 1_000_000}

    def test_milliseconds_are_kept(self) -> None:
        assert read(frame("DataTime=20231115061320123;LA-Rtd=1")).times == {f"{MN}/LA-Rtd": NOW_US + 123_000}

    @pytest.mark.parametrize(
        "text", ["", "2023", "20231315061320", "20230230000000", "20231115246000", "00000101000000", "2023111506132x"]
    )
    def test_a_time_that_there_is_not_is_refused(self, text: str) -> None:
        heard = read(frame(f"DataTime={text};LA-Rtd=1"))
        assert heard.reasons == [RefusalReason.BAD_TIME]
        assert heard.found == [f'DataTime "{text}"']

    def test_a_time_that_the_clocks_of_a_zone_skip_is_refused(self) -> None:
        heard = read(frame("DataTime=20240331023000;LA-Rtd=1"), zone=ZoneInfo("Europe/Berlin"))
        assert heard.expected == ["DataTime as YYYYMMDDhhmmss, a time that there is in Europe/Berlin"]

    def test_several_times_hold_for_what_stands_behind_each(self) -> None:
        heard = read(frame("DataTime=20231115061320;LA-Rtd=1;DataTime=20231115061330;LA-Rtd=2"))
        assert [(at_us - NOW_US, value) for _, at_us, value, _ in heard.readings] == [(0, 1), (10_000_000, 2)]

    def test_one_time_holds_wherever_it_stands(self) -> None:
        assert read(frame(f"LA-Rtd=1;DataTime={AT}")).times == {f"{MN}/LA-Rtd": NOW_US}

    @given(st.datetimes(datetime(1992, 1, 1), datetime(2099, 1, 1)))  # noqa: DTZ001  # Beijing's clocks are not put on since
    def test_every_second_comes_back(self, local: datetime) -> None:
        heard = read(frame(f"DataTime={local:%Y%m%d%H%M%S};LA-Rtd=1"))
        ((_, at_us, _, _),) = heard.readings
        assert at_us == int(local.replace(microsecond=0, tzinfo=BEIJING).timestamp()) * 1_000_000


class TestParts:
    WHOLE = f"DataTime={AT};a34004-Rtd=35.5,a34004-Flag=N;a34002-Rtd=60.25,a34002-Flag=D;LA-Rtd=52,LA-Flag=N"

    def parts(self, *contents: str, at: tuple[int, ...] = ()) -> list[bytes]:
        numbers = at or tuple(range(1, len(contents) + 1))
        return [
            frame(content, head=f"PNUM={len(contents)};PNO={number};", flag=6)
            for number, content in zip(numbers, contents, strict=True)
        ]

    @given(st.lists(st.integers(0, len(WHOLE)), min_size=1, max_size=3), st.randoms())
    def test_wherever_a_text_is_cut_and_however_it_comes_it_is_the_same(self, cuts: list[int], chance: object) -> None:
        places = [0, *sorted(cuts), len(self.WHOLE)]
        contents = [self.WHOLE[begin:end] for begin, end in pairwise(places)]
        parts = self.parts(*contents)
        getattr(chance, "shuffle")(parts)  # noqa: B009  # a Random of hypothesis's own
        heard, whole = read(*parts), read(frame(self.WHOLE))
        assert heard.readings == whole.readings
        assert heard.unread == []

    def test_parts_that_stand_for_themselves_are_read_so(self) -> None:
        heard = read(*self.parts(f"DataTime={AT};LA-Rtd=1", "DataTime=20231115061330;LA-Rtd=2"))
        assert [value for _, _, value, _ in heard.readings] == [1, 2]

    def test_a_separator_lost_between_parts_is_put_back(self) -> None:
        assert read(*self.parts(f"DataTime={AT};LA-Rtd=1", "L5-Rtd=2")).values == {f"{MN}/LA-Rtd": 1, f"{MN}/L5-Rtd": 2}

    def test_the_same_part_once_more_is_passed_by(self) -> None:
        first, second = self.parts(f"DataTime={AT};LA-Rtd=1;", "L5-Rtd=2")
        assert len(read(first, first, second).readings) == 2

    def test_parts_that_do_not_come_are_refused(self) -> None:
        decoder = Decoder()
        first, _ = self.parts(f"DataTime={AT};LA-Rtd=1;", "L5-Rtd=2")
        assert hear(decoder, ("x", first)).others == 1
        heard = hear(decoder, ("x", frame(f"DataTime={AT};LA-Rtd=5")), at_us=NOW_US + WAIT_US + 1)
        assert heard.reasons == [RefusalReason.MISSING_FIELD]
        assert heard.found == [f'PNO 1 of 2 of an earlier frame of "{MN}"']
        assert heard.values == {f"{MN}/LA-Rtd": 5}

    def test_another_first_part_begins_anew(self) -> None:
        old, _ = self.parts(f"DataTime={AT};LA-Rtd=1;", "L5-Rtd=2")
        new = self.parts(f"DataTime={AT};LA-Rtd=7;", "L5-Rtd=8")
        heard = read(old, *new)
        assert heard.values == {f"{MN}/LA-Rtd": 7, f"{MN}/L5-Rtd": 8}
        assert heard.reasons == [RefusalReason.MISSING_FIELD]

    def test_no_more_is_waited_for_than_can_be_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(hj212, "MOST_SPLIT", 2)
        decoder = Decoder()
        firsts = [frame("LA-Rtd=1", head="PNUM=2;PNO=1;", flag=6, mn=mn) for mn in "ABC"]
        heard = hear(decoder, *(("x", first) for first in firsts))
        assert heard.found == ['PNO 1 of 2 of an earlier frame of "A"']
        assert len(decoder._split) == 2

    @pytest.mark.parametrize(
        ("head", "found"),
        [
            ("", "Flag=6 without PNUM and PNO"),
            ("PNUM=2;", "Flag=6 without PNUM and PNO"),
            ("PNUM=2;PNO=3;", 'PNO "3"'),
            ("PNUM=0;PNO=1;", 'PNUM "0"'),
            ("PNUM=x;PNO=1;", 'PNUM "x"'),
            ("PNUM=9999;PNO=1;", 'PNUM "9999"'),
        ],
    )
    def test_numbers_of_parts_that_cannot_be_are_refused(self, head: str, found: str) -> None:
        assert read(frame("LA-Rtd=1", head=head, flag=6)).found == [found]

    def test_one_part_of_one_is_a_whole_frame(self) -> None:
        assert len(read(*self.parts(f"DataTime={AT};LA-Rtd=1")).readings) == 1


def sound() -> list[tuple[str, bytes]]:
    content = f"DataTime={AT};a34004-Rtd=35.5,a34004-Flag=N;a34002-Rtd=60,a34002-Flag=D;LA-Rtd=52,LA-Flag=T"
    payloads = [frame(content, cn=cn) for cn in (2011, 2051, 2061, 2031, 9011)]
    payloads += TestParts().parts(content[:40], content[40:])
    payloads += [payloads[0] + payloads[1], frame(content, head="RF=1;", flag=9)]
    return [("hj212/x", payload) for payload in payloads]


@pytest.mark.parametrize("seed", range(3))
def test_broken_frames_raise_nothing_and_none_vanishes(seed: int) -> None:
    heard = all_broken(Decoder(), sound(), seed, 150)
    assert len(heard.readings) > 1500
    assert set(heard.reasons) >= {RefusalReason.UNREADABLE}


@given(st.binary(max_size=200))
def test_what_has_a_right_check_is_read_or_refused(data: bytes) -> None:
    read(framed(data), framed(b"CN=2011;MN=x;Flag=4;CP=&&" + data + b"&&"), data)


def test_examples_in_docstrings_hold() -> None:
    tried = doctest.testmod(hj212)
    assert tried.attempted > 0
    assert tried.failed == 0

"""The bench's own check, `bench/run --self-check`: in seconds, and with nothing installed but Python."""

import contextlib
import doctest
import importlib.machinery
import importlib.util
import io
import json
import re
import struct
import tempfile
import unittest
from pathlib import Path
from unittest import mock
from xml.etree import ElementTree

from . import allocator, bodies, config, load, page, preload, results, tables
from .cases import CASES, tables_of
from .figures import Column, Result, Target, ratio_target
from .plots import PLOTS
from .process import BenchError
from .report import BENCH, TEMPLATE, Report
from .rounds import alternate
from .servers import Contender
from .svg import Chart, Line, even_ticks, log_ticks

CPU = Column("cpu_us", "CPU µs", "{:.2f}", ratio=True)

RUN = {
    "begun": "2026-01-02 03:04 UTC", "ouli": "abc1234", "machine": "2 × CPU", "rustc": "rustc 1",
    "versions": {"nginx": "nginx 1.22.1", "HAProxy": "HAProxy 2.6"}, "rounds": 5, "seconds": 1,
}


def result(ouli=(1.0, 2.0, 3.0, 4.0, 5.0), nginx=(2.0, 2.0, 2.0, 2.0, 2.0), **more):
    samples = {
        "nginx": [{"cpu_us": value} for value in nginx], "Ouli": [{"cpu_us": value} for value in ouli],
    }
    return Result("replay", "Replay", [CPU], "nginx", samples, **more)


class Figures(unittest.TestCase):
    def test_a_figure_is_the_median_with_the_lowest_and_the_highest(self):
        row = result().summary()["rows"][1]
        self.assertEqual(row["figures"]["cpu_us"], [3.0, 1.0, 5.0])

    def test_a_ratio_is_the_median_of_the_rounds_own(self):
        row = result(ouli=(4, 1, 9), nginx=(2, 1, 3)).summary()["rows"][1]
        self.assertEqual(row["ratios"]["cpu_us"], [2.0, 1.0, 3.0])

    def test_a_row_may_be_compared_to_another_than_the_first(self):
        made = result(against={"nginx": "nginx", "Ouli": "Ouli"})
        self.assertEqual(made.ratios("Ouli", "cpu_us"), [])

    def test_few_rounds_and_work_of_others_make_a_table_poor(self):
        self.assertEqual(result().poor(), "")
        self.assertEqual(result(ouli=(1, 2), nginx=(1, 2)).poor(), "2 rounds only")
        busy = result()
        busy.columns = [CPU, Column("foreign", "others")]
        busy.samples["nginx"][3]["foreign"] = 0.3
        self.assertEqual(busy.poor(), "others took up to 30% of a CPU")


class Rounds(unittest.TestCase):
    def take(self, foreign):
        """Measures with those shares of others' work, one after the other."""
        shares, server = iter(foreign), mock.Mock()
        sample = lambda _: {"cpu_us": 1.0, "foreign": next(shares)}
        return alternate([Contender("one", lambda: server)], 3, sample, lambda _: None)

    def test_what_is_measured_beside_others_work_is_measured_again_at_once(self):
        samples, count, again = self.take([0.0, 0.5, 0.3, 0.01, 0.4, 0.02])
        self.assertEqual((count, again), (3, 3))
        self.assertEqual([s["foreign"] for s in samples["one"]], [0.0, 0.01, 0.02])

    def test_a_round_beside_others_work_is_measured_again(self):
        samples, count, _ = self.take([0.0, 0.5, 0.6, 0.7, 0.01, 0.02])
        self.assertEqual(count, 4)
        self.assertEqual([s["foreign"] for s in samples["one"]], [0.0, 0.01, 0.02])

    def test_not_for_ever_and_then_those_with_least_of_it_count(self):
        samples, count, _ = self.take([0.9, 0.9, 0.95, 0.5, 0.8, 0.9, 0.7, 0.4, 0.9, 0.6, 0.8, 0.7])
        self.assertEqual(count, 4)
        self.assertEqual([s["foreign"] for s in samples["one"]], [0.5, 0.4, 0.6])

    def test_a_quiet_run_has_no_more_rounds_than_asked_for(self):
        samples, count, _ = self.take([0.0, 0.1, 0.05])
        self.assertEqual((count, len(samples["one"])), (3, 3))


class Verdicts(unittest.TestCase):
    def verdict(self, *targets):
        return list(tables.verdicts(result(targets=list(targets)).summary()))

    def test_a_target_is_judged_by_the_median(self):
        met = ratio_target("Ouli", "cpu_us", 1.5)
        missed = ratio_target("Ouli", "cpu_us", 1.4)
        self.assertEqual([is_met for _, is_met, _ in self.verdict(met, missed)], [True, False])
        self.assertEqual(self.verdict(met)[0][0], "Ouli: at most 1.5 × nginx")
        self.assertEqual(self.verdict(met)[0][2], "1.50 (0.50–2.50) ×")

    def test_below_is_less_than_and_at_least_is_no_less(self):
        at = lambda relation, bound: self.verdict(Target("Ouli", "cpu_us", relation, bound, "µs"))[0][1]
        self.assertEqual([at("below", 3), at("at most", 3), at("at least", 3)], [False, True, True])
        self.assertEqual([at("at least", 3.1), at("below", 3.1)], [False, True])

    def test_a_target_of_several_rows_is_judged_by_the_worst(self):
        every = lambda row, relation, bound: self.verdict(Target(row, "cpu_us", relation, bound, "µs"))[0]
        self.assertEqual(every("…", "at most", 2)[1:], (False, "3.00 (1.00–5.00)"))
        self.assertEqual(every("…", "at least", 2)[1:], (True, "2.00"))
        self.assertEqual(every("ng…", "at most", 2)[1:], (True, "2.00"))
        self.assertEqual(every("Ouli…", "at most", 3)[0], "Ouli, all, CPU µs: at most 3 µs")

    def test_what_was_not_measured_is_neither(self):
        self.assertIsNone(self.verdict(ratio_target("somebody", "cpu_us", 1))[0][1])

    def test_a_missed_target_stands_under_its_table(self):
        text = tables.markdown(result(targets=[ratio_target("Ouli", "cpu_us", 1.4)]).summary())
        self.assertIn("**Missed**: 1.50 (0.50–2.50) ×.", text)
        self.assertIn("| Ouli | 3.00 (1.00–5.00) | 1.50 (0.50–2.50) × |", text)


class Merging(unittest.TestCase):
    def test_a_table_replaces_its_own_and_no_other(self):
        first = results.merge(results.EMPTY, RUN, {"a": {"title": "old"}, "b": {"title": "kept"}})
        later = RUN | {"begun": "2026-02-03 04:05 UTC"}
        merged = results.merge(first, later, {"a": {"title": "new"}})
        self.assertEqual({key: table["title"] for key, table in merged["tables"].items()}, {"a": "new", "b": "kept"})
        self.assertEqual(len(merged["runs"]), 2)

    def test_a_run_without_tables_is_forgotten(self):
        first = results.merge(results.EMPTY, RUN, {"a": {}})
        merged = results.merge(first, RUN | {"ouli": "def5678"}, {"a": {}})
        self.assertEqual(list(merged["runs"]), ["2026-01-02 03:04 UTC def5678"])

    def test_a_table_names_only_what_took_part(self):
        line = results.about(result().summary(), RUN)
        self.assertIn("nginx 1.22.1", line)
        self.assertNotIn("HAProxy", line)
        self.assertIn("5 rounds", line)

    def test_a_poor_table_leaves_the_page_alone_unless_it_is_wanted(self):
        poor = result(ouli=(1,), nginx=(1,)).summary()
        with tempfile.TemporaryDirectory() as folder:
            template = Path(folder) / "template.md"
            template.write_text("# Title\n\n<!-- table replay -->\n")
            report = Report(RUN, folder, template=template)
            report.take("replay", {"replay": poor}, 1)
            self.assertFalse((Path(folder) / "benchmarks.md").exists())
            self.assertIn("replay: 1 round only", report.said())
            report.keep_poor = True
            report.take("replay", {"replay": poor}, 1)
            self.assertIn("**Not to be quoted**: 1 round only.", (Path(folder) / "benchmarks.md").read_text())


class Pages(unittest.TestCase):
    def test_every_table_and_plot_has_one_place_in_the_template(self):
        wanted = [("table", key) for case in CASES for key in tables_of(case)]
        wanted += [("plot", plot.file) for plot in PLOTS] + [("verdicts", None)]
        self.assertCountEqual(page.places(TEMPLATE.read_text()), wanted)

    def test_every_case_is_explained_in_the_template(self):
        text = TEMPLATE.read_text()
        self.assertEqual([name for name in CASES if f"| `{name}` |" not in text], [])

    def test_the_page_is_what_template_and_results_make(self):
        stored = results.load(BENCH / "results.json")
        there = (BENCH.parent / "docs/benchmarks.md").read_text()
        self.assertEqual(there, page.fill(TEMPLATE.read_text(), stored), "bench/run --render writes it")


class Plots(unittest.TestCase):
    def test_a_chart_is_well_formed_with_all_its_points_inside(self):
        lines = [
            Line("a < b & c", "#123456", [(10, 5.0, 4.0, 7.0), (1000, 500.0, 400.0, 700.0)]),
            Line("flat", "#654321", [(10, 5.0, 5.0, 5.0), (1000, 5.0, 5.0, 5.0)], is_dashed=True),
        ]
        for is_log in (False, True):
            chart = Chart("T", "x", "y", [(10, "10"), (1000, "1,000")], lines, is_log)
            root = ElementTree.fromstring(chart.render())
            circles = [node for node in root.iter() if node.tag.endswith("circle") and list(node)]
            self.assertEqual(len(circles), 4)
            for circle in circles:
                self.assertTrue(0 < float(circle.get("cy")) < float(root.get("height")))

    def test_ticks_reach_around_all_values(self):
        for low, high in ((1, 1), (0.3, 9), (5, 800), (3, 90_000), (99, 101)):
            ticks = log_ticks(low, high)
            self.assertTrue(ticks[0] <= low and ticks[-1] >= high and len(ticks) > 1, (low, high, ticks))
            self.assertGreaterEqual(even_ticks(high)[-1], high)

    def test_a_plot_is_made_of_its_tables_rows(self):
        made = result(points={"nginx": ("nginx", 64), "Ouli": ("Ouli", 64)})
        self.assertIn("Ouli: 3 (1–5)", PLOTS[0].render({"concurrency-replay": made.summary()}))
        self.assertIsNone(PLOTS[0].render({}))


class Configurations(unittest.TestCase):
    def test_a_place_without_a_value_and_a_value_without_a_place_are_faults(self):
        self.assertIn("ssl_certificate /c;", config.render("nginx-tls.conf", file="/c", key="/k"))
        for values in ({"file": 1}, {"file": 1, "key": 2, "more": 3}):
            with self.assertRaises(ValueError):
                config.render("nginx-tls.conf", **values)

    def test_bodies_have_the_sizes_that_they_say(self):
        for size in (256, 1024, 65536):
            for_one = bodies.answer(bodies.LOAD_PATH, size).decode().replace(bodies.LOAD_PATH, "/item/0000000")
            self.assertEqual(len(for_one), size)
            self.assertEqual(json.loads(for_one)["uri"], "/item/0000000")
        self.assertEqual(len(bodies.question()), 1024)


def program(name):
    """One of the bench's commands, as a module."""
    loader = importlib.machinery.SourceFileLoader(f"bench_{name}", str(BENCH / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class AcceptedConnections(unittest.TestCase):
    def test_times_are_those_since_the_count_before(self):
        with tempfile.TemporaryDirectory() as folder:
            times = preload.AcceptTimes(Path(folder) / "times")
            times.clear()
            self.assertEqual((times.count(), times.since(0)), (0, []))
            notes = bytearray(times.path.read_bytes())
            struct.pack_into("<4I", notes, 0, 3, 1500, 2500, 3500)
            times.path.write_bytes(notes)
            self.assertEqual((times.count(), times.since(1)), (3, [2.5, 3.5]))
            struct.pack_into("<I", notes, 0, preload.TIMES + 1)
            times.path.write_bytes(notes)
            with self.assertRaisesRegex(BenchError, "room to note"):
                times.since(0)

    def test_its_sizes_are_those_of_the_library(self):
        source = preload.ACCEPTED.read_text()
        self.assertIn(f"#define TIMES {preload.TIMES}\n", source)


class GuidedBuild(unittest.TestCase):
    RUSTC = "rustc 1.2.3\nhost: x86_64-unknown-linux-gnu\nLLVM version: 22.1.2\n"

    def found(self, sysroot, packages):
        pgo = program("pgo")
        said = mock.patch.object(pgo, "said", lambda *_: f"{sysroot}\n")
        with said, mock.patch.object(pgo, "find", packages.get):
            return pgo.find_profdata(self.RUSTC)

    def test_a_profile_is_read_by_the_compilers_own_tool_or_one_of_its_version(self):
        packages = {"llvm-profdata-22": "/usr/bin/llvm-profdata-22", "llvm-profdata-14": "too old"}
        with tempfile.TemporaryDirectory() as sysroot:
            self.assertEqual(self.found(sysroot, packages), "/usr/bin/llvm-profdata-22")
            own = Path(sysroot, "lib/rustlib/x86_64-unknown-linux-gnu/bin/llvm-profdata")
            own.parent.mkdir(parents=True)
            own.touch()
            self.assertEqual(self.found(sysroot, packages), own)

    def test_without_one_it_is_said_how_to_get_one(self):
        with self.assertRaisesRegex(BenchError, "LLVM 22.*llvm-tools.*llvm-22"):
            self.found("/nowhere", {"llvm-profdata": "of any version"})


class WrongAnswers(unittest.TestCase):
    def run_case(self, case):
        """Exit code of a run of which this is the only case."""
        run = program("run")
        with tempfile.TemporaryDirectory() as folder:
            argv = ["run", "made-up", "--no-build", "--no-report", "--no-million", "--dir", folder]
            quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
            # Asking all peers for their versions takes longer than everything else.
            known = mock.patch("harness.machine.describe", lambda *_: RUN | {"missing": [], "load_average": 0})
            made_up = mock.patch.dict(run.CASES, {"made-up": case})
            with made_up, known, mock.patch("sys.argv", argv), quiet[0], quiet[1]:
                return run.main()

    def test_a_case_that_fails_ends_the_run_with_1(self):
        def wrong(_):
            raise BenchError("wrong body")
            yield

        self.assertEqual(self.run_case(wrong), 1)
        self.assertEqual(self.run_case(lambda _: iter([result()])), 0)

    def test_errors_that_wrk_and_h2load_count_are_faults(self):
        for text in ("Socket errors: connect 0, read 1", "Non-2xx or 3xx responses: 1", "nothing"):
            with self.assertRaises(BenchError):
                load.parse_wrk(text)
        with self.assertRaises(BenchError):
            load.parse_h2load("finished in 1s, 1 req/s")

    @unittest.skipUnless((BENCH / "target/release/load").exists(), "the load generator isn't built")
    def test_a_peer_whose_answers_are_wrong_by_one_byte_ends_the_run_with_1(self):
        def case(bench):
            for body, is_right in ((bodies.BODY, True), (bodies.BODY[:-1] + b"!", False)):
                with answering(body) as server:
                    bench.load.check(server, 1)
                    self.assertTrue(is_right, "a wrong byte was taken")
            yield result()

        self.assertEqual(self.run_case(case), 1)


@contextlib.contextmanager
def answering(body):
    """A peer that gives every request this body."""
    import http.server
    import threading

    from .protocol import HTTP1

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        port = server.server_address[1]
        yield mock.Mock(addr=f"127.0.0.1:{port}", port=port, protocol=HTTP1, is_slow=True, warm_up_requests=0)
        server.shutdown()


def load_tests(_loader, suite, _pattern):
    suite.addTests(doctest.DocTestSuite(load))
    suite.addTests(doctest.DocTestSuite(allocator))
    return suite

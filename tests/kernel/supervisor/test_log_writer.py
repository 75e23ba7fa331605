"""The writer of the log: bounded, never waiting, counting what it drops."""

from __future__ import annotations


def test_lines_come_out_in_order_and_whole(plain):
    printed = plain("""
        from firefly_core.kernel.supervisor.log_writer import LogWriter
        writer = LogWriter(1)
        for number in range(5000):
            assert writer.write("world-1", b"%d\\n" % number)
        writer.close(5)
        assert writer.take_lost() == {}
    """)
    assert printed.split() == [str(number) for number in range(5000)]


def test_a_reader_who_stops_costs_lines_of_the_loud_one_only_and_they_are_counted(plain):
    plain("""
        import os, time
        from firefly_core.kernel.supervisor.log_writer import LogWriter
        reading, writing = os.pipe()
        writer = LogWriter(writing, limit=100_000)
        line = b"x" * 99 + b"\\n"
        began = time.monotonic()
        taken = sum(writer.write("loud", line) for _ in range(50_000))
        assert time.monotonic() - began < 5
        assert 1000 <= taken <= 1000 + 65536 // 100 + 700, taken
        assert writer.write("quiet", b"still there\\n")
        assert writer.take_lost() == {"loud": 50_000 - taken}
        assert writer.take_lost() == {}
        text = b""
        while not text.endswith(b"still there\\n"):
            text += os.read(reading, 65536)
        assert text.count(b"\\n") == taken + 1
        while not writer.write("loud", line):
            time.sleep(0.01)
    """)


def test_a_reader_who_has_gone_is_no_error_and_all_lines_are_counted(plain):
    plain("""
        import os, time
        from firefly_core.kernel.supervisor.log_writer import LogWriter
        reading, writing = os.pipe()
        os.close(reading)
        writer = LogWriter(writing)
        writer.write("world-1", b"one\\ntwo\\n")
        while writer.write("world-1", b""):
            time.sleep(0.01)
        writer.write("world-1", b"three\\n")
        assert writer.take_lost() == {"world-1": 3}
        writer.close()
    """)


def test_a_full_disk_costs_lines_that_are_counted_and_later_ones_are_written(plain, tmp_path):
    plain(
        """
        import os, resource, signal, sys, time
        from firefly_core.kernel.supervisor.log_writer import LogWriter
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
        file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        writer = LogWriter(file)
        writer.write("world-1", b"0123456789\\n")
        lost = {}
        while not lost:
            time.sleep(0.01)
            lost = writer.take_lost()
        assert lost == {"world-1": 1}
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        assert writer.write("world-1", b"after\\n")
        writer.close(5)
        assert open(sys.argv[1]).read().endswith("after\\n")
        """,
        tmp_path / "log",
    )

"""What every server counts for the admin, over reloads."""

from firefly_core.kernel.handlers.handlers import Handler


def test_after_a_reload_only_handlers_that_are_there_or_have_run_are_counted(desk):
    kernel = desk.cluster.kernel("world")
    telemetry = kernel.extensions["admin"]
    for name in ("gone", "ran"):
        handler = Handler(kind="command", name=name, function=lambda ctx: None, source="a test", id=900)
        telemetry.meter(handler, handler.function)
        assert ("command", name) in telemetry._meters
    telemetry._meters["command", "ran"].runs = 1
    before = set(telemetry._meters)
    kernel.plugins.notify("firefly_reloaded", kernel=kernel)
    assert before - set(telemetry._meters) == {("command", "gone")}

"""Every session of these tests is watched: one that is calm while something is unusual would skip its duties."""

import pytest
from firefly_gate.client import ClientSession


@pytest.fixture(autouse=True)
def calm_only_where_nothing_is_unusual(monkeypatch):
    lies = []
    serve = ClientSession.on_data
    told = ("uid", "closed", "paused", "jobs", "parked", "kept", "watched", "successor")

    def look(session, when):
        if session.calm and not session.is_calm():
            lies.append((when, {name: getattr(session, name) for name in told}))

    def on_data(session, data):
        look(session, "before")
        serve(session, data)
        look(session, "after")

    monkeypatch.setattr(ClientSession, "on_data", on_data)
    yield
    assert lies == []

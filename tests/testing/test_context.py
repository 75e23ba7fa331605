"""The fake context: what a handler does with it is recorded, and what real servers would refuse is refused."""

import attrs
import pytest

from firefly_core import Refuse, command, on_start, push, remote
from firefly_core.errors import NoSuchMethod, RemoteError
from firefly_core.testing import Called, FakeContext, FakeSession, Pushed, StillClock

caught = push(2003, name="caught", policy="droppable")


@attrs.frozen
class Catch:
    firefly: int


@attrs.frozen
class Caught:
    firefly: int
    rank: int


@command(101, public=True)
def login(ctx, name: str) -> str:
    ctx.session.bind(name)
    ctx.group("meadow").join(ctx.session)
    ctx.session.data["name"] = name
    return name


@command(203)
def catch(ctx, request: Catch) -> Caught:
    if request.firefly > 100:
        raise Refuse("too_far", "that firefly is out of reach")
    rank = ctx.call("ranking.submit", ctx.uid, request.firefly)
    answer = Caught(request.firefly, rank)
    ctx.session.push(caught, answer)
    ctx.group("meadow").push(caught, answer, policy="reliable")
    ctx.push_to("bob", 2004, {"by": ctx.uid}, key="k")
    return answer


@remote("ranking.submit")
def submit(ctx, uid: str, score: int) -> int:
    ctx.state[uid] = score
    return len(ctx.state)


def test_a_handler_runs_as_a_plain_function_and_its_pushes_and_calls_are_recorded():
    ctx = FakeContext(uid="ann", answers={"ranking.submit": 3})
    assert catch(ctx, Catch(5)) == Caught(5, 3)
    assert ctx.calls == [Called("ranking.submit", ("ann", 5))]
    assert ctx.pushes == [
        Pushed("session", 2003, Caught(5, 3)),
        Pushed("group:meadow", 2003, Caught(5, 3)),
        Pushed("uid:bob", 2004, {"by": "ann"}),
    ]
    assert [pushed.policy for pushed in ctx.pushes] == ["droppable", "reliable", "reliable"]
    assert ctx.pushed(caught) == [Caught(5, 3), Caught(5, 3)]
    assert ctx.pushed(2004) == [{"by": "ann"}]


def test_a_refusal_comes_out_as_it_is():
    with pytest.raises(Refuse) as refusal:
        catch(FakeContext(uid="ann"), Catch(101))
    assert refusal.value.code == "too_far"


def test_login_binds_the_session_and_joins_groups():
    ctx = FakeContext()
    assert ctx.uid is None
    login(ctx, "ann")
    assert (ctx.uid, ctx.session.uid) == ("ann", "ann")
    assert ctx.group("meadow").members() == ["ann"]
    assert ctx.session.data["name"] == "ann"
    with pytest.raises(ValueError, match="ann"):
        ctx.session.bind("bob")


def test_other_players_live_in_the_same_groups_and_record_their_pushes():
    ctx = FakeContext(uid="ann")
    bob = ctx.join(FakeSession("bob"), "meadow", "chat")
    assert ctx.group("meadow").members() == ["bob"]
    bob.push(2001, "hello")
    assert ctx.pushes == [Pushed("session", 2001, "hello")]
    assert ctx.pushes[0].session is bob
    bob.kick("rude")
    bob.push(2001, "hello?")
    assert bob.kicked == "rude"
    assert bob.closed
    assert ctx.groups == {}
    assert len(ctx.pushes) == 1


def test_leaving_a_group_twice_is_harmless():
    ctx = FakeContext(uid="ann")
    group = ctx.group("meadow")
    group.join(ctx.session)
    group.join(ctx.session)
    assert group.members() == ["ann"]
    group.leave(ctx.session)
    group.leave(ctx.session)
    assert group.members() == []


def test_answers_are_values_functions_or_errors():
    ctx = FakeContext(
        answers={
            "value": {"a": 1},
            "function": lambda left, right: left + right,
            "error": RemoteError("too_late", "come back tomorrow"),
            "class": NoSuchMethod,
        }
    )
    assert ctx.call("value") == {"a": 1}
    assert ctx.call("function", 2, 3) == 5
    with pytest.raises(RemoteError, match="tomorrow"):
        ctx.call("error")
    with pytest.raises(NoSuchMethod):
        ctx.call("class")


def test_a_call_without_a_programmed_answer_says_what_to_do():
    with pytest.raises(NoSuchMethod, match=r"answers=\{"):
        FakeContext().call("ranking.top")


def test_objects_become_maps_in_an_answer_as_they_do_on_their_way_through_a_channel():
    ctx = FakeContext(answers={"where": Catch(5)})
    assert ctx.call("where") == {"firefly": 5}


@pytest.mark.parametrize(
    "use",
    [
        lambda ctx: ctx.session.push(2001, object()),
        lambda ctx: ctx.group("meadow").push(2001, object()),
        lambda ctx: ctx.call("remote", object()),
        lambda ctx: ctx.notify("remote", object()),
    ],
)
def test_what_could_not_travel_is_refused(use):
    with pytest.raises(TypeError):
        use(FakeContext(answers={"remote": None}))


def test_notifies_are_recorded_apart():
    ctx = FakeContext()
    assert ctx.notify("ranking.submit", 1, to="ranking-2")
    assert ctx.calls == [Called("ranking.submit", (1,), to="ranking-2", notify=True)]


def test_a_remote_has_a_state_and_no_session():
    ctx = FakeContext(session=None, state={})
    assert submit(ctx, "ann", 5) == 1
    assert ctx.state == {"ann": 5}
    assert ctx.session is None
    assert ctx.uid is None


def test_what_plugins_offer_is_handed_in_by_name():
    db = object()
    ctx = FakeContext(db=db)
    assert ctx.db is db
    with pytest.raises(AttributeError, match="mail"):
        assert ctx.mail


def test_the_deadline_runs_on_the_handed_clock():
    clock = StillClock()
    ctx = FakeContext(clock=clock, deadline=clock.monotonic() + 2)
    assert ctx.remaining() == 2
    clock.move(1.5)
    assert ctx.remaining() == 0.5
    assert FakeContext().remaining() is None
    with pytest.raises(ValueError, match="back"):
        clock.move(-1)


def test_session_data_is_bounded_as_in_a_real_session():
    session = FakeSession(data={"a": 1})
    with pytest.raises(ValueError, match="4096"):
        session.data["b"] = "x" * 5000
    assert dict(session.data) == {"a": 1}


def test_routes_are_noted():
    session = FakeSession()
    session.route("world", "world-2")
    assert session.routes == {"world": "world-2"}


def test_two_sessions_have_two_ids():
    assert FakeSession().id != FakeSession().id


def test_the_log_carries_the_command_and_the_player(caplog):
    ctx = FakeContext(uid="ann", command="catch")
    with caplog.at_level("INFO"):
        ctx.log.info("seen")
    assert caplog.records[0].firefly["command"] == "catch"
    assert caplog.records[0].firefly["uid"] == "ann"


def test_start_handlers_take_the_context_too():
    @on_start
    def start(ctx):
        return {"opened": ctx.clock.time()}

    assert start(FakeContext(session=None, clock=StillClock(time=5.0))) == {"opened": 5.0}


def test_pushes_to_all_and_to_several_are_recorded():
    ctx = FakeContext(uid=7)
    ctx.push_all(2003, "hello", but=[7])
    ctx.push_to([1, 2], 2003, "you two")
    assert ctx.pushes == [
        Pushed("all", 2003, "hello"),
        Pushed("uid:1", 2003, "you two"),
        Pushed("uid:2", 2003, "you two"),
    ]
    assert ctx.pushes[0].but == (7,)
    assert ctx.online() == [7]

import inspect
import types

import pytest

from firefly_core.kernel import hookspecs
from firefly_core.kernel.hookspecs import hookimpl
from firefly_core.kernel.plugins.plugin_check import hook_problems, specifications


def plugin(*functions, api=1):
    module = types.ModuleType("sample")
    for function in functions:
        setattr(module, function.__name__, function)
    if api is not None:
        module.FIREFLY_API = api
    return module


@hookimpl
def firefly_services():
    return []


def test_plugin_with_a_hook_and_the_api_has_no_problem():
    assert hook_problems(plugin(firefly_services)) == []


def test_every_hook_of_the_screen_is_known_with_its_arguments():
    known = specifications()
    assert known["firefly_route"] == ("kernel", "session", "command", "nodes")
    assert known["firefly_services"] == ()
    assert set(known) == {name for name in vars(hookspecs) if name.startswith("firefly_")}


@pytest.mark.parametrize("name", sorted(specifications()))
def test_hook_with_all_its_arguments_or_none_is_fine(name):
    full = types.FunctionType((lambda: None).__code__, {}, name)
    full.__signature__ = inspect.signature(getattr(hookspecs, name))
    bare = types.FunctionType((lambda: None).__code__, {}, name)
    assert hook_problems(plugin(hookimpl(full))) == []
    assert hook_problems(plugin(hookimpl(bare))) == []


@pytest.mark.parametrize(
    ("api", "said"),
    [
        (None, ": says no FIREFLY_API; needs FIREFLY_API = 1"),
        (2, ": FIREFLY_API is 2; this Firefly needs 1"),
        ("1", ": FIREFLY_API is '1'; this Firefly needs 1"),
        (True, ": FIREFLY_API is True; this Firefly needs 1"),
    ],
)
def test_api_must_be_the_one_of_this_firefly(api, said):
    assert hook_problems(plugin(firefly_services, api=api)) == [said]


def test_hook_that_does_not_exist_is_told_with_the_nearest():
    @hookimpl
    def firefly_servces():
        return []

    assert hook_problems(plugin(firefly_servces)) == [
        ', hook firefly_servces: there is no such hook; did you mean "firefly_services"?'
    ]


def test_marked_function_of_any_name_must_be_a_hook():
    @hookimpl
    def helper():
        return None

    assert hook_problems(plugin(helper)) == [", hook helper: there is no such hook"]


def test_specname_is_what_counts():
    @hookimpl(specname="firefly_started")
    def when_it_starts(kernel):
        return None

    assert hook_problems(plugin(when_it_starts)) == []


def test_hook_without_its_mark_is_told():
    def firefly_started(kernel):
        return None

    assert hook_problems(plugin(firefly_services, firefly_started)) == [
        ", hook firefly_started: is not marked with @hookimpl"
    ]


def test_wrong_arguments_are_told():
    @hookimpl
    def firefly_route(sesion, command, extra):
        return None

    assert hook_problems(plugin(firefly_route)) == [
        ", hook firefly_route: takes no argument sesion; it is called with: kernel, session, command, nodes; "
        'did you mean "session"?',
        ", hook firefly_route: takes no argument extra; it is called with: kernel, session, command, nodes",
    ]


def test_hook_must_be_plain():
    @hookimpl
    async def firefly_started(kernel):
        return None

    @hookimpl
    def firefly_stopping(*arguments):
        return None

    @hookimpl
    def firefly_reloaded(*, kernel):
        return None

    assert hook_problems(plugin(firefly_started, firefly_stopping, firefly_reloaded)) == [
        ", hook firefly_reloaded: argument kernel needs to be a plain one",
        ", hook firefly_started: is async; hooks are plain functions",
        ", hook firefly_stopping: argument arguments needs to be a plain one",
    ]


@pytest.mark.parametrize("option", ["tryfirst", "trylast", "wrapper", "hookwrapper", "optionalhook"])
def test_nobody_jumps_the_queue(option):
    @hookimpl(**{option: True})
    def firefly_started(kernel):
        yield

    assert hook_problems(plugin(firefly_started)) == [
        f", hook firefly_started: {option} cannot be used; the order of firefly.toml is the call order"
    ]


def test_plugin_without_any_hook_is_told():
    assert hook_problems(plugin()) == [": has no hook; mark its functions with @hookimpl"]


def test_object_with_methods_is_a_plugin_too():
    class Plugin:
        FIREFLY_API = 1

        @hookimpl
        def firefly_started(self, kernel):
            return None

        @hookimpl
        def firefly_stopping(self, kernl):
            return None

    assert hook_problems(Plugin()) == [
        ', hook firefly_stopping: takes no argument kernl; it is called with: kernel; did you mean "kernel"?'
    ]


def test_all_faults_are_told_at_once():
    @hookimpl
    def firefly_servces():
        return []

    @hookimpl
    def firefly_started(kernl):
        return None

    assert len(hook_problems(plugin(firefly_servces, firefly_started, api=None))) == 3

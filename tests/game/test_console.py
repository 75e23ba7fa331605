"""The console as an operator uses it: real processes, a real browser, real players.

`FIREFLY_PICTURES=docs` takes the pictures for docs/operations.md anew.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DESK = {"width": 1280, "height": 860}
WORST = "[...document.querySelectorAll('dialog .trouble')].map((each) => each.textContent).join()"
UNNAMED = """[...document.querySelectorAll("input, button, select, textarea, a")].filter((each) =>
  !(each.getAttribute("aria-label") || each.title || each.textContent.trim() || each.labels?.length)).length"""


class Operator:
    """Somebody at the console, in a tab of his own."""

    def __init__(self, house, browser, tab: str) -> None:
        self.house = house
        self.browser = browser
        self.tab = tab

    def enter(self, page: str = "overview", token: str | None = None) -> None:
        """Open the console and show the token."""
        if self.tab != "phone":
            self.browser.do(self.tab, "set_viewport_size", DESK)
        self.browser.do(self.tab, "goto", f"http://127.0.0.1:{self.house.admin}/#/{page}")
        self.browser.do(self.tab, "fill", "input[type=password]", token or self.token())
        self.browser.do(self.tab, "click", ".sign-in button")
        if token is None:
            self.see("document.querySelector('.main .card')")

    def token(self) -> str:
        return (self.house.folder / "var" / "admin.token").read_text().strip()

    def go(self, page: str) -> None:
        self.browser.do(self.tab, "click", f".rail a:not(.brand)[href='#/{page}']")

    def do(self, method: str, *arguments, **options):
        return self.browser.do(self.tab, method, *arguments, **options)

    def see(self, condition: str, timeout: float = 15.0) -> None:
        self.browser.see(self.tab, condition, timeout)

    def sees_text(self, text: str, within: str = "body", timeout: float = 15.0) -> None:
        self.see(f"document.querySelector({json.dumps(within)})?.textContent.includes({json.dumps(text)})", timeout)

    def confirm(self) -> None:
        """Say yes to the question, and wait until it is done."""
        self.do("click", "dialog.question [data-do]")
        self.see("!document.querySelector('dialog.question')")

    def play(self, name: str) -> None:
        """Be a player in the playground."""
        self.see("document.querySelector('[data-connect]:not(:disabled)')")
        self.do("click", "[data-connect]")
        self.sees_text("connected to ws://", ".talk")
        self.say("login", {"name": name})
        self.see("document.querySelector('.said[data-kind=answer]')")

    def say(self, command: str, body: object) -> None:
        """Send a command in the playground."""
        self.do("select_option", "[data-command]", command)
        self.do("fill", "[data-body]", json.dumps(body))
        self.do("click", "[data-send]")


@pytest.fixture
def operator(house, browser) -> Callable[[str], Operator]:
    """Give somebody at the console by the name of his tab; the game runs."""
    house.start()
    return lambda tab: Operator(house, browser, tab)


@pytest.fixture
def bots(house) -> Iterator[Callable[[int], None]]:
    """Let bots play."""
    running: list[subprocess.Popen[bytes]] = []

    def play(count: int) -> None:
        command = [sys.executable, "-m", "example_game.bot", "--count", str(count), "--port", str(house.datapack)]
        running.append(subprocess.Popen([*command, "--seconds", "300"], cwd=ROOT, stdout=subprocess.DEVNULL))

    yield play
    for process in running:
        process.terminate()
        process.wait(timeout=20)


def test_only_the_right_token_opens_the_console_and_signing_out_closes_it(operator) -> None:
    console = operator("console")
    console.enter(token="x" * 40)
    console.sees_text("that is not the token", ".sign-in")
    console.enter()
    console.see("document.querySelectorAll('.server[data-state=up]').length === 3")
    console.do("click", ".rail .out")
    console.see("document.querySelector('.sign-in')")
    assert console.do("evaluate", "sessionStorage.length") == 0


def test_a_player_is_found_and_kicked_and_told_why(operator, browser) -> None:
    player, console = operator("player"), operator("console")
    player.enter("playground")
    player.play("Ann")
    console.enter("sessions")
    console.sees_text("ann", ".table")
    console.do("fill", "[data-search]", "nobody")
    console.sees_text("Nobody like that is here.")
    console.do("fill", "[data-search]", "ANN")
    console.see("document.querySelectorAll('tr[data-session]').length === 1")
    console.do("click", "tr[data-session] button")
    console.do("click", "[data-kick]")
    console.do("fill", "dialog.question input", "a longer break")
    console.confirm()
    player.sees_text("the gate says goodbye: a longer break", ".talk")
    player.see("document.querySelector('[data-connect]').textContent === 'Connect'")
    console.sees_text("Nobody like that is here.")
    assert browser.problems() == []


def test_the_kill_switch_refuses_a_command_everywhere_and_lets_it_go_on(operator, browser, house) -> None:
    player, console = operator("player"), operator("console")
    player.enter("playground")
    player.play("Ann")
    console.enter("commands")
    console.sees_text("say", ".table")
    console.do("click", "[data-switch=say]")
    console.sees_text("Every server refuses it", "dialog.question")
    console.confirm()
    console.see("document.querySelector('[data-switch=say]').getAttribute('aria-checked') === 'false'")
    player.say("say", {"text": "hello"})
    player.sees_text("disabled", ".said[data-kind=error]")
    console.go("overview")
    console.sees_text("The command say is switched off.", ".concerns")
    console.go("commands")
    console.do("click", "[data-switch=say]")
    console.confirm()
    console.see("document.querySelector('[data-switch=say]').getAttribute('aria-checked') === 'true'")
    answers = "document.querySelectorAll('.said[data-kind=answer]').length"
    before = player.do("evaluate", answers)
    player.say("say", {"text": "hello again"})
    player.see(f"{answers} > {before}")
    [curl] = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE | re.DOTALL)
    curl = curl.replace(":9998", f":{house.admin}")
    subprocess.run(curl, shell=True, check=True, cwd=house.folder, stdout=subprocess.DEVNULL, timeout=20)
    console.see("document.querySelector('[data-switch=catch]').getAttribute('aria-checked') === 'false'")
    assert browser.problems() == []


def test_the_playground_shows_answers_pushes_and_mistakes(operator, browser) -> None:
    player = operator("player")
    player.enter("playground")
    player.see("document.querySelector('[data-body]').value.includes('name')")
    player.play("Ann")
    player.see("document.querySelector('.said[data-kind=push]')")
    player.do("fill", "[data-body]", "{ no json")
    player.do("click", "[data-send]")
    player.see("document.querySelector('form .trouble')?.textContent.includes('JSON')")
    player.say("say", {"text": 7})
    player.sees_text("bad_request", ".said[data-kind=error]")
    player.do("click", "[data-connect]")
    player.sees_text("closed (1000)", ".talk")
    assert browser.problems() == []


def test_a_notice_reaches_every_player(operator) -> None:
    player, console = operator("player"), operator("console")
    player.enter("playground")
    player.play("Ann")
    console.enter()
    console.do("click", ".head button[title^=Tell]")
    console.do("fill", "dialog.question input", "at nine we rest")
    console.confirm()
    console.sees_text("told to 1 players", ".toast")
    player.sees_text("at nine we rest", ".talk")


def test_a_server_that_dies_turns_red_and_is_up_again_by_itself(operator, house) -> None:
    # It cannot start as long as there is that file, so it is seen as down, however fast it starts otherwise.
    world = house.folder / "example_game" / "world.py"
    hindrance = house.folder / "hindrance"
    dies = f"import os\nif os.path.exists({str(hindrance)!r}):\n    os._exit(3)\n"
    world.write_text(f"{world.read_text()}\n{dies}")
    console = operator("console")
    console.enter()
    console.see("document.querySelectorAll('.server[data-state=up]').length === 3")
    hindrance.touch()
    house.kill("world-1")
    console.see("document.querySelector('.server[data-server=world-1]').dataset.state !== 'up'")
    console.sees_text("world-1 is", ".concerns")
    hindrance.unlink()
    console.see("document.querySelector('.server[data-server=world-1]').dataset.state === 'up'", timeout=30)


def test_a_server_that_was_back_before_anybody_looked_is_told_all_the_same(operator, house) -> None:
    console = operator("console")
    console.enter()
    console.see("document.querySelectorAll('.server[data-state=up]').length === 3")
    house.kill("world-1")
    console.sees_text("world-1 is up again: it ended", ".concerns", timeout=30)
    console.sees_text("(SIGKILL)", ".concerns")
    console.sees_text("restarted", ".server[data-server=world-1]")
    console.do("click", ".server[data-server=world-1]")
    console.sees_text("1 times, the last one", "dialog.drawer")


def test_a_reload_is_done_and_one_of_broken_code_says_what_is_wrong(operator, house) -> None:
    console = operator("console")
    console.enter()
    console.do("click", ".head button[title=Reload]")
    console.confirm()
    world = house.folder / "example_game" / "world.py"
    whole = world.read_text()
    world.write_text(whole + "\nthis is no Python\n")
    console.do("click", ".head button[title=Reload]")
    console.do("click", "dialog.question [data-do]")
    console.see(f"{WORST}.includes('world.py')")
    console.do("click", "dialog.question .quiet")
    world.write_text(whole)
    console.go("commands")
    console.sees_text("catch", ".table")


def test_the_log_is_followed_and_searched(operator) -> None:
    console = operator("console")
    console.enter("logs")
    console.sees_text("clients connect at", ".log")
    console.do("fill", "input[type=search]", "the token is in")
    console.see("document.querySelectorAll('.log-line').length === 1")
    console.sees_text("admin.token", ".log")
    assert console.token() not in console.do("content")


def test_every_page_fits_a_phone_and_names_what_can_be_touched(operator, browser) -> None:
    phone = operator("phone")
    phone.enter()
    for page in ["overview", "sessions", "commands", "database", "logs", "playground"]:
        phone.go(page)
        phone.see(f"document.title.toLowerCase().startsWith({page!r}) && document.querySelector('.main .card')")
        assert phone.do("evaluate", "document.documentElement.scrollWidth") <= 390
        assert phone.do("evaluate", UNNAMED) == 0
    assert browser.problems() == []


def test_pictures_of_it_are_taken_with_players_in_it(operator, browser, bots, tmp_path: Path) -> None:
    bots(12)
    console, phone = operator("console"), operator("phone")
    console.enter()
    console.see("Number(document.querySelectorAll('.tile-value')[1].textContent) >= 12")
    console.see("document.querySelectorAll('.line .flow').length >= 2")
    console.see("document.querySelectorAll('.uplot canvas').length === 6")
    console.see("performance.now() > 20000", timeout=40)  # so that the charts have something to show
    taken = {}
    for who, page, name in [
        (console, "overview", "console"),
        (console, "commands", "console-commands"),
        (phone, "overview", "console-phone"),
    ]:
        if who is phone:
            phone.enter()
            phone.see("document.querySelectorAll('.server[data-state=up]').length === 3")
        else:
            who.go(page)
            who.see("document.querySelector('.main .card')")
        picture = tmp_path / f"{name}.jpg"
        who.do("screenshot", path=str(picture), type="jpeg", quality=80)
        taken[picture] = picture.stat().st_size
    assert all(20_000 < size < 300_000 for size in taken.values()), taken
    assert browser.problems() == []
    if folder := os.environ.get("FIREFLY_PICTURES"):
        for picture in taken:
            shutil.copy(picture, ROOT / folder / picture.name)

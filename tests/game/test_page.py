from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

CANVAS = """(() => {
  const { canvas, context } = meadow.scene;
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  let bright = 0;
  for (let at = 0; at < data.length; at += 4) {
    colours.add((data[at] >> 3) << 10 | (data[at + 1] >> 3) << 5 | data[at + 2] >> 3);
    bright += data[at] + data[at + 1] + data[at + 2] > 600;
  }
  return { colours: colours.size, bright };
})()"""

WALK_OVER_AND_SPEAK = """(async () => {
  const frame = () => new Promise(requestAnimationFrame);
  document.querySelector("[data-meadow=grove]").click();
  while (meadow.game.meadow !== "grove") await frame();
  await meadow.client.request("say", { text: "only the grove hears this" });
  while (document.body.dataset.walk) await frame();
  return document.getElementById("chat").textContent.includes("Bob: only the grove hears this");
})()"""


def walk_in(browser, house, name: str) -> None:
    """Open the page in a tab of its own and log in; the tab has the player's name."""
    browser.do(name, "goto", house.url)
    browser.do(name, "fill", "#who", name)
    browser.do(name, "press", "#who", "Enter")
    browser.see(name, "meadow.game.me !== undefined && document.body.dataset.screen === 'play'")


def say(browser, name: str, text: str) -> None:
    browser.do(name, "fill", "#text", text)
    browser.do(name, "press", "#text", "Enter")
    browser.do(name, "press", "#text", "Escape")


def chat_has(text: str) -> str:
    return f"document.getElementById('chat').textContent.includes({json.dumps(text)})"


def players(browser, tab: str) -> dict[str, Any]:
    found: dict[str, Any] = browser.do(
        tab, "evaluate", "Object.fromEntries([...meadow.game.players].map(([id, p]) => [id, [p.toX, p.toY]]))"
    )
    return found


def test_two_tabs_and_a_terminal_play_together(house, terminal, wait_until, browser, tmp_path: Path) -> None:
    house.start()
    tom = terminal("Tom", house.datapack)
    walk_in(browser, house, "Ann")
    walk_in(browser, house, "Bob")
    for tab in ("Ann", "Bob"):
        browser.see(tab, "['ann', 'bob', 'tom'].every((id) => meadow.game.players.has(id))")
        browser.see(tab, "meadow.game.fireflies.size >= 20")
    # Not by their names in the field: who stands in front of another hides his.
    wait_until(lambda: all(text in tom.screen() for text in ("♟Tom", "3 here")), "Tom sees them all")

    say(browser, "Ann", "hello from a page")
    browser.see("Bob", chat_has("Ann: hello from a page"))
    wait_until(lambda: "Ann: hello from a page" in tom.screen(), "Tom hears Ann")
    tom.type("\rhello from a terminal\r")
    browser.see("Ann", chat_has("Tom: hello from a terminal"))

    before = players(browser, "Bob")["ann"]
    browser.do("Ann", "keyboard.down", "d")
    browser.see("Bob", f"meadow.game.players.get('ann').toX > {before[0]} + 60 || {before[0]} > 1500")
    browser.do("Ann", "keyboard.up", "d")

    catch = """(() => { const { game, scene } = meadow;
      const near = [...game.fireflies.values()].sort((a, b) => game.distance(a) - game.distance(b))[0];
      const { x, y } = scene.hover(near, scene.now); return [x, y]; })()"""
    for _ in range(5):
        browser.do("Ann", "mouse.click", *browser.do("Ann", "evaluate", catch))
        try:
            browser.see("Ann", "Number(document.getElementById('score').textContent) > 0", timeout=4)
            break
        except AssertionError:
            continue  # somebody was faster, or it drifted away from under the pointer
    browser.see("Ann", "Number(document.getElementById('score').textContent) > 0", timeout=1)
    browser.see("Bob", "document.getElementById('ranking').textContent.includes('Ann')")
    wait_until(lambda: "Ann caught a firefly" in tom.screen(), "Tom hears of the catch")

    shot = tmp_path / "meadow.png"
    browser.do("Ann", "screenshot", path=str(shot))
    painted = browser.do("Ann", "evaluate", CANVAS)
    assert shot.stat().st_size > 100_000
    assert painted["colours"] > 500
    assert painted["bright"] > 200
    assert browser.problems() == []


def test_the_page_comes_back_by_itself_when_world_and_gate_have_died(house, browser) -> None:
    house.start()
    walk_in(browser, house, "Ann")
    season = browser.do("Ann", "evaluate", "meadow.game.season")
    house.kill("world-1")
    browser.see("Ann", f"meadow.game.season !== {season} && meadow.game.me", timeout=15)
    assert browser.do("Ann", "evaluate", "meadow.client.state") == "open"
    house.kill("gate-1")
    browser.see("Ann", "meadow.client.state !== 'open'")
    browser.see("Ann", "meadow.client.state === 'open'", timeout=15)
    before = browser.do("Ann", "evaluate", "performance.now()")
    browser.see("Ann", f"meadow.game.me && meadow.game.me.born > {before} - 1000", timeout=15)
    say(browser, "Ann", "here again")
    browser.see("Ann", chat_has("Ann: here again"))


def test_who_comes_in_again_elsewhere_takes_over_and_the_first_page_stays_out(house, browser) -> None:
    house.start()
    walk_in(browser, house, "Ann")
    browser.do("second", "goto", house.url)
    browser.do("second", "fill", "#who", "ANN")
    browser.do("second", "click", "#enter button")
    browser.see("second", "meadow.game.me !== undefined")
    browser.see("Ann", "document.getElementById('problem').textContent.includes('somewhere else')")
    browser.see("Ann", "meadow.client.state === 'ended'")
    say(browser, "second", "it is me")
    browser.see("second", chat_has("Ann: it is me"))
    assert browser.do("Ann", "evaluate", "meadow.client.state") == "ended"


def test_a_page_whose_line_is_cut_goes_on_as_if_nothing_had_happened(house, browser) -> None:
    house.start()
    walk_in(browser, house, "Ann")
    walk_in(browser, house, "Bob")
    born = browser.do("Ann", "evaluate", "meadow.game.me.born")
    browser.do(
        "Ann", "evaluate", "meadow.states = []; void meadow.client.onState((state) => meadow.states.push(state))"
    )
    browser.do("Ann", "click", "#cut")
    say(browser, "Bob", "are you still here?")
    browser.see("Ann", "meadow.states.join() === 'waiting,connecting,open'")
    browser.see("Ann", chat_has("Bob: are you still here?"))
    browser.see("Ann", "/Back after 0.. s, as if nothing/.test(document.getElementById('toast').textContent)")
    say(browser, "Ann", "of course")
    browser.see("Bob", chat_has("Ann: of course"))
    assert browser.do("Ann", "evaluate", "meadow.game.me.born") == born, "it has not come in anew"
    assert browser.do("Bob", "evaluate", "meadow.game.players.has('ann')") is True
    assert browser.problems() == []


def test_two_meadows_do_not_hear_each_other(house, browser) -> None:
    house.start()
    walk_in(browser, house, "Ann")
    walk_in(browser, house, "Bob")
    assert browser.do("Bob", "evaluate", WALK_OVER_AND_SPEAK) is True
    browser.see("Bob", "meadow.game.me && meadow.game.players.size === 1")
    browser.see("Ann", "!meadow.game.players.has('bob')")
    browser.see("Bob", "document.querySelector('[aria-current=true]').dataset.meadow === 'grove'")
    say(browser, "Ann", "only the meadow hears this")
    browser.see("Ann", chat_has("Ann: only the meadow"))
    browser.see("Bob", chat_has("Bob: only the grove"))
    before = players(browser, "Bob")["bob"]
    browser.do("Bob", "keyboard.down", "d")
    browser.see("Bob", f"meadow.game.me.toX > {before[0]} + 40 || {before[0]} > 1500")
    browser.do("Bob", "keyboard.up", "d")
    assert browser.do("Ann", "evaluate", chat_has("grove")) is False
    assert browser.do("Bob", "evaluate", chat_has("only the meadow")) is False
    browser.do("Bob", "click", "[data-meadow=meadow]")
    browser.see("Bob", chat_has("Ann: only the meadow"))
    browser.see("Ann", "meadow.game.players.has('bob')")
    assert browser.problems() == []


def test_who_was_in_the_grove_when_the_world_died_is_there_again(house, browser) -> None:
    house.start()
    walk_in(browser, house, "Ann")
    browser.do("Ann", "click", "[data-meadow=grove]")
    browser.see("Ann", "meadow.game.meadow === 'grove'")
    season = browser.do("Ann", "evaluate", "meadow.game.season")
    house.kill("world-1")
    browser.see("Ann", f"meadow.game.season !== {season} && meadow.game.me", timeout=15)
    assert browser.do("Ann", "evaluate", "meadow.game.meadow") == "grove"


def test_who_is_kicked_is_told_why_and_can_walk_in_again(house, browser) -> None:
    house.start()
    walk_in(browser, house, "Ann")
    token = (house.folder / "var" / "admin.token").read_text().strip()
    request = urllib.request.Request(
        f"http://127.0.0.1:{house.admin}/api/kick",
        json.dumps({"uid": "ann", "reason": "it is late"}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "X-Firefly-Admin": "1"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer) == {"kicked": 1}
    browser.see("Ann", "document.getElementById('problem').textContent === 'You were sent away: it is late.'")
    browser.see("Ann", "meadow.client.state === 'ended' && document.body.dataset.screen === 'login'")
    browser.do("Ann", "press", "#who", "Enter")
    browser.see("Ann", "meadow.client.state === 'open' && document.body.dataset.screen === 'play'")
    assert browser.problems() == []


def test_a_name_that_is_refused_is_told_beside_the_field(house, browser) -> None:
    house.start()
    browser.do("Ann", "goto", house.url)
    browser.do("Ann", "fill", "#who", "\u200b \u200b")
    browser.do("Ann", "press", "#who", "Enter")
    browser.see("Ann", "document.getElementById('problem').textContent.includes('a name needs')")
    browser.do("Ann", "fill", "#who", "Ann")
    browser.do("Ann", "press", "#who", "Enter")
    browser.see("Ann", "meadow.game.me !== undefined")


def test_it_is_played_by_touch_on_a_phone_and_stands_still_for_who_wants_so(house, browser) -> None:
    house.start()
    walk_in(browser, house, "phone")
    x, y = players(browser, "phone")["phone"]
    browser.do("phone", "touchscreen.tap", 195, 480)
    browser.see("phone", f"Math.hypot(meadow.game.me.toX - {x}, meadow.game.me.toY - {y}) > 5")
    assert browser.do("phone", "evaluate", "document.documentElement.scrollWidth") <= 390
    walk_in(browser, house, "calm")
    assert browser.do("calm", "evaluate", "meadow.scene.calm.matches") is True
    assert browser.do("calm", "evaluate", CANVAS)["colours"] > 500
    apart = """document.querySelector(".bar").getBoundingClientRect().right <
      document.querySelector(".ranking").getBoundingClientRect().left"""
    assert browser.do("calm", "evaluate", apart) is True, "in a narrow window too"
    unlabelled = """[...document.querySelectorAll('input, button, canvas')].filter((element) =>
      !(element.getAttribute('aria-label') || element.textContent.trim() || element.labels?.length)).length"""
    assert browser.do("calm", "evaluate", unlabelled) == 0
    assert browser.problems() == []

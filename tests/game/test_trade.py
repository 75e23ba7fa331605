"""Two pages trade: a button gives gold to whoever is near, and both purses show it, also after a restart."""

from __future__ import annotations

from example_game.stored_heroes import StoredHeroes
from firefly_core.testing import InProcessCluster

TOML = """
[firefly]
plugins = ["root", "db-cache"]
[servers.world.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.db-cache]
database = "sqlite:///var/meadow.db"
models = ["example_game.models"]
"""


def walk_in(browser, house, name: str) -> None:
    browser.do(name, "goto", house.url)
    browser.do(name, "fill", "#who", name)
    browser.do(name, "press", "#who", "Enter")
    browser.see(name, "meadow.game.me !== undefined && document.body.dataset.screen === 'play'")


def gold(name: str) -> str:
    return f"document.getElementById('gold').textContent === '{name}'"


def test_gold_goes_from_one_page_to_another_and_stays_there(house, browser) -> None:
    with InProcessCluster(TOML, folder=house.folder) as cluster:
        cluster.start()
        heroes = StoredHeroes(cluster.kernel("world").services["db-cache"].handle(None))
        heroes.award(heroes.named("Ann"), 12)
    house.start()
    walk_in(browser, house, "Ann")
    walk_in(browser, house, "Bob")
    browser.see("Ann", gold("12"))
    browser.see("Ann", "meadow.game.neighbour()?.id === 'bob'")
    browser.do("Ann", "click", "#give")
    browser.see("Ann", gold("7"))
    browser.see("Bob", gold("5"))
    browser.do("Bob", "click", "#give")
    browser.see("Bob", gold("0"))
    browser.do("Bob", "click", "#give")
    browser.see("Bob", "document.getElementById('toast').textContent.includes('you have 0 gold')")
    browser.see("Ann", gold("12"))
    house.kill("world-1")
    browser.see("Ann", "meadow.client.state === 'open' && meadow.game.me && meadow.game.gold === 12", timeout=30)
    assert browser.problems() == []

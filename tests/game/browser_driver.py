"""Drives Chromium for tests: one JSON line in, `[tab, method, arguments, options]`, one out, the result or the error.

A process of its own, because Playwright brings an event loop that does not go together with gevent. `forget` closes all
tabs, with all that they had stored, and what they complained about is forgotten.
"""

from __future__ import annotations

import json
import shutil
import sys
from typing import Any

from playwright.sync_api import Error, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
PROGRAM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DESKTOP = {"viewport": {"width": 1280, "height": 760}}
WINDOW = {"viewport": {"width": 720, "height": 460}}  # drawn without a graphics card, a large one costs a core


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PROGRAM, args=FLAGS)
        tabs: dict[str, Page] = {}
        problems: list[str] = []

        def open_tab(name: str) -> Page:
            options: dict[str, Any] = dict(PHONE if name == "phone" else DESKTOP if name == "Ann" else WINDOW)
            options["reduced_motion"] = "reduce" if name == "calm" else "no-preference"
            page = browser.new_context(**options).new_page()
            page.on("pageerror", lambda error: problems.append(f"{name}: {error}"))
            page.on("console", lambda said: said.type == "error" and problems.append(f"{name}: {said.text}"))
            page.on("request", lambda asked: "//127.0.0.1:" in asked.url or problems.append(f"{name}: {asked.url}"))
            return page

        for line in sys.stdin:
            tab, method, arguments, options = json.loads(line)
            try:
                if method == "problems":
                    result: Any = list(problems)
                elif method == "forget":
                    for page in tabs.values():
                        page.context.close()
                    tabs.clear()
                    problems.clear()
                    result = None
                else:
                    if tab not in tabs:
                        tabs[tab] = open_tab(tab)
                    target: Any = tabs[tab]
                    for part in method.split("."):
                        target = getattr(target, part)
                    result = target(*arguments, **options)
                answer = {"result": result if isinstance(result, bool | str | int | float | list | dict) else None}
            except Error as error:
                answer = {"error": str(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
        browser.close()


if __name__ == "__main__":
    main()
